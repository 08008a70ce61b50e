/** What is asked in a duct's row; the answer is sent and then forgotten. */
function questionForm(question, send) {
  if (question.kind === "link") return loginLink(question);
  return question.kind === "confirm" ? confirmForm(question, send) : fieldForm(question, send);
}

/** A page that the person logs in at; the service says itself when that is done. */
function loginLink({ label, url }) {
  const link = element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label);
  const hint = element("span", { className: "omniduct-aliases" }, " in another tab of the browser");
  return element("p", { className: "omniduct-question" }, link, hint);
}

/** Yes or no. */
function confirmForm(question, send) {
  const yes = element("button", { type: "submit", className: "omniduct-button" }, "Yes");
  // the focus is on it: a key pressed too early trusts nobody
  const no = element("button", { type: "button", className: "omniduct-button", "data-first": "" }, "No");
  const form = emptyForm(question, send);
  no.addEventListener("click", () => sendAnswer(form, send, { key: question.key, text: false }));
  form.addEventListener("submit", () => sendAnswer(form, send, { key: question.key, text: true }));
  form.prepend(element("p", { className: "omniduct-label" }, question.label), yes, no);
  return form;
}

/** A text, or a secret. */
function fieldForm(question, send) {
  const id = newId("field");
  const input = element("input", {
    id,
    type: question.kind === "secret" ? "password" : "text",
    name: newId("answer"), // a name that no browser has saved anything for
    className: "omniduct-input",
    spellcheck: false,
    "autocapitalize": "off",
    autocomplete: question.kind === "secret" ? "new-password" : "off",
    "aria-required": "true",
  });
  const done = element("button", { type: "submit", className: "omniduct-button omniduct-first" }, "Submit");
  const keeps = choice("remember for this session", true);
  const saves = question.can_save ? choice("save in the keyring", false) : null;
  const form = emptyForm(question, send);
  form.prepend(element("label", { for: id, className: "omniduct-label" }, question.label), input, done);
  form.append(keeps.label, ...(saves ? [saves.label] : []));
  form.addEventListener("submit", () => {
    const text = input.value;
    input.value = "";
    sendAnswer(form, send, { key: question.key, text, keeps: keeps.box.checked, saves: saves?.box.checked ?? false });
  });
  return form;
}

/** A form with no more than Cancel, which Escape is too. */
function emptyForm(question, send) {
  const dismiss = () => send({ type: "dismiss", key: question.key });
  const cancel = element("button", { type: "button", className: "omniduct-button" }, "Cancel");
  const form = element("form", { className: "omniduct-question", autocomplete: "off" }, cancel);
  cancel.addEventListener("click", dismiss);
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") dismiss(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  return form;
}

function sendAnswer(form, send, answer) {
  form.hadFocus = form.contains(document.activeElement); // what is disabled loses it
  form.querySelectorAll("button, input").forEach((each) => { each.disabled = true; });
  send({ type: "answer", keeps: true, saves: false, ...answer });
}

/** A box to tick, with its label. */
function choice(text, checked) {
  const box = element("input", { type: "checkbox", checked });
  return { box, label: element("label", { className: "omniduct-choice" }, box, ` ${text}`) };
}
