// The key of this tab, who it belongs to, the models that are loaded, and whether the server is ready.

import { get, key, logout, session, setKey } from "./api.js";
import { complain } from "./complain.js";
import { h, notice } from "./dom.js";
import { number, t } from "./text.js";

export function settings(main) {
  const input = h("input", { id: "key", type: "password", autocomplete: "off", value: key() });
  const form = h("form", { class: "card" }, h("h2", {}, t("access")),
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
  main.append(h("h1", {}, t("settingsTitle")), state, ...(session ? [login()] : []), form);

  async function load() {
    try {
      const ready = await fetch("/health").then((response) => response.ok);
      const [models, me] = await Promise.all([get("/v1/models"), get("/v1/me")]);
      state.replaceChildren(health(ready, me), modelList(models.data));
    } catch (error) {
      state.replaceChildren();
      complain(error);
    }
  }
  load();
}

function login() {
  return h("section", { class: "card" }, h("h2", {}, t("login")), session.person
    ? h("div", { class: "row apart" }, session.person, h("button", { type: "button", onclick: logout }, t("logout")))
    : h("a", { class: "button primary", href: "/auth/login" }, t("loginHere")));
}

function health(ready, me) {
  return h("section", { class: "card" }, h("h2", {}, t("health")),
    h("dl", { class: "pairs" },
      h("dt", {}, t("server")), h("dd", {}, h("span", { class: ready ? "badge good" : "badge bad" }, t(ready ? "healthy" : "unhealthy")), ` Sillar ${me.version}`),
      h("dt", {}, t("you_are")), h("dd", {}, me.name === "local" ? t("localUser") : me.name),
      h("dt", {}, t("may")), h("dd", {}, me.scopes.join(", "))));
}

function modelList(models) {
  return h("section", { class: "card" }, h("h2", {}, t("models")),
    h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("name")), h("th", { scope: "col" }, t("use")), h("th", { scope: "col", class: "number" }, t("context")))),
      h("tbody", {}, models.map((model) => h("tr", {}, h("td", {}, model.id), h("td", {}, t(kind(model))),
        h("td", { class: "number" }, model.context_length ? number(model.context_length) : "–")))))));
}

function kind(model) {
  if (model.dimensions) return "useSearch";
  return model.id === "documents" ? "useDocuments" : "useText";
}
