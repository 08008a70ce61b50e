/** What is known of a duct, and the tree of what is in a database; loaded when it is opened. */
class Details {
  constructor(key, name, connect, send) {
    this.key = key;
    this.connect = connect;
    this.isConnected = false;
    this.name = name;
    this.send = send;
    this.facts = element("dl", { className: "omniduct-facts" });
    this.tree = element("ul", { className: "omniduct-tree", "aria-label": `Tables of ${name}` });
    this.node = element("div", { className: "omniduct-details" }, this.facts, this.tree);
    this.items = new Map();
    this.levels = [];
    this.tree.addEventListener("keydown", (event) => this.move(event));
    send({ type: "details", keys: [key] });
  }

  /** What the kernel says of the duct itself. */
  take({ origin, magics, levels }) {
    const facts = [["From", origin], ["Magics", magics.join("  ")]].filter(([, text]) => text);
    this.facts.replaceChildren(...facts.flatMap(([term, text]) => [element("dt", {}, term), element("dd", {}, text)]));
    this.levels = levels;
    this.tree.hidden = levels.length === 0;
    this.loadFirst();
  }

  /** Whether the duct is connected: looking at it never connects it. */
  setConnected(isConnected) {
    if (isConnected === this.isConnected) return;
    this.isConnected = isConnected;
    if (!this.items.size) this.loadFirst();
  }

  loadFirst() {
    if (!this.levels.length || this.items.size) return;
    if (this.isConnected) this.load([], this.tree);
    else this.tree.replaceChildren(note("Its tables show when it is connected.", this.connect, "Connect"));
  }

  /** What the kernel says of what is in it. */
  opened({ path, children, columns, preview, error }) {
    const item = this.items.get(JSON.stringify(path));
    const place = path.length ? item && item.inside : this.tree;
    if (!place) return;
    if (error) place.replaceChildren(note(error, () => this.load(path, place)));
    else if (columns) {
      place.replaceChildren(tableOf(columns, preview));
      place.scrollIntoView({ block: "nearest" });
    }
    else place.replaceChildren(...children.map((child) => this.item([...path, child.name], child)));
    if (!error && !columns && !children.length) place.replaceChildren(note("nothing"));
    if (!path.length) this.setFirst();
    setAttribute(this.tree, "role", this.items.size ? "tree" : null); // one without items is none
    const isOnly = children && children.length === 1 && path.length + 1 < this.levels.length;
    if (isOnly) this.toggle(this.items.get(JSON.stringify([...path, children[0].name])));
  }

  item(path, { name, kind }) {
    const inside = element("ul", { role: "group", hidden: true });
    const label = element("span", { className: "omniduct-label" },
      element("span", { className: "omniduct-twist", "aria-hidden": "true" }), name,
      ...(kind && kind !== "base table" ? [element("span", { className: "omniduct-aliases" }, ` ${kind}`)] : []));
    const node = element("li", { role: "treeitem", tabIndex: -1, "aria-expanded": "false", "aria-label": name }, label, inside);
    const item = { path, node, inside, label, isLoaded: false };
    label.addEventListener("click", () => { this.toggle(item); this.focus(node); });
    this.items.set(JSON.stringify(path), item);
    return node;
  }

  toggle(item, open = item.inside.hidden) {
    item.inside.hidden = !open;
    setAttribute(item.node, "aria-expanded", String(open));
    if (open && !item.isLoaded) {
      item.isLoaded = true;
      this.load(item.path, item.inside);
    }
  }

  load(path, place) {
    place.replaceChildren(note("loading"));
    this.send({ type: "open", keys: [this.key], path });
  }

  // One item of a tree is reached by Tab, the others by the arrows.

  setFirst() {
    const first = this.tree.querySelector("[role=treeitem]");
    if (first) first.tabIndex = 0;
  }

  focus(node) {
    this.tree.querySelectorAll("[role=treeitem]").forEach((each) => { each.tabIndex = -1; });
    node.tabIndex = 0;
    node.focus();
  }

  move(event) {
    const here = event.target.closest("[role=treeitem]");
    const item = here && [...this.items.values()].find(({ node }) => node === here);
    if (!item) return;
    const shown = [...this.tree.querySelectorAll("[role=treeitem]")].filter((node) => node.offsetParent !== null);
    const place = shown.indexOf(here);
    const steps = {
      ArrowDown: () => shown[place + 1],
      ArrowUp: () => shown[place - 1],
      Home: () => shown[0],
      End: () => shown[shown.length - 1],
      ArrowRight: () => { if (item.inside.hidden) this.toggle(item, true); else return shown[place + 1]; },
      ArrowLeft: () => { if (!item.inside.hidden) this.toggle(item, false); else return here.parentElement.closest("[role=treeitem]"); },
      Enter: () => { this.toggle(item); },
      " ": () => { this.toggle(item); },
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const next = steps[event.key]();
    if (next) this.focus(next);
  }
}

/** A line of the tree that is no item; with a button to try again. */
function note(text, again, words = "Try again") {
  const line = element("li", { role: "none", className: "omniduct-note" }, text);
  if (again) {
    const button = element("button", { type: "button", className: "omniduct-button" }, words);
    button.addEventListener("click", again);
    line.append(" ", button);
  }
  return line;
}

/** The columns of a table, and its first rows. */
function tableOf(columns, preview) {
  const head = columns.map(({ name, type }) =>
    element("th", { scope: "col" }, name, element("span", { className: "omniduct-type" }, type)));
  const rows = preview.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell))));
  const table = element("table", { className: "omniduct-preview" },
    element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
  const scrolled = element("div", { className: "omniduct-scrolled", tabIndex: 0, role: "region", "aria-label": "columns and first rows" }, table);
  return element("li", { role: "none" }, scrolled);
}
