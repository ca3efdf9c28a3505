// Builds elements without ever parsing text as markup.

/** h("button", {class: "primary", onclick: f}, "Ask", child, ...) */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** A message at the edge of the page; screen readers hear it. */
export function notice(text) {
  const element = h("div", { class: "notice" }, text);
  document.getElementById("notices").append(element);
  setTimeout(() => element.remove(), 6000);
}
