const SYMBOLS = { disconnected: "○", connecting: "◌", connected: "●", lost: "✗", failed: "✗" };
const KINDS = {
  remotes: "Remotes", filesystems: "Filesystems", caches: "Caches", rest_clients: "REST services",
  databases: "Databases", other: "Other",
};

/** The row of one duct: two lines of the table, of which the second has what is asked. */
class DuctRow {
  constructor(row, columns, send) {
    this.key = row.key;
    this.send = send;
    this.columns = columns;
    this.name = element("span", { className: "omniduct-name" });
    this.aliases = element("span", { className: "omniduct-aliases" });
    this.symbol = element("span", { className: "omniduct-symbol", "aria-hidden": "true" });
    this.word = element("span");
    this.why = element("span", { className: "omniduct-why" });
    this.running = element("span", { className: "omniduct-running" });
    this.action = element("button", { type: "button", className: "omniduct-button" });
    this.action.addEventListener("click", () => this.act());
    this.cells = { protocol: element("td"), where: element("td", { className: "omniduct-where" }) };
    this.cells.state = element("td", { className: "omniduct-state" }, this.symbol, " ", this.word);
    this.cells.since = element("td", {}, this.why, this.running);
    this.line = element("tr", { className: "omniduct-row" },
      element("th", { scope: "row" }, this.name, this.aliases),
      ...columns.map((column) => this.cells[column]),
      element("td", { className: "omniduct-actions" }, this.action));
    this.forms = new Map();
    this.asked = element("td", { colSpan: columns.length + 2 });
    this.below = element("tr", { className: "omniduct-below", hidden: true }, this.asked);
    this.update(row);
  }

  /** Show a newer row; only what differs is touched. */
  update(row) {
    this.row = row;
    const [name, ...aliases] = row.names;
    const state = this.state();
    setText(this.name, name);
    setText(this.aliases, aliases.length ? ` ${aliases.join(", ")}` : "");
    setText(this.cells.protocol, row.protocol);
    setText(this.cells.where, row.where);
    setText(this.symbol, SYMBOLS[row.state] ?? "");
    setText(this.word, state);
    setText(this.why, row.error || (row.state === "connected" ? `since ${row.since}` : ""));
    setText(this.running, row.running ? ` ${row.running} running` : "");
    setAttribute(this.line, "data-state", row.state);
    setAttribute(this.line, "data-doing", row.doing || null);
    this.updateAction();
    this.updateQuestions();
  }

  state() {
    if (this.row.doing === "cancelling") return "cancelling";
    if (this.row.questions.length) return "waiting for you";
    if (this.row.doing === "disconnecting" && this.row.state === "connected") return "disconnecting";
    if (this.row.doing === "connecting" && this.row.state !== "connected") return "connecting";
    return this.row.state;
  }

  updateAction() {
    const verb = this.verb();
    setText(this.action, verb);
    setAttribute(this.action, "aria-label", `${verb} ${this.row.names[0]}`);
    // not `disabled`, which would take the focus away from it
    setAttribute(this.action, "aria-disabled", this.row.doing === "cancelling" ? "true" : null);
  }

  verb() {
    if (this.row.doing === "connecting" || this.row.state === "connecting") return "Cancel";
    if (this.row.doing === "cancelling") return "Cancel";
    return this.row.state === "connected" ? "Disconnect" : "Connect";
  }

  act() {
    if (this.action.getAttribute("aria-disabled")) return;
    this.send({ type: this.verb() === "Connect" ? "connect" : "disconnect", keys: [this.key] });
  }

  updateQuestions() {
    const open = new Set(this.row.questions.map((question) => question.key));
    for (const [key, form] of this.forms) {
      if (open.has(key)) continue;
      const hadFocus = form.contains(document.activeElement);
      form.remove();
      this.forms.delete(key);
      if (hadFocus) this.action.focus();
    }
    for (const question of this.row.questions) {
      if (this.forms.has(question.key)) continue;
      const form = questionForm(question, this.row.names[0], this.send);
      this.forms.set(question.key, form);
      this.asked.append(form);
      this.below.hidden = false;
      this.takeFocus(form);
    }
    this.below.hidden = this.line.hidden || this.forms.size === 0;
  }

  /** The person who has clicked Connect goes on typing; the focus of others stays where it is. */
  takeFocus(form) {
    const active = document.activeElement;
    const isIdle = active === null || active === document.body || this.line.contains(active);
    if (isIdle) form.querySelector("input, button").focus();
  }

  /** Whether all of the words are in it. */
  matches(words) {
    const { names, protocol, where, kind } = this.row;
    const text = [...names, protocol, where, kind, this.state()].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  }

  show(visible) {
    this.line.hidden = !visible;
    this.below.hidden = !visible || this.forms.size === 0;
  }
}
