// The key of this tab, who it belongs to, how the server and its models are doing, and the tenant's keys.

import { get, key, logout, session, setKey } from "./api.js";
import { complain } from "./complain.js";
import { h, latest, notice } from "./dom.js";
import { keysSection } from "./keys.js";
import { machineView, modelList } from "./machine.js";
import { t } from "./text.js";

export function settings(main) {
  const input = h("input", { id: "key", type: "password", autocomplete: "off", value: key() });
  const form = h("form", { class: "card", hidden: true }, h("h2", {}, t("access")),
    h("label", { class: "field" }, t("apiKey"), input),
    h("p", { class: "soft small" }, t("keyHint")),
    h("button", { class: "primary", type: "submit" }, t("save")));
  const state = h("div", {});
  const keys = h("div", {});
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    setKey(input.value);
    notice(t("saved"));
    load();
  });
  main.append(h("h1", {}, t("settingsTitle")), state, keys, ...(session ? [login()] : []), form);

  const asking = latest();
  async function load() {
    const current = asking();
    keys.replaceChildren();
    try {
      const ready = await fetch("/health").then((response) => response.ok);
      const [models, me] = await Promise.all([get("/v1/models"), get("/v1/me")]);
      const may = (scope) => me.scopes.includes(scope);
      const machine = may("metrics") ? await get("/v1/machine") : null;
      const section = me.name !== "local" && may("admin") ? await keysSection() : null;
      if (!current()) return;
      state.replaceChildren(health(ready, me),
        ...(machine ? machineView(machine, may("admin"), load) : [modelList(models.data)]));
      form.hidden = false;
      if (me.name === "local") form.replaceChildren(h("h2", {}, t("access")), h("p", {}, t("noKeysNeeded")));
      else if (section) keys.replaceChildren(section);
    } catch (error) {
      if (!current()) return;
      state.replaceChildren();
      form.hidden = false;
      complain(error);
    }
  }
  load();
}

/** What a key may do, in words; whoever may see documents may ask. */
function rights(me) {
  if (me.name === "local") return t("everything");
  const told = ["documents", "generate", "embed", "metrics", "admin"].filter((scope) => me.scopes.includes(scope));
  if (me.scopes.includes("ask") && !told.includes("documents")) told.unshift("ask");
  return told.map((scope) => t(`scope_${scope}`)).join("; ");
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
      h("dt", {}, t("may")), h("dd", {}, rights(me))));
}
