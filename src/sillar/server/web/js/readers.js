// Who may read a collection beside its owner: shown and changed where the key has the scope admin.

import { put } from "./api.js";
import { said } from "./complain.js";
import { closeDialog, h, notice, openDialog } from "./dom.js";
import { t } from "./text.js";

const EVERYONE = "*"; // as the server calls it

/** A table of the collections with their readers; `readers`: names by collection, as the server lists them. */
export function readersTable(readers, label, refresh) {
  return [h("h2", {}, t("readersTitle")), h("p", { class: "soft small" }, t("readersHint")),
    h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("collection")), h("th", { scope: "col" }, t("readers")), h("td", {}))),
      h("tbody", {}, Object.entries(readers).map(([name, names]) => h("tr", {},
        h("td", { class: "file" }, label(name)),
        h("td", { class: "file" }, listed(names)),
        h("td", { class: "number" }, h("button", { class: "plain", type: "button", "aria-label": `${t("change")}: ${label(name)}`,
          onclick: () => edit(name, names, label(name), refresh) }, t("change"))))))))];
}

function listed(names) {
  if (names.includes(EVERYONE)) return t("everyone");
  return names.length ? names.join(", ") : t("onlyYou");
}

function edit(collection, names, title, refresh) {
  const everyone = h("input", { type: "checkbox", id: "everyone", onchange: () => { list.disabled = everyone.checked; } });
  everyone.checked = names.includes(EVERYONE);
  const list = h("textarea", { id: "names", rows: 5, maxlength: 20000, autocomplete: "off", spellcheck: "false", "aria-describedby": "names-hint" });
  list.value = names.filter((name) => name !== EVERYONE).join("\n");
  list.disabled = everyone.checked;
  const problem = h("p", { class: "bad small", role: "alert" });
  const form = h("form", {},
    h("h2", { id: "viewer-title" }, t("readersOf", { name: title })),
    h("label", { class: "row" }, everyone, t("everyoneMay")),
    h("label", { class: "field", for: "names" }, t("readers")), list,
    h("p", { id: "names-hint", class: "soft small" }, t("namesHint")), problem,
    h("div", { class: "row" },
      h("button", { class: "primary", type: "submit" }, t("save")),
      h("button", { type: "button", onclick: closeDialog }, t("cancel"))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = everyone.checked ? [EVERYONE] : list.value.split("\n").map((name) => name.trim()).filter(Boolean);
    try {
      await put(`/v1/collections/${encodeURIComponent(collection)}/readers`, { readers: wanted });
      closeDialog();
      notice(t("saved"));
      refresh();
    } catch (error) {
      problem.textContent = said(error);
    }
  });
  openDialog("narrow", form);
  (everyone.checked ? everyone : list).focus();
}
