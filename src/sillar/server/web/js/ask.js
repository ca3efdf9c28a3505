// The conversation: a question, its answer as it comes, its sources, and what to do with it.

import { post, stream } from "./api.js";
import { h, notice } from "./dom.js";
import { handOff } from "./handoff.js";
import { complain } from "./complain.js";
import { number, t } from "./text.js";
import { openPassage, place } from "./viewer.js";

const turns = []; // {question, answer}: kept while the page is open, sent along for follow-ups

export function ask(main) {
  const log = h("div", { role: "log", "aria-label": t("ask") });
  const input = h("textarea", { id: "question", rows: 2, maxlength: 4000, placeholder: t("placeholder"), required: true });
  const button = h("button", { class: "primary", type: "submit" }, t("send"));
  const form = h("form", { class: "composer" },
    h("label", { for: "question" }, h("span", { class: "hidden" }, t("placeholder")), input), button);
  main.append(
    h("h1", {}, t("askTitle")),
    h("p", { class: "soft" }, t("askHint")),
    log, form);
  for (const turn of turns) log.append(view(turn));

  let running = null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return running.abort();
    const question = input.value.trim();
    if (!question) return;
    input.value = "";
    running = new AbortController();
    button.textContent = t("stop");
    try {
      await run(question, log, running.signal);
    } finally {
      running = null;
      button.textContent = t("send");
      input.focus();
    }
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (!running) form.requestSubmit();
    }
  });
  input.focus();
  return () => running?.abort();
}

async function run(question, log, signal) {
  const text = h("div", { class: "answer waiting", "aria-busy": "true" }, t("searching"));
  const pending = h("section", {}, h("p", { class: "question" }, question), text);
  log.append(pending);
  pending.scrollIntoView({ block: "nearest" });
  const history = turns.slice(-3).flatMap((turn) => [
    { role: "user", content: turn.question },
    { role: "assistant", content: turn.answer.answer.slice(0, 4000) },
  ]);
  let shown = "";
  try {
    for await (const { event, data } of stream("/v1/ask", { question, history, stream: true }, signal)) {
      if (event === "delta") text.textContent = shown += data.text;
      else if (event === "error") throw new Error(data.error.message);
      else if (event === "answer") {
        const turn = { question, answer: data };
        turns.push(turn);
        pending.replaceWith(view(turn));
      }
    }
  } catch (error) {
    pending.remove();
    if (error.name === "Error") notice(error.message);
    else complain(error);
  }
}

function view({ question, answer }) {
  return h("section", {},
    h("p", { class: "question" }, h("span", { class: "hidden" }, t("you")), question),
    h("div", { class: "answer" }, ...withChips(answer)),
    sources(answer),
    actions(question, answer));
}

/** The answer's text, each [n] as a button that opens its passage. */
function withChips(answer) {
  return answer.answer.split(/(\[\d+\])/).map((part) => {
    const match = /^\[(\d+)\]$/.exec(part);
    const citation = match && answer.citations.find((c) => c.number === Number(match[1]));
    if (!citation) return part;
    return h("button", { class: "chip", type: "button", "aria-label": t("source", { n: match[1] }),
      onclick: () => openPassage(citation) }, match[1]);
  });
}

function sources(answer) {
  if (!answer.citations.length) return null;
  return h("ol", { class: "sources", "aria-label": t("sources") }, answer.citations.map((citation) =>
    h("li", {}, h("button", { type: "button", onclick: () => openPassage(citation) },
      h("span", {}, h("strong", {}, `[${citation.number}] ${citation.document}`), ` ${place(citation)}`),
      h("q", {}, citation.quote)))));
}

function actions(question, answer) {
  const vote = (value, name) => h("button", { class: "plain", type: "button", "aria-pressed": "false", onclick: async (event) => {
    const button = event.currentTarget;
    await post(`/v1/answers/${answer.id}/feedback`, { vote: value });
    for (const other of button.parentElement.querySelectorAll("[aria-pressed]")) other.setAttribute("aria-pressed", String(other === button));
    notice(t("thanks"));
  } }, name);
  const seconds = (answer.timings.total ?? 0).toFixed(1);
  return h("div", { class: "row small" },
    vote(1, t("helpful")), vote(-1, t("unhelpful")),
    h("button", { class: "plain", type: "button", onclick: () => handOff(answer) }, t("handoff")),
    h("button", { class: "plain", type: "button", onclick: () => copy(question, answer) }, t("copy")),
    h("span", { class: "soft" }, t("seconds", { n: number(seconds, 1) })));
}

async function copy(question, answer) {
  const lines = answer.citations.map((c) => `[${c.number}] ${c.document} ${place(c)}: "${c.quote}"`);
  await navigator.clipboard.writeText([question, "", answer.answer, "", ...lines].join("\n"));
  notice(t("copied"));
}
