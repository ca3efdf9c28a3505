// The documents: upload, progress by stage, failures with their reasons.

import { get, remove, upload } from "./api.js";
import { h, notice } from "./dom.js";
import { complain } from "./complain.js";
import { number, t } from "./text.js";

export function documents(main) {
  const picker = h("input", { type: "file", id: "files", multiple: true, class: "hidden", onchange: () => send(picker.files) });
  const zone = h("div", { class: "drop card" },
    h("p", {}, t("drop"), " ", h("button", { type: "button", onclick: () => picker.click() }, t("choose"))),
    h("label", { class: "hidden", for: "files" }, t("choose")), picker,
    h("p", { class: "soft small" }, t("formats")));
  const jobs = h("div", { "aria-live": "polite" });
  const list = h("div", { class: "scroll" });
  main.append(h("h1", {}, t("docTitle")), zone, jobs, list);

  for (const type of ["dragenter", "dragover"]) {
    zone.addEventListener(type, (event) => { event.preventDefault(); zone.classList.add("over"); });
  }
  for (const type of ["dragleave", "drop"]) {
    zone.addEventListener(type, (event) => { event.preventDefault(); zone.classList.remove("over"); });
  }
  zone.addEventListener("drop", (event) => send(event.dataTransfer.files));

  let timer = 0;
  let left = false;
  let before = "";

  async function send(files) {
    for (const file of files) {
      try {
        await upload(file);
        notice(t("uploaded", { name: file.name }));
      } catch (error) {
        complain(error);
      }
    }
    picker.value = "";
    refresh();
  }

  async function refresh() {
    clearTimeout(timer);
    try {
      const [running, all] = await Promise.all([get("/v1/jobs"), get("/v1/documents")]);
      if (left) return;
      jobs.replaceChildren(...running.data.map(jobView));
      const now = JSON.stringify(all.data);
      if (now !== before) list.replaceChildren(table(all.data, refresh));
      before = now;
      if (running.data.length) timer = setTimeout(refresh, 1000);
    } catch (error) {
      complain(error);
    }
  }

  refresh();
  return () => { left = true; clearTimeout(timer); };
}

function jobView(job) {
  const bar = h("progress", { max: job.total || 1, "aria-label": job.document });
  if (job.total) bar.value = job.done;
  return h("div", { class: "card" }, h("div", { class: "row" }, h("strong", {}, job.document), h("span", { class: "soft" }, job.stage)), bar);
}

function table(rows, refresh) {
  if (!rows.length) return h("p", { class: "soft" }, t("empty"));
  const head = ["name", "state", "passages"].map((name) => h("th", { scope: "col" }, t(name)));
  return h("table", {},
    h("thead", {}, h("tr", {}, head, h("td", {}))),
    h("tbody", {}, rows.map((row) => h("tr", {},
      h("td", {}, row.title && row.title !== row.path ? h("span", {}, row.title, h("br"), h("span", { class: "soft small" }, row.path)) : row.path),
      h("td", { class: row.state === "failed" ? "bad" : "" }, t(row.state), row.reason ? h("div", { class: "small" }, row.reason) : null),
      h("td", {}, number(row.passages)),
      h("td", {}, row.removable ? h("button", { class: "plain", type: "button", "aria-label": `${t("removeDoc")} ${row.path}`,
        onclick: () => drop(row, refresh) }, t("removeDoc")) : null)))));
}

async function drop(row, refresh) {
  if (!confirm(t("removeSure", { name: row.path }))) return;
  await remove(`/v1/documents/${row.id}`);
  refresh();
}
