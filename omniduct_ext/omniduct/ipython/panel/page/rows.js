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
    this.name = element("button", { type: "button", className: "omniduct-name", "aria-expanded": "false" });
    this.name.addEventListener("click", () => this.toggle());
    this.details = null;
    this.aliases = element("span", { className: "omniduct-aliases" });
    this.symbol = element("span", { className: "omniduct-symbol", "aria-hidden": "true" });
    this.word = element("span");
    this.why = element("span", { className: "omniduct-why" });
    this.action = element("button", { type: "button", className: "omniduct-button" });
    this.action.addEventListener("click", () => this.act());
    this.cells = { protocol: element("td"), where: element("td", { className: "omniduct-where" }) };
    this.cells.state = element("td", { className: "omniduct-state" }, this.symbol, " ", this.word);
    this.cells.since = element("td", {}, this.why);
    this.line = element("tr", { className: "omniduct-row" },
      element("th", { scope: "row" }, this.name, this.aliases),
      ...columns.map((column) => this.cells[column]),
      element("td", { className: "omniduct-actions" }, this.action));
    this.forms = new Map();
    this.calls = new Map();
    this.fault = element("p", { className: "omniduct-fault" });
    this.asked = element("td", { colSpan: columns.length + 2 }, this.fault);
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
    setText(this.why, row.state === "connected" || row.error ? `since ${row.since}` : "");
    setText(this.fault, row.error.startsWith(`${name}: `) ? row.error.slice(name.length + 2) : row.error);
    setAttribute(this.line, "data-state", row.state);
    setAttribute(this.line, "data-doing", row.doing || null);
    this.updateAction();
    this.updateCalls();
    this.updateQuestions();
    if (this.details) this.details.setConnected(row.state === "connected");
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
    if (this.row.state !== "connected") return "Connect";
    return this.row.running ? "Cancel and disconnect" : "Disconnect";
  }

  act() {
    if (this.action.getAttribute("aria-disabled")) return;
    this.send({ type: this.verb() === "Connect" ? "connect" : "disconnect", keys: [this.key] });
  }

  updateQuestions() {
    const open = new Set(this.row.questions.map((question) => question.key));
    for (const [key, form] of this.forms) {
      if (open.has(key)) continue;
      const hadFocus = form.contains(document.activeElement) || (form.hadFocus && document.activeElement === document.body);
      form.remove();
      this.forms.delete(key);
      if (hadFocus) this.action.focus();
    }
    for (const question of this.row.questions) {
      if (this.forms.has(question.key)) continue;
      const form = questionForm(question, this.send);
      this.forms.set(question.key, form);
      this.asked.append(form);
      this.showBelow();
      this.takeFocus(form);
    }
    this.showBelow();
  }

  /** The statements under way, each with a way to end it. */
  updateCalls() {
    const now = new Set(this.row.calls.map((call) => call.key));
    for (const [key, call] of this.calls) {
      if (now.has(key)) continue;
      const hadFocus = call.node.contains(document.activeElement);
      call.node.remove();
      this.calls.delete(key);
      if (hadFocus) this.action.focus();
    }
    for (const call of this.row.calls) {
      if (!this.calls.has(call.key)) {
        const made = new RunningCall(call, () => this.send({ type: "stop", keys: [this.key], call: call.key }));
        this.calls.set(call.key, made);
        this.asked.append(made.node);
      }
      this.calls.get(call.key).update(call);
    }
  }

  /** The person who has clicked Connect goes on typing; the focus of others stays where it is. */
  takeFocus(form) {
    const active = document.activeElement;
    const isIdle = active === null || active === document.body || this.line.contains(active);
    if (isIdle) (form.querySelector("[data-first]") ?? form.querySelector("input, button, a")).focus();
  }

  toggle() {
    if (this.name.getAttribute("aria-disabled")) return;
    this.open(this.details === null || this.details.node.hidden);
  }

  /** The kernel is gone, and with it what it was connected to, and what it asked. */
  end() {
    if (this.details) {
      if (this.details.node.contains(document.activeElement)) this.name.focus();
      this.open(false);
    }
    this.update({ ...this.row, state: "disconnected", doing: "", error: "", running: 0, calls: [], questions: [] });
    for (const button of [this.name, this.action]) setAttribute(button, "aria-disabled", "true");
  }

  /** Show or hide what else is known of it. */
  open(shows) {
    setAttribute(this.name, "aria-expanded", String(shows));
    if (shows && this.details === null) {
      this.details = new Details(this.key, this.row.names[0], () => this.act(), this.send);
      this.details.setConnected(this.row.state === "connected");
      this.asked.append(this.details.node);
    }
    this.details.node.hidden = !shows;
    this.showBelow();
  }

  /** Whether all of the words are in it. */
  matches(words) {
    const { names, protocol, where, kind } = this.row;
    const text = [...names, protocol, where, kind, this.state()].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  }

  show(visible) {
    setHidden(this.line, !visible);
    this.showBelow();
  }

  showBelow() {
    const isOpen = this.details !== null && !this.details.node.hidden;
    setHidden(this.below, this.line.hidden || !(isOpen || this.row.error || this.forms.size || this.calls.size));
  }
}

/** A statement under way. */
class RunningCall {
  constructor(call, stop) {
    this.text = element("code", { className: "omniduct-statement" });
    this.bar = element("progress", { max: 1, "aria-label": "progress" });
    this.said = element("span", { className: "omniduct-said" });
    this.link = element("a", { target: "_blank", rel: "noopener noreferrer" }, "web UI");
    this.stop = element("button", { type: "button", className: "omniduct-button" }, "Cancel");
    this.stop.setAttribute("aria-label", `Cancel the statement ${call.text}`);
    this.stop.addEventListener("click", () => {
      setText(this.stop, "Cancelling");
      stop();
    });
    this.node = element("div", { className: "omniduct-call" }, this.text, this.bar, this.said, this.link, this.stop);
  }

  update({ text, said, fraction, link }) {
    setText(this.text, text);
    setText(this.said, said);
    this.bar.hidden = fraction === null;
    if (fraction !== null) this.bar.value = fraction;
    this.link.hidden = !link;
    if (link) this.link.href = link;
  }
}
