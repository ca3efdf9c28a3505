// Opens a document, at a citation or from its beginning: PDFs as pictures of their pages, others by sections.

import { get, picture } from "./api.js";
import { complain } from "./complain.js";
import { closeDialog, h, icon, latest, openDialog } from "./dom.js";
import { t } from "./text.js";

const PART = 12000; // characters of a section shown at once
const opening = latest();

/** "page 3 · Section > Subsection"; `brief` has the innermost section only. */
export function place(citation, brief = false) {
  const where = [];
  if (citation.page) where.push(citation.last_page > citation.page ? `${t("pages")} ${citation.page}–${citation.last_page}` : `${t("page")} ${citation.page}`);
  else if (citation.lines) where.push(citation.lines[0] === citation.lines[1] ? `${t("line")} ${citation.lines[0]}` : `${t("lines")} ${citation.lines.join("–")}`);
  if (citation.section) where.push(brief ? citation.section.split(" > ").at(-1) : citation.section);
  return where.join(" · ");
}

export async function openPassage(citation) {
  const current = opening();
  try {
    const path = `/v1/documents/${citation.document_id}`;
    const context = await get(`${path}/text?start=${citation.start}&end=${citation.end}`);
    const marked = h("mark", {}, context.quote);
    const text = passage(t("opened"), context.before, marked, context.after);
    const paged = citation.page && context.media_type === "application/pdf";
    const last = paged ? Math.max(citation.last_page ?? citation.page, (await get(`${path}/sections`)).pages) : 0;
    if (!current()) return;
    const shown = paged ? pagesOrText(pagesOf(path, citation.page, last, citation), text, marked) : text;
    show(citation.document, place(citation), shown);
    if (!paged) marked.scrollIntoView({ block: "center" });
  } catch (error) {
    complain(error);
  }
}

/** A document of the list, from its beginning. */
export async function openDocument(row) {
  const current = opening();
  try {
    const path = `/v1/documents/${row.id}`;
    const whole = await get(`${path}/sections`);
    if (!current()) return;
    const text = sectionsOf(path, whole.data);
    const paged = whole.pages && whole.media_type === "application/pdf";
    show(row.title || row.path, row.title ? row.path : "", paged ? pagesOrText(pagesOf(path, 1, whole.pages), text) : text);
  } catch (error) {
    complain(error);
  }
}

function show(name, where, content) {
  openDialog("", h("div", { class: "viewer" },
    h("div", { class: "row apart" }, h("h2", { id: "viewer-title" }, name),
      h("button", { type: "button", autofocus: true, onclick: closeDialog }, t("close"))),
    where ? h("p", { class: "soft small" }, where) : null, content));
}

const passage = (label, ...content) => h("div", { class: "passage", tabindex: 0, role: "region", "aria-label": label }, ...content);

/** The picture first; the text one click away, and at once where the page cannot be drawn. */
function pagesOrText(pages, text, marked = null) {
  const select = (name) => {
    pages.hidden = name !== "page";
    text.hidden = name === "page";
    for (const button of choice.children) button.setAttribute("aria-pressed", String(button.value === name));
    if (!text.hidden) marked?.scrollIntoView({ block: "center" });
  };
  const option = (name, label) => h("button", { class: "plain", type: "button", value: name, "aria-pressed": "false", onclick: () => select(name) }, label);
  const choice = h("div", { class: "row" }, option("page", t("asPage")), option("text", t("asText")));
  pages.addEventListener("undrawn", () => select("text"));
  queueMicrotask(() => select("page"));
  return h("div", { class: "viewer" }, choice, pages, text);
}

/** One page of `last` at a time, from `first` on; `citation` is marked on its own. */
function pagesOf(path, first, last, citation = null) {
  const page = h("div", { class: "page", tabindex: 0, role: "region", "aria-label": t("asPage") });
  const turner = turn(first, last, (n) => `${t("page")} ${n} / ${last}`, open);
  const view = h("div", { class: "viewer" }, turner, page);
  const ends = citation ? citation.last_page ?? citation.page : 0;
  let looking = citation !== null;
  const asking = latest();

  async function open(n) {
    const current = asking();
    page.setAttribute("aria-busy", "true");
    page.replaceChildren(t("drawing"));
    try {
      const drawn = await draw(path, n, citation && n >= citation.page && n <= ends ? citation.quote : "");
      if (!current()) return;
      lay(page, drawn);
      if (looking && !drawn.marked && n < ends) return turner.go(n + 1); // over a page break: on the next one, then
      looking = false;
    } catch (error) {
      if (!current()) return;
      page.removeAttribute("aria-busy");
      page.replaceChildren(h("p", { class: "soft" }, error.message ?? t("offline")));
      if (n === first) {
        complain(error);
        view.dispatchEvent(new Event("undrawn"));
      }
    }
  }
  open(first);
  return view;
}

/** A section at a time, chosen by its heading. */
function sectionsOf(path, sections) {
  const text = passage(t("asText"));
  const parts = sections.flatMap(({ name, start, end }) => Array.from({ length: Math.ceil((end - start) / PART) || 1 },
    (_, i) => ({ name: name || t("beginning"), start: start + i * PART, end: Math.min(end, start + (i + 1) * PART) })));
  const asking = latest();
  async function open(n) {
    const current = asking();
    const { start, end } = parts[n - 1];
    chooser.value = String(n);
    try {
      const part = await get(`${path}/text?start=${start}&end=${end}`);
      if (!current()) return;
      text.replaceChildren(part.quote);
      text.scrollTop = 0;
    } catch (error) {
      complain(error);
    }
  }
  const chooser = h("select", { "aria-label": t("section"), onchange: () => turner.go(Number(chooser.value)) },
    parts.map((part, i) => h("option", { value: i + 1 }, part.name)));
  const turner = turn(1, parts.length, (n) => `${n} / ${parts.length}`, open);
  if (parts.length) open(1);
  else text.append(t("empty"));
  return h("div", { class: "viewer" }, parts.length > 1 ? h("div", { class: "row" }, chooser, turner) : null, text);
}

/** Buttons to the one before and the next, and which one is shown. */
function turn(first, last, label, open) {
  let now = first;
  const step = (name, picture, by) => h("button", { type: "button", "aria-label": t(name), onclick: () => bar.go(now + by) }, icon(picture));
  const where = h("span", { class: "small", role: "status" });
  const bar = h("div", { class: "row turn-over" }, step("before", "left", -1), where, step("next", "right", 1));
  const tell = () => {
    where.textContent = label(now);
    bar.firstChild.disabled = now <= 1;
    bar.lastChild.disabled = now >= last;
  };
  bar.go = (n) => {
    now = Math.min(Math.max(n, 1), last);
    tell();
    open(now);
  };
  tell();
  return bar;
}

async function draw(path, number, quote) {
  const query = new URLSearchParams({ quote: quote.slice(0, 1000) });
  const { image, ...where } = await picture(`${path}/pages/${number}.png?${query}`);
  const address = URL.createObjectURL(image);
  const element = h("img", { src: address, alt: quote ? `${t("page")} ${number}: ${quote}` : `${t("page")} ${number}` });
  await element.decode();
  URL.revokeObjectURL(address);
  return { element, ...where };
}

function lay(page, { element, top, left }) {
  page.replaceChildren(element);
  page.removeAttribute("aria-busy");
  page.scrollTop = top * element.clientHeight - page.clientHeight / 3;
  page.scrollLeft = left * element.clientWidth - 12; // on a phone the page is wider than the screen
}
