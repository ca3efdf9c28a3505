// The models: which are loaded, what they take and how fast they are, which one answers, what else could be loaded.

import { put } from "./api.js";
import { complain } from "./complain.js";
import { h, notice } from "./dom.js";
import { number, t } from "./text.js";

const head = (...names) => h("thead", {}, h("tr", {}, names.map(([name, kind]) => h("th", { scope: "col", class: kind }, t(name)))));
const cell = (text, kind) => h("td", { class: kind }, text);
const gib = (bytes) => (bytes ? `${number(bytes / 2 ** 30, 2)} GiB` : "–");
const use = (name) => t({ search: "useSearch", rerank: "useRerank" }[name] ?? "useText");

/** For those who may not see the machine: names and contexts. */
export function modelList(models) {
  const kind = (model) => (model.dimensions ? t("useSearch") : model.id === "documents" ? t("useDocuments") : "");
  return h("section", { class: "card" }, h("h2", {}, t("models")), h("div", { class: "scroll" }, h("table", {},
    head(["name"], ["use"], ["context", "number"]),
    h("tbody", {}, models.map((model) => h("tr", {}, cell(model.id, "file"), cell(kind(model)),
      cell(model.context_length ? number(model.context_length) : "–", "number")))))));
}

/** What GET /v1/machine says; `mayChoose`: whether this key may say which model answers. */
export function machineView(machine, mayChoose, reload) {
  return [h("section", { class: "card" }, h("h2", {}, t("models")),
    h("div", { class: "scroll" }, h("table", {},
      head(["name"], ["use", "fold"], ["memory", "number"], ["context", "number fold"], ["speed", "number"]),
      h("tbody", {}, machine.models.map((model) => h("tr", {},
        h("td", { class: "file" }, model.id, model.id === machine.answering ? h("small", {}, t("answersNow")) : null),
        cell(use(model.use), "fold"), cell(gib(model.memory_bytes), "number"),
        cell(number(model.context_length), "number fold"), h("td", { class: "number" }, ...speed(model))))))),
    h("p", { class: "soft small" }, t("freeMemory", { n: gib(machine.free_bytes) })),
    ...choice(machine, mayChoose, reload)),
  ...(machine.cached.length ? [cached(machine.cached)] : [])];
}

/** As seen since the start; a model that was not used yet has none. */
function speed(model) {
  const rows = [["readsAt", model.prompt_tokens_per_second], ["writesAt", model.tokens_per_second]];
  const seen = rows.filter(([, value]) => value).map(([name, value]) => h("div", { class: "small" }, t(name, { n: number(value) })));
  return seen.length ? seen : ["–"];
}

function choice(machine, mayChoose, reload) {
  const names = machine.models.filter((model) => model.use === "text").map((model) => model.id);
  const hint = h("p", { class: "soft small" }, t(names.length > 1 ? "untilRestart" : "oneModel"), " ",
    h("code", {}, `sillar serve ${t("folderWord")} --model ${names[0] ?? "NAME"}${names.length > 1 ? "" : " --model NAME"}`));
  if (!mayChoose || names.length < 2) return [hint];
  const select = h("select", { id: "answering" }, names.map((name) => h("option", { value: name, selected: name === machine.answering }, name)));
  select.addEventListener("change", async () => {
    try {
      await put("/v1/answering", { model: select.value });
      notice(t("saved"));
    } catch (error) {
      complain(error);
    }
    reload();
  });
  return [h("p", { class: "row" }, h("label", { for: "answering" }, t("answerWith")), select), hint];
}

function cached(models) {
  return h("section", { class: "card" }, h("h2", {}, t("cachedTitle")), h("p", { class: "soft small" }, t("cachedHint")),
    h("div", { class: "scroll" }, h("table", {}, head(["name"], ["use"], ["needs", "number"], ["state"]),
      h("tbody", {}, models.map((model) => h("tr", {}, cell(model.id, "file"), cell(model.use ? use(model.use) : "–"),
        cell(gib(model.least_bytes), "number"),
        h("td", {}, h("span", { class: model.fits ? "badge good" : "badge warn" }, t(model.fits ? "fits" : "fitsNot")))))))));
}
