/* The panel's page. These files are read one behind the other, as one module: elements, questions, details, rows, kernel, panel. */

/** An element with its properties (attributes where they have a dash, or are `role`), and what is in it. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.includes("-") || name === "role" || name === "for" || name === "scope") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Set a text, if it is another one: what is not changed keeps the person's selection. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set an attribute, or take it away. */
function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Show or hide, if it is not so already. */
function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

let lastId = 0;

/** An id that nothing else in the page has. */
function newId(what) {
  lastId += 1;
  return `omniduct-${what}-${Date.now().toString(36)}-${lastId}`;
}
