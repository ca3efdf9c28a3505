// Pages of the web into the documents: addresses typed or pasted, from the hosts that the operator allows.

import { post } from "./api.js";
import { said } from "./complain.js";
import { h } from "./dom.js";
import { t } from "./text.js";

/** The form, hidden until `allow` is told from which hosts pages may come. `collection()`: into which one. */
export function pagesForm(collection, refresh) {
  const problem = h("p", { id: "urls-problem", class: "bad small", role: "alert" });
  const hint = h("p", { id: "urls-hint", class: "soft small" });
  const field = h("textarea", { id: "urls", rows: 2, maxlength: 200000, autocomplete: "off", spellcheck: "false",
    inputmode: "url", "aria-describedby": "urls-hint urls-problem", placeholder: "https://" });
  const button = h("button", { type: "submit" }, t("fetchPages"));
  const form = h("form", { class: "card", hidden: true, novalidate: true },
    h("label", { class: "field", for: "urls" }, t("addPages")), field, hint, problem, h("div", { class: "row" }, button));

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const urls = field.value.split(/\s+/).filter(Boolean);
    if (!urls.length) return say(t("noAddress"));
    button.disabled = true;
    try {
      await post("/v1/pages", { urls, collection: collection() });
      field.value = "";
      say("");
      await refresh();
    } catch (error) {
      say(said(error));
    } finally {
      button.disabled = false;
    }
  });

  function say(text) {
    problem.textContent = text;
    field.setAttribute("aria-invalid", String(Boolean(text)));
    if (text) field.focus();
  }

  function allow(hosts) {
    form.hidden = !hosts.length;
    const text = t("pagesFrom", { hosts: hosts.join(", ") });
    if (hint.textContent !== text) hint.textContent = text;
  }

  return { form, allow };
}
