/** A question in a duct's row: a form, of which the answer is sent and then forgotten. */
function questionForm(question, duct, send) {
  const id = newId("field");
  const done = element("button", { type: "submit", className: "omniduct-button omniduct-first" }, "Submit");
  const cancel = element("button", { type: "button", className: "omniduct-button" }, "Cancel");
  const form = element("form", { className: "omniduct-question", autocomplete: "off" });
  cancel.addEventListener("click", () => send({ type: "dismiss", key: question.key }));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") send({ type: "dismiss", key: question.key });
  });
  if (question.kind === "confirm") {
    const no = element("button", { type: "button", className: "omniduct-button" }, "No");
    no.addEventListener("click", () => answer(false));
    form.append(element("p", { className: "omniduct-label" }, question.label), yes(), no, cancel);
    return form;
  }
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
  const keeps = choice("remember for this session", true);
  const saves = question.can_save ? choice("save in the keyring", false) : null;
  form.append(
    element("label", { for: id, className: "omniduct-label" }, question.label),
    input, done, cancel, keeps.label, ...(saves ? [saves.label] : []),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    answer(input.value);
    input.value = "";
  });
  return form;

  function yes() {
    setText(done, "Yes");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      answer(true);
    });
    return done;
  }

  function answer(text) {
    form.querySelectorAll("button, input").forEach((each) => { each.disabled = true; });
    send({
      type: "answer", key: question.key, text,
      keeps: keeps ? keeps.box.checked : true, saves: saves ? saves.box.checked : false,
    });
  }
}

/** A box to tick, with its label. */
function choice(text, checked) {
  const box = element("input", { type: "checkbox", checked });
  return { box, label: element("label", { className: "omniduct-choice" }, box, ` ${text}`) };
}
