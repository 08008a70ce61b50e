const HEADINGS = { protocol: "Protocol", where: "Where", state: "State", since: "Since / why" };
const BUSY_AFTER = 1000; // milliseconds without an answer
const SEEN_EVERY = 10_000; // milliseconds between two words to the kernel that somebody still looks

/** One view of the panel. */
class PanelView {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.rows = new Map();
    this.id = newId("view");
    this.sent = 0;
    this.heard = 0;
    this.isOver = false;
    this.send = (content) => this.say(content);
    this.build();
    this.keepKeys();
    this.replace(model.get("rows"));
    this.showProblems();
    this.listen();
  }

  build() {
    const columns = this.model.get("columns");
    this.columns = columns.filter((column) => column in HEADINGS);
    const filterId = newId("filter");
    this.filter = element("input", {
      id: filterId, type: "search", className: "omniduct-input omniduct-filter", placeholder: "Filter",
    });
    this.filter.addEventListener("input", () => this.applyFilter());
    this.count = element("span", { className: "omniduct-count", role: "status" });
    this.said = element("span", { className: "omniduct-hidden", role: "status" });
    this.busy = element("p", { className: "omniduct-busy", role: "status" });
    this.left = element("p", { className: "omniduct-busy", role: "status" });
    this.over = element("p", { className: "omniduct-over", role: "status" });
    this.all = this.button("Connect all", () => this.sendAll("connect"));
    this.none = this.button("Disconnect all", () => this.sendAll("disconnect"));
    this.table = element("table", { className: "omniduct-table" },
      element("caption", { className: "omniduct-hidden" }, "Ducts and their state"),
      element("thead", {}, element("tr", {},
        element("th", { scope: "col" }, "Name"),
        ...this.columns.map((column) => element("th", { scope: "col", className: `omniduct-${column}` }, HEADINGS[column])),
        element("th", { scope: "col", className: "omniduct-actions" }, element("span", { className: "omniduct-hidden" }, "Actions")))));
    this.problems = element("ul", { className: "omniduct-problems" });
    this.panel = element("section", { className: "omniduct-panel", "aria-label": "omniduct" },
      element("div", { className: "omniduct-tools" },
        element("label", { for: filterId, className: "omniduct-hidden" }, "Filter ducts"), this.filter, this.count, this.all, this.none),
      this.over, this.busy, this.left, this.table, this.problems, this.said);
    this.el.append(this.panel);
  }

  /** Else the notebook takes keys for its own shortcuts, as Enter; those with Control, as for saving, stay its own. */
  keepKeys() {
    this.el.dataset.lmSuppressShortcuts = "true";
    this.el.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.ctrlKey || event.metaKey) this.hand(event);
    });
  }

  /** Begin anew, with other columns. */
  rebuild() {
    const rows = this.groups.flatMap((group) => group.rows.map(({ row }) => row));
    this.observer.disconnect();
    this.panel.remove();
    this.rows.clear();
    this.build();
    this.replace(rows);
    this.showProblems();
    this.observer.observe(this.panel);
  }

  /** Hand a key on to the page around. */
  hand(event) {
    const copy = new KeyboardEvent(event.type, event);
    if (!this.el.parentElement.dispatchEvent(copy)) event.preventDefault();
  }

  button(text, act) {
    const made = element("button", { type: "button", className: "omniduct-button" }, text);
    made.addEventListener("click", act);
    return made;
  }

  /** To all that the filter shows and that it means anything to; who is at a statement is left. */
  sendAll(type) {
    if (this.isOver) return;
    const wanted = [...this.rows.values()].filter(({ row, line }) =>
      !line.hidden && !row.doing && (row.state === "connected") === (type === "disconnect"));
    const busy = type === "disconnect" ? wanted.filter(({ row }) => row.running) : [];
    this.send({ type, keys: wanted.filter((each) => !busy.includes(each)).map((each) => each.key) });
    if (busy.length) setText(this.left, `Left connected, as statements are under way: ${busy.map(({ row }) => row.names[0]).join(", ")}`);
    else setText(this.left, "");
  }

  // What the kernel says

  replace(rows) {
    for (const each of rows) this.put(each, false);
    this.arrange(rows.map((row) => row.key));
  }

  put(row, announces = true) {
    const known = this.rows.get(row.key);
    if (!known) {
      this.rows.set(row.key, new DuctRow(row, this.columns, this.send));
      return;
    }
    const before = known.state();
    known.update(row);
    if (announces && known.state() !== before) setText(this.said, `${row.names[0]}: ${known.state()} ${row.error}`);
  }

  take({ rows, order }) {
    const shown = this.filter.value !== "";
    for (const row of rows) this.put(row);
    if (order && order.join() !== this.order) this.arrange(order);
    else if (shown) this.applyFilter();
  }

  /** The lines in their order, by kind; those of ducts that are gone go. */
  arrange(order) {
    this.order = order.join();
    const wanted = new Set(order);
    for (const key of [...this.rows.keys()]) if (!wanted.has(key)) this.rows.delete(key);
    const groups = new Map();
    for (const key of order) {
      const row = this.rows.get(key);
      if (!row) continue;
      const { kind } = row.row;
      if (!groups.has(kind)) groups.set(kind, []);
      groups.get(kind).push(row);
    }
    const focused = this.table.contains(document.activeElement) ? document.activeElement : null;
    this.table.querySelectorAll("tbody").forEach((body) => body.remove());
    this.groups = [...groups].map(([kind, rows]) => this.group(kind, rows));
    this.table.append(...this.groups.map(({ body }) => body));
    this.applyFilter();
    if (focused?.isConnected) focused.focus({ preventScroll: true }); // the person may be typing there
  }

  group(kind, rows) {
    const head = element("tr", { className: "omniduct-kind" },
      element("th", { colSpan: this.columns.length + 2, scope: "rowgroup" }, KINDS[kind] ?? kind));
    return { body: element("tbody", {}, head, ...rows.flatMap((row) => [row.line, row.below])), rows };
  }

  applyFilter() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { body, rows } of this.groups) {
      const found = rows.filter((row) => row.matches(words));
      for (const row of rows) row.show(found.includes(row));
      body.hidden = found.length === 0;
      shown += found.length;
    }
    setText(this.count, words.length ? `${shown} of ${this.rows.size}` : `${this.rows.size} duct${this.rows.size === 1 ? "" : "s"}`);
  }

  showProblems() {
    this.problems.replaceChildren(...this.model.get("problems").map((text) => element("li", {}, `⚠ ${text}`)));
  }

  // What the kernel is told of the view

  listen() {
    this.hear = (message) => {
      if (message.type === "rows") this.take(message);
      else if (message.type === "heard") this.hearOf(message);
      else this.hearDetails(message);
    };
    this.hearProblems = () => this.showProblems();
    this.hearColumns = () => this.rebuild();
    this.model.on("msg:custom", this.hear);
    this.model.on("change:problems", this.hearProblems);
    this.model.on("change:columns", this.hearColumns);
    this.isVisible = false;
    this.observer = new IntersectionObserver(([entry]) => { this.isVisible = entry.isIntersecting; this.tell(); });
    this.observer.observe(this.panel);
    this.tellVisibility = () => this.tell();
    document.addEventListener("visibilitychange", this.tellVisibility);
    this.timer = setInterval(() => { if (this.isVisible) this.tell(); }, SEEN_EVERY);
  }

  /** Tell the kernel; the person is told when it cannot listen now. */
  say(content) {
    if (this.isOver) return;
    this.sent += 1;
    const number = this.sent;
    this.model.send({ ...content, number, view: this.id });
    if (content.type === "view") return;
    setTimeout(() => {
      if (this.heard < number && !this.isOver) setText(this.busy, "The kernel is busy: this is done when the running cell has ended.");
    }, BUSY_AFTER);
  }

  hearDetails(message) {
    const details = this.rows.get(message.key)?.details;
    if (!details) return;
    if (message.type === "details") details.take(message);
    else if (message.type === "opened") details.opened(message);
  }

  hearOf({ number, view }) {
    if (view !== this.id) return;
    this.heard = Math.max(this.heard, number);
    setText(this.busy, "");
  }

  tell(there = true) {
    this.send({ type: "view", view: this.id, there, seen: there && this.isVisible && !document.hidden });
  }

  /** There is no kernel any more: the names stay, and nothing can be done; the filter needs no kernel. */
  end() {
    this.isOver = true;
    this.close();
    for (const row of this.rows.values()) row.end();
    for (const button of [this.all, this.none]) setAttribute(button, "aria-disabled", "true");
    for (const line of [this.busy, this.left, this.said]) setText(line, "");
    setText(this.over, "The kernel is gone: run the cell again.");
    this.applyFilter();
  }

  close() {
    clearInterval(this.timer);
    this.observer.disconnect();
    document.removeEventListener("visibilitychange", this.tellVisibility);
    this.model.off("msg:custom", this.hear);
    this.model.off("change:problems", this.hearProblems);
    this.model.off("change:columns", this.hearColumns);
    this.tell(false);
  }
}

export default () => {
  let kernel;
  return {
    initialize({ model }) {
      kernel = new KernelWatch(model);
      return () => kernel.close();
    },
    render({ model, el }) {
      const view = new PanelView(model, el);
      kernel.add(view);
      return () => {
        kernel.views.delete(view);
        view.close();
      };
    },
  };
};
