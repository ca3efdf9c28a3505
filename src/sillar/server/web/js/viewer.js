// Opens a citation: its passage highlighted in the document's text, and the page's picture for PDFs.

import { blob, get } from "./api.js";
import { h } from "./dom.js";
import { complain } from "./complain.js";
import { t } from "./text.js";

/** "page 3 · Section > Subsection" */
export function place(citation) {
  const where = [];
  if (citation.page) where.push(`${t("page")} ${citation.page}`);
  else if (citation.lines) where.push(`${t("lines")} ${citation.lines[0]}–${citation.lines[1]}`);
  if (citation.section) where.push(citation.section);
  return where.join(" · ");
}

export async function openPassage(citation) {
  const dialog = document.getElementById("viewer");
  try {
    const path = `/v1/documents/${citation.document_id}`;
    const context = await get(`${path}/text?start=${citation.start}&end=${citation.end}`);
    const marked = h("mark", {}, context.quote);
    dialog.replaceChildren(
      h("div", { class: "row" }, h("h2", { id: "viewer-title" }, citation.document),
        h("button", { type: "button", onclick: () => dialog.close() }, t("close"))),
      h("p", { class: "soft small" }, place(citation)),
      h("div", { class: "passage", tabindex: 0 }, context.before, marked, context.after));
    if (!dialog.open) dialog.showModal();
    marked.scrollIntoView({ block: "center" });
    if (citation.page && context.media_type === "application/pdf") await picture(dialog, path, citation);
  } catch (error) {
    complain(error);
  }
}

async function picture(dialog, path, citation) {
  const image = await blob(`${path}/pages/${citation.page}.png?quote=${encodeURIComponent(citation.quote.slice(0, 1000))}`);
  const address = URL.createObjectURL(image);
  const element = h("img", { src: address, alt: `${t("page")} ${citation.page}`, onload: () => URL.revokeObjectURL(address) });
  dialog.append(h("div", { class: "page" }, element));
}
