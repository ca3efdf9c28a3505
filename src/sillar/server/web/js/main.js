// Which section is shown: the address's fragment decides, every section is a function of <main>.

import { ApiError } from "./api.js";
import { ask } from "./ask.js";
import { complain } from "./complain.js";
import { documents } from "./documents.js";
import { insights } from "./insights.js";
import { settings } from "./settings.js";
import { language, setLanguage, t } from "./text.js";

const SECTIONS = { ask, documents, insights, settings };
const main = document.getElementById("main");
let leave = () => {};

function show() {
  const name = location.hash.slice(1);
  if (name === "main") return main.focus();
  const section = name in SECTIONS ? name : "ask";
  leave();
  translate();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${section}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${t(section)} · Sillar`;
  main.replaceChildren();
  leave = SECTIONS[section](main) ?? (() => {});
}

function translate() {
  document.documentElement.lang = language();
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.ariaLabel = t(element.dataset.label);
}

const select = document.getElementById("language");
select.value = language();
select.disabled = false; // before this script ran, a choice was not heard
select.addEventListener("change", () => {
  setLanguage(select.value);
  show();
});
window.addEventListener("hashchange", show);
window.addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof ApiError || event.reason instanceof TypeError) {
    event.preventDefault();
    complain(event.reason);
  }
});
show();
