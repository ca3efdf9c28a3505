// An answer's text: the server's tree of allowed elements becomes nodes; what is not allowed becomes its text.

import { h } from "./dom.js";

const TAGS = new Set(["p", "strong", "em", "s", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "br",
  "table", "thead", "tbody", "tr", "th", "td", "h3"]);

/** `cite(n)` makes the element of citation n. */
export function rich(blocks, cite) {
  return blocks.map((node) => {
    if (typeof node === "string") return node;
    if (!Array.isArray(node)) return [];
    const [tag, ...children] = node;
    if (tag === "cite") return cite(children[0]);
    return TAGS.has(tag) ? h(tag, {}, ...rich(children, cite)) : rich(children, cite);
  }).flat();
}
