// Builds elements without ever parsing text as markup; the policy of trusted types forbids it anyway.

/** h("button", {class: "primary", onclick: f}, "Ask", child, ...) */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Each call of what this gives says later whether it is still the latest: answers that come late are not shown. */
export function latest() {
  let last = 0;
  return () => {
    const mine = ++last;
    return () => mine === last;
  };
}

/**
 * Shows `fresh` in `parent`, where elements say by data-key what they are: one that is there already stays, so that a
 * live region does not say it again.
 */
export function show(parent, fresh) {
  const old = new Map([...parent.children].map((element) => [element.dataset.key, element]));
  const now = fresh.map((element) => old.get(element.dataset.key) ?? element);
  for (const element of [...parent.children]) if (!now.includes(element)) element.remove();
  now.forEach((element, i) => { if (parent.children[i] !== element) parent.insertBefore(element, parent.children[i] ?? null); });
}

/** Replaces what is in `parent`; the focus stays on what has its data-key, or else goes to what took its place. */
export function redraw(parent, ...content) {
  const all = () => [...parent.querySelectorAll("[data-key]")];
  const key = parent.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const place = all().findIndex((element) => element.dataset.key === key);
  parent.replaceChildren(...content);
  if (key === undefined) return;
  const now = all();
  (now.find((element) => element.dataset.key === key) ?? now[Math.min(place, now.length - 1)])?.focus({ preventScroll: true });
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

const ICONS = {
  up: "M3 11h4v10H3zM7 11l4-8a2.5 2.5 0 0 1 2.5 2.6L13 9h6.3a2 2 0 0 1 2 2.3l-1.2 7.8a2 2 0 0 1-2 1.9H7",
  down: "M3 13h4V3H3zM7 13l4 8a2.5 2.5 0 0 0 2.5-2.6L13 15h6.3a2 2 0 0 0 2-2.3l-1.2-7.8a2 2 0 0 0-2-1.9H7",
  person: "M12 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c.6-4 3.700-7 8-7s7.400 3 8 7",
  copy: "M9 9h11v12H9zM5 15H4V3h11v2",
  plus: "M12 5v14M5 12h14",
  send: "M5 12h14M13 6l6 6-6 6",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  stop: "M7 7h10v10H7z",
};

/** A small picture beside a word; screen readers skip it. */
export const icon = (name) => svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));

/** A message at the edge of the page; screen readers hear it. */
export function notice(text) {
  const element = h("div", { class: "notice" }, text);
  document.getElementById("notices").append(element);
  setTimeout(() => element.remove(), 7000);
}

/** Shows `content` in the page's one dialog; its heading has the id viewer-title. */
export function openDialog(kind, ...content) {
  const dialog = document.getElementById("viewer");
  dialog.className = kind;
  dialog.replaceChildren(...content);
  dialog.onclose = () => { if (!dialog.open) dialog.replaceChildren(); }; // by the Escape key
  if (!dialog.open) dialog.showModal();
  return dialog;
}

/** What was shown, a new key above all, does not stay behind a closed dialog. */
export function closeDialog() {
  const dialog = document.getElementById("viewer");
  dialog.close();
  dialog.replaceChildren();
}
