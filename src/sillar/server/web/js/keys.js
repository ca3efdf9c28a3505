// The keys of one's tenant, for a key with the scope admin: listed, made (the key is shown once) and revoked.

import { get, post, remove } from "./api.js";
import { complain, said } from "./complain.js";
import { closeDialog, h, notice, openDialog } from "./dom.js";
import { language, t } from "./text.js";

const WIDGET = ["ask"];

export async function keysSection() {
  const body = h("div", {});
  const add = h("button", { type: "button", hidden: true }, t("newKey"));
  const section = h("section", { class: "card", id: "keys" },
    h("div", { class: "row apart" }, h("h2", {}, t("keysTitle")), add), h("p", { class: "soft small" }, t("keysHint")), body);

  async function load() {
    const keys = await get("/v1/keys");
    add.hidden = !keys.managed;
    add.onclick = () => makeKey(keys.scopes, () => load().catch(complain));
    body.replaceChildren(...(keys.problem ? [h("p", { class: "bad" }, t("keysProblem"))] : []),
      keys.managed ? table(keys.data, load) : h("p", {}, t("keysUnmanaged")));
  }
  await load();
  return section;
}

function table(rows, reload) {
  const head = [["name"], ["keyMay", "fold"], ["created", "fold"], ["lastUsed"]];
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, head.map(([name, kind]) => h("th", { scope: "col", class: kind }, t(name))), h("td", {}))),
    h("tbody", {}, rows.map((row) => h("tr", {},
      h("td", { class: "file" }, row.name, ...row.origins.map((origin) => h("small", {}, origin))),
      h("td", { class: "fold" }, row.scopes.join(", ")),
      h("td", { class: "fold date" }, row.created ?? "–"),
      h("td", {}, row.last_used ? moment(row.last_used) : t("notUsed")),
      h("td", { class: "number" }, row.current ? h("span", { class: "soft small" }, t("thisKey"))
        : h("button", { class: "plain", type: "button", "aria-label": `${t("revoke")}: ${row.name}`, onclick: () => revoke(row, reload) }, t("revoke"))))))));
}

const moment = (seconds) => new Intl.DateTimeFormat(language(), { dateStyle: "short", timeStyle: "short" }).format(new Date(seconds * 1000));

async function revoke(row, reload) {
  if (!confirm(t("revokeSure", { name: row.name }))) return;
  try {
    await remove(`/v1/keys/${row.id}`);
    notice(t("revoked"));
    await reload();
  } catch (error) {
    complain(error);
  }
}

function makeKey(scopes, reload) {
  const name = h("input", { id: "key-name", maxlength: 60, required: true, autocomplete: "off" });
  const boxes = scopes.map((scope) => h("input", { type: "checkbox", value: scope, id: `scope-${scope}`, checked: scope === "ask" }));
  const origins = h("textarea", { id: "key-origins", rows: 2, autocomplete: "off", spellcheck: "false", placeholder: "https://", "aria-describedby": "origins-hint" });
  const problem = h("p", { class: "bad small", role: "alert" });
  const form = h("form", {},
    h("h2", { id: "viewer-title" }, t("newKey")),
    h("label", { class: "field", for: "key-name" }, t("keyName"), name),
    h("fieldset", {}, h("legend", {}, t("keyMay")), boxes.map((box) => h("label", { class: "row", for: box.id }, box, t(`scope_${box.value}`)))),
    h("label", { class: "field", for: "key-origins" }, t("keyOrigins"), origins),
    h("p", { id: "origins-hint", class: "soft small" }, t("originsHint")), problem,
    h("div", { class: "row" }, h("button", { class: "primary", type: "submit" }, t("makeKey")), h("button", { type: "button", onclick: closeDialog }, t("cancel"))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sites = origins.value.split(/\s+/).filter(Boolean);
    const wanted = boxes.filter((box) => box.checked).map((box) => box.value);
    try {
      const made = await post("/v1/keys", { name: name.value.trim(), scopes: sites.length ? WIDGET : wanted, origins: sites });
      show(made);
      reload();
    } catch (error) {
      problem.textContent = wanted.length || sites.length ? said(error) : t("noScope");
    }
  });
  openDialog("narrow", form);
  name.focus();
}

/** The one time that the key itself is seen. */
function show(made) {
  const field = h("input", { id: "secret", readonly: true, value: made.key, onfocus: () => field.select() });
  const copy = async () => {
    field.select();
    if (navigator.clipboard) await navigator.clipboard.writeText(made.key);
    else document.execCommand("copy"); // browsers give no clipboard to pages without TLS
    notice(t("copied"));
  };
  openDialog("narrow",
    h("h2", { id: "viewer-title" }, t("keyMade", { name: made.name })),
    h("label", { class: "field", for: "secret" }, t("secretOnce"), field),
    h("div", { class: "row" }, h("button", { class: "primary", type: "button", onclick: copy }, t("copyKey")),
      h("button", { type: "button", onclick: closeDialog }, t("close"))));
  field.focus();
}
