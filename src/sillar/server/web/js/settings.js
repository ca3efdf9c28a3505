// The key of this tab, the models that are loaded, and whether the server is ready.

import { get, key, setKey } from "./api.js";
import { h, notice } from "./dom.js";
import { complain } from "./complain.js";
import { t } from "./text.js";

export function settings(main) {
  const input = h("input", { id: "key", type: "password", autocomplete: "off", value: key() });
  const form = h("form", { class: "card" },
    h("label", { class: "field" }, t("apiKey"), input),
    h("p", { class: "soft small" }, t("keyHint")),
    h("button", { class: "primary", type: "submit" }, t("save")));
  const state = h("div", {});
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    setKey(input.value);
    notice(t("saved"));
    load();
  });
  main.append(h("h1", {}, t("settingsTitle")), form, state);

  async function load() {
    try {
      const healthy = (await fetch("/health")).ok;
      const models = await get("/v1/models");
      state.replaceChildren(
        h("section", { class: "card" }, h("h2", {}, t("health")), h("p", { class: healthy ? "good" : "bad" }, t(healthy ? "healthy" : "unhealthy"))),
        h("section", { class: "card" }, h("h2", {}, t("models")), h("ul", {}, models.data.map((model) => h("li", {}, model.id)))));
    } catch (error) {
      complain(error);
    }
  }
  load();
}
