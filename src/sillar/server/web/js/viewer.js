// Opens a citation: the page's picture with the passage marked for PDFs, its section for other documents.

import { get, picture } from "./api.js";
import { complain } from "./complain.js";
import { h, openDialog } from "./dom.js";
import { t } from "./text.js";

/** "page 3 · Section > Subsection"; `brief` has the innermost section only. */
export function place(citation, brief = false) {
  const where = [];
  if (citation.page) where.push(`${t("page")} ${citation.page}`);
  else if (citation.lines) where.push(citation.lines[0] === citation.lines[1] ? `${t("line")} ${citation.lines[0]}` : `${t("lines")} ${citation.lines.join("–")}`);
  if (citation.section) where.push(brief ? citation.section.split(" > ").at(-1) : citation.section);
  return where.join(" · ");
}

export async function openPassage(citation) {
  try {
    const path = `/v1/documents/${citation.document_id}`;
    const context = await get(`${path}/text?start=${citation.start}&end=${citation.end}`);
    const marked = h("mark", {}, context.quote);
    const text = h("div", { class: "passage", tabindex: 0, role: "region", "aria-label": t("opened") }, context.before, marked, context.after);
    const paged = citation.page && context.media_type === "application/pdf";
    const dialog = openDialog("", h("div", { class: "viewer" },
      h("div", { class: "row apart" }, h("h2", { id: "viewer-title" }, citation.document),
        h("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, t("close"))),
      h("p", { class: "soft small" }, place(citation)),
      paged ? pageOrText(path, citation, text) : text));
    if (!paged) marked.scrollIntoView({ block: "center" });
  } catch (error) {
    complain(error);
  }
}

/** The picture first; the text one click away, and at once where the page cannot be drawn. */
function pageOrText(path, citation, text) {
  const page = h("div", { class: "page", tabindex: 0, "aria-busy": "true" }, t("drawing"));
  const select = (name) => {
    page.hidden = name !== "page";
    text.hidden = name === "page";
    for (const button of choice.children) button.setAttribute("aria-pressed", String(button.value === name));
    if (!text.hidden) text.querySelector("mark").scrollIntoView({ block: "center" });
  };
  const option = (name, label) => h("button", { class: "plain", type: "button", value: name, "aria-pressed": "false", onclick: () => select(name) }, label);
  const choice = h("div", { class: "row" }, option("page", t("asPage")), option("text", t("asText")));
  draw(page, path, citation).catch((error) => { complain(error); select("text"); });
  queueMicrotask(() => select("page"));
  return h("div", { class: "viewer" }, choice, page, text);
}

async function draw(page, path, citation) {
  const query = new URLSearchParams({ quote: citation.quote.slice(0, 1000) });
  const { image, top, left } = await picture(`${path}/pages/${citation.page}.png?${query}`);
  const address = URL.createObjectURL(image);
  const element = h("img", { src: address, alt: `${t("page")} ${citation.page}: ${citation.quote}` });
  await element.decode();
  URL.revokeObjectURL(address);
  page.replaceChildren(element);
  page.removeAttribute("aria-busy");
  page.scrollTop = top * element.clientHeight - page.clientHeight / 3;
  page.scrollLeft = left * element.clientWidth - 12; // on a phone the page is wider than the screen
}
