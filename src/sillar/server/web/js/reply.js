// One answer: its text with citation chips, its sources, and what to do with it.

import { get, post } from "./api.js";
import { complain } from "./complain.js";
import { h, icon, notice } from "./dom.js";
import { handOff } from "./handoff.js";
import { rich } from "./rich.js";
import { seconds, t } from "./text.js";
import { openPassage, place } from "./viewer.js";

export function reply(question, answer) {
  return h("div", { class: answer.abstained ? "reply refused" : "reply" },
    understood(question, answer),
    h("div", { class: "answer" }, ...rich(answer.blocks, (n) => chip(answer, n))),
    answer.abstained ? refused() : null,
    sources(answer.citations, t("sources")),
    nearest(answer),
    ...actions(question, answer));
}

/** A follow-up is completed from the conversation; people see what was searched. */
function understood(question, answer) {
  if (!answer.asked || answer.asked === question) return null;
  return h("p", { class: "soft small" }, `${t("understood")}: ${answer.asked}`);
}

/** What to do about it; where there is no document at all, that first. */
function refused() {
  const hint = h("p", { class: "soft" }, t("refusedHint"));
  get("/v1/suggestions").then(({ documents }) => {
    if (!documents) hint.replaceChildren(t("noneHint"), " ", h("a", { href: "#documents" }, t("addDocuments")));
  }).catch(() => {}); // the hint is right without it
  return hint;
}

function chip(answer, n) {
  const citation = answer.citations.find((c) => c.number === n);
  return h("button", { class: "chip", type: "button", "aria-label": t("source", { n, name: citation.document }),
    onclick: () => openPassage(citation) }, String(n));
}

/** Where to look after all: the search may have found what the answer's own bar refused. */
function nearest(answer) {
  if (!answer.nearest?.length) return null;
  return h("div", { class: "nearest" }, h("p", { class: "soft" }, t("nearest")), sources(answer.nearest, t("nearest")));
}

function sources(citations, label) {
  if (!citations.length) return null;
  return h("ol", { class: "sources", "aria-label": label }, citations.map((citation) =>
    h("li", {}, h("button", { type: "button", onclick: () => openPassage(citation) },
      h("span", { class: "number" }, String(citation.number)),
      h("span", {}, h("strong", {}, citation.document), " ", h("span", { class: "soft small" }, place(citation, true))),
      h("q", {}, citation.quote)))));
}

function actions(question, answer) {
  const below = h("div", {});
  const tools = h("div", { class: "tools" },
    vote(answer, 1, "up", "helpful", below), vote(answer, -1, "down", "unhelpful", below),
    h("button", { class: "plain", type: "button", onclick: () => handOff(answer) }, icon("person"), t("handoff")),
    h("button", { class: "plain", type: "button", onclick: () => copy(question, answer) }, icon("copy"), t("copy")),
    h("span", { class: "soft small end" }, seconds(answer.timings.total ?? 0)));
  return [tools, below];
}

function vote(answer, value, picture, name, below) {
  const path = `/v1/answers/${answer.id}/feedback`;
  return h("button", { class: "plain", type: "button", "aria-pressed": "false", onclick: async (event) => {
    const button = event.currentTarget;
    const taken = button.getAttribute("aria-pressed") === "true";
    await post(path, { vote: taken ? 0 : value });
    for (const other of button.parentElement.querySelectorAll("[aria-pressed]")) other.setAttribute("aria-pressed", String(!taken && other === button));
    below.replaceChildren();
    if (!taken && value < 0) {
      below.append(why(answer, path, below));
      below.scrollIntoView({ block: "nearest" }); // the question's field covers the end of the page
    }
    if (!taken && value > 0) notice(t("thanks"));
  } }, icon(picture), t(name));
}

/** After a "no": what was wrong, and a person who may know better. */
function why(answer, path, below) {
  const comment = h("textarea", { rows: 2, maxlength: 2000 });
  const form = h("form", { class: "why" },
    h("label", {}, t("whatWrong"), comment),
    h("div", { class: "row" },
      h("button", { type: "submit" }, t("sendComment")),
      h("button", { type: "button", class: "primary", onclick: () => handOff(answer) }, icon("person"), t("handoff"))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await post(path, { vote: -1, comment: comment.value });
      below.replaceChildren();
      notice(t("thanks"));
    } catch (error) {
      complain(error);
    }
  });
  return form;
}

async function copy(question, answer) {
  const lines = answer.citations.map((c) => `[${c.number}] ${c.document}, ${place(c)}: "${c.quote}"`);
  const text = [question, "", answer.answer, "", ...lines].join("\n");
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else copyByHand(text); // browsers give no clipboard to pages without TLS
  notice(t("copied"));
}

function copyByHand(text) {
  const area = h("textarea", { class: "hidden" });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
