// The conversation: a question, its answer as it comes, and follow-ups, which are sent with what went before.

import { get, stream } from "./api.js";
import { complain } from "./complain.js";
import { h, icon, notice } from "./dom.js";
import { reply } from "./reply.js";
import { number, t } from "./text.js";

const turns = []; // {question, answer}: kept while the page is open
const HISTORY = 4;

export function ask(main) {
  const log = h("div", { class: "log", role: "log", "aria-label": t("conversation") });
  const input = h("textarea", { id: "question", rows: 1, maxlength: 4000, placeholder: t("placeholder"), required: true });
  const button = h("button", { class: "primary", type: "submit" }, icon("send"), h("span", {}, t("send")));
  const fresh = h("button", { type: "button", "aria-label": t("newChat"), onclick: restart }, icon("plus"), h("span", { class: "wide" }, t("newChat")));
  const head = h("div", { class: "head" }, h("h1", {}, t("askTitle")), fresh);
  const welcome = greeting((question) => { input.value = question; form.requestSubmit(); });
  const form = h("form", { class: "composer" },
    h("div", { class: "box" }, h("label", { for: "question" }, h("span", { class: "hidden" }, t("placeholder")), input), button));
  main.append(turns.length ? head : welcome, log, form);
  for (const turn of turns) log.append(view(turn));
  log.lastElementChild?.scrollIntoView();

  let running = null;

  function restart() {
    running?.abort();
    turns.length = 0;
    main.replaceChildren();
    ask(main);
  }

  function showState(busy) {
    button.replaceChildren(icon(busy ? "stop" : "send"), h("span", {}, t(busy ? "stop" : "send")));
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return running.abort();
    const question = input.value.trim();
    if (!question) return;
    input.value = "";
    if (welcome.isConnected) welcome.replaceWith(head);
    running = new AbortController();
    showState(true);
    try {
      if (!(await run(question, log, running.signal))) input.value ||= question;
    } finally {
      running = null;
      showState(false);
      input.focus({ preventScroll: true });
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

/** What stands there before the first question: what this is, and questions that were answered before. */
function greeting(choose) {
  const list = h("ul", { class: "suggestions" });
  const ready = h("p", { class: "soft small" });
  get("/v1/suggestions").then(({ data, documents }) => {
    if (documents) ready.append(t("readyDocuments", { n: number(documents) }), " ", h("a", { href: "#documents" }, t("seeDocuments")));
    else ready.replaceWith(h("p", {}, t("empty")), h("p", {}, h("a", { class: "button primary", href: "#documents" }, t("addDocuments"))));
    list.append(...data.map((question) => h("li", {}, h("button", { type: "button", onclick: () => choose(question) }, question))));
  }).catch(complain);
  return h("div", { class: "welcome" }, h("h1", {}, t("askTitle")), h("p", { class: "soft" }, t("askHint")), ready, list);
}

const view = ({ question, answer }) => h("section", { class: "turn" }, asked(question), reply(question, answer));

const asked = (question) => h("p", { class: "question" }, h("span", { class: "hidden" }, `${t("you")}: `), question);

/** Whether an answer came. */
async function run(question, log, signal) {
  const text = h("div", { class: "answer waiting", "aria-busy": "true" }, t("searching"));
  const pending = h("section", { class: "turn" }, asked(question), h("div", { class: "reply" }, text));
  log.append(pending);
  pending.scrollIntoView({ block: "start" });
  const history = turns.slice(-HISTORY).flatMap((turn) => [
    { role: "user", content: turn.question },
    { role: "assistant", content: turn.answer.answer.slice(0, 4000) },
  ]);
  let shown = "";
  let done = false;
  try {
    for await (const { event, data } of stream("/v1/ask", { question, history, stream: true }, signal)) {
      if (data.error) throw new Error(data.error.message);
      if (event === "delta") {
        text.textContent = shown += data.text;
        text.scrollIntoView({ block: "nearest" });
      } else if (event === "answer") {
        turns.push({ question, answer: data });
        const whole = view(turns.at(-1));
        pending.replaceWith(whole);
        whole.scrollIntoView({ block: "start" }); // what was asked and all that fits below it
        done = true;
      }
    }
    if (!done) throw new TypeError("the stream ended early");
  } catch (error) {
    if (!done) pending.remove();
    if (error.name === "Error") notice(error.message);
    else complain(error);
  }
  return done;
}
