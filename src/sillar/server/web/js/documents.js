// The documents: upload by drag and drop, pages of the web, progress by file and stage, failures with their
// reasons, collections and who may read them.

import { get, remove, upload } from "./api.js";
import { complain } from "./complain.js";
import { h, latest, redraw, show } from "./dom.js";
import { pagesForm } from "./pages.js";
import { readersTable } from "./readers.js";
import { language, number, t } from "./text.js";
import { openDocument } from "./viewer.js";

const uploads = new Map(); // File -> {id, share, problem}: survive a look at another section
let lastUpload = 0;

const OWN = "uploads"; // as the server calls what was uploaded into no named collection
const EVERY = "*"; // others are "=NAME"
const SHOWN = 200; // rows at once; the filter finds the others

export function documents(main) {
  const picker = h("input", { type: "file", id: "files", multiple: true, class: "hidden", tabindex: -1, onchange: () => send(picker.files) });
  const target = h("input", { id: "target", list: "targets", maxlength: 60, autocomplete: "off", placeholder: t("uploads") });
  const names = h("datalist", { id: "targets" });
  const zone = h("div", { class: "drop card" },
    h("p", {}, t("drop"), " ", h("button", { type: "button", onclick: () => picker.click() }, t("choose"))),
    h("label", { class: "hidden", for: "files" }, t("choose")), picker,
    h("p", {}, h("label", { for: "target" }, t("uploadTo")), " ", target, names),
    h("p", { class: "soft small" }, t("formats")));
  const jobs = h("div", { "aria-live": "polite" });
  const filter = h("input", { type: "search", id: "filter", "aria-label": t("filter"), placeholder: t("filter"), oninput: () => draw(), hidden: true });
  const only = h("select", { id: "only", "aria-label": t("collection"), onchange: () => draw(), hidden: true });
  const count = h("p", { class: "soft small" });
  const list = h("div", {});
  const web = pagesForm(() => target.value.trim(), () => refresh());
  const sharing = h("section", { class: "card", id: "readers", hidden: true });
  main.append(h("h1", {}, t("docTitle")), zone, web.form, jobs,
    h("div", { class: "card" }, h("div", { class: "row apart" }, count, only, filter), list), sharing);

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
  let rows = [];
  let running = [];
  let known = "";
  let shared = "";
  const asking = latest();

  async function send(files) {
    const chosen = [...files]; // the list empties with the picker
    const collection = target.value.trim();
    picker.value = "";
    for (const file of chosen) uploads.set(file, { id: ++lastUpload, share: 0, problem: "" });
    drawJobs();
    for (const file of chosen) {
      try {
        await upload(file, collection, (share) => { uploads.get(file).share = share; drawJobs(); });
        uploads.delete(file);
      } catch (error) {
        uploads.get(file).problem = error.message;
        if (error instanceof TypeError) uploads.get(file).problem = t("offline");
      }
      await refresh();
    }
  }

  function drawJobs() {
    const fresh = [...[...uploads].map(([file, state]) => uploadView(file, state)), ...running.map(jobView)];
    show(jobs, fresh);
    fresh.forEach((card, i) => { // what stayed gets on
      const line = card.querySelector("progress");
      if (line) jobs.children[i].querySelector("progress").value = line.value;
    });
  }

  function uploadView(file, { id, share, problem }) {
    const dismiss = () => { uploads.delete(file); drawJobs(); };
    if (problem) {
      return h("div", { class: "card row apart", "data-key": `upload ${id} failed` }, h("span", {}, h("strong", {}, file.name), " ", h("span", { class: "bad" }, problem)),
        h("button", { class: "plain", type: "button", onclick: dismiss }, t("dismiss")));
    }
    return bar(`upload ${id}`, file.name, t("stage_uploading"), share, 1);
  }

  function draw() {
    const wanted = filter.value.trim().toLowerCase();
    const shown = rows.filter((row) => (only.value === EVERY || row.collection === only.value.slice(1))
      && `${row.title} ${row.path}`.toLowerCase().includes(wanted));
    const failed = rows.filter((row) => row.state === "failed").length;
    filter.hidden = rows.length < 8;
    count.textContent = [t(rows.length ? "countDocuments" : "empty", { n: number(rows.length) }), failed ? t("countFailed", { n: number(failed) }) : ""].join(" ");
    redraw(list, ...(shown.length ? [table(shown.slice(0, SHOWN), refresh)] : []),
      ...(shown.length > SHOWN ? [h("p", { class: "soft small" }, t("firstShown", { n: number(SHOWN), all: number(shown.length) }))] : []));
  }

  function drawCollections(all) {
    const now = JSON.stringify(all.map((one) => [one.name, one.writable]));
    if (now === known) return; // a list that is open stays as it is
    known = now;
    const before = only.value || EVERY;
    const choices = [...new Set(all.map((one) => one.name))];
    only.hidden = choices.length < 2;
    only.replaceChildren(h("option", { value: EVERY }, t("allCollections")),
      ...choices.map((name) => h("option", { value: `=${name}` }, label(name))));
    only.value = before === EVERY || choices.includes(before.slice(1)) ? before : EVERY;
    names.replaceChildren(...all.filter((one) => one.writable && one.name !== OWN).map((one) => h("option", { value: one.name })));
  }

  function drawReaders(readers) {
    const now = JSON.stringify(readers ?? {});
    if (now === shared) return; // a button that has the focus keeps it
    shared = now;
    sharing.hidden = now === "{}";
    sharing.replaceChildren(...(sharing.hidden ? [] : readersTable(readers, label, refresh)));
  }

  async function refresh() {
    clearTimeout(timer);
    const current = asking();
    try {
      const jobsNow = await get("/v1/jobs"); // first: what is no longer among them, the lists have
      const [all, collections] = await Promise.all([get("/v1/documents"), get("/v1/collections")]);
      if (left || !current()) return;
      running = jobsNow.data;
      rows = all.data;
      drawJobs();
      web.allow(collections.hosts);
      drawReaders(collections.readers);
      drawCollections(collections.data.filter((one) => one.documents || (one.writable && one.name !== OWN)));
      const now = JSON.stringify([rows, known]);
      if (now !== before) draw();
      before = now;
      if (running.length) timer = setTimeout(refresh, 700);
    } catch (error) {
      complain(error);
    }
  }

  refresh();
  return () => { left = true; clearTimeout(timer); };
}

/** What a collection is called here: the shared folder and the uploads outside of any have no name of their own. */
const label = (name) => (name === "" ? t("everyone") : name === OWN ? t("uploads") : name);

const STAGES = ["fetching", "parsing", "chunking", "embedding", "storing"]; // what waits has begun none of them

const jobView = (job) => bar(`job ${job.id ?? job.collection} ${job.document} ${job.stage}`, job.document, t(`stage_${job.stage}`), STAGES.indexOf(job.stage) + 1, STAGES.length);

function bar(key, name, stage, done, total) {
  const line = h("progress", { max: total || 1, "aria-label": `${name}: ${stage}` });
  if (total) line.value = done;
  return h("div", { class: "card progress", "data-key": key }, h("div", { class: "row apart" }, h("strong", {}, name), h("span", { class: "soft small" }, stage)), line);
}

function table(rows, refresh) {
  const collections = new Set(rows.map((row) => row.collection)).size > 1;
  const head = [["name"], ["state"], ...(collections ? [["collection", "fold"]] : []), ["passages", "number fold"]];
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, head.map(([name, kind]) => h("th", { scope: "col", class: kind }, t(name))), h("td", {}))),
    h("tbody", {}, rows.map((row) => h("tr", {},
      h("td", { class: "file" }, named(row), row.title && row.title !== row.path ? h("small", {}, row.path) : null),
      h("td", {}, state(row)),
      collections ? h("td", { class: "fold" }, label(row.collection)) : null,
      h("td", { class: "number fold" }, number(row.passages)),
      h("td", { class: "number" }, row.removable ? h("button", { class: "plain", type: "button", "data-key": `remove ${row.id}`, "aria-label": `${t("removeDoc")} ${row.path}`,
        onclick: () => drop(row, refresh) }, t("removeDoc")) : null))))));
}

/** What was read can be opened. */
const named = (row) => (row.state === "failed" ? row.title || row.path
  : h("button", { class: "link", type: "button", "data-key": `open ${row.id}`, onclick: () => openDocument(row) }, row.title || row.path));

/** The server says why in English; what to do about it is said in the page's language. */
function state(row) {
  const failed = row.state === "failed";
  const notes = [row.reason, ...(row.notes ?? [])].filter(Boolean);
  const advice = failed && t(`advice_${row.kind}`) !== `advice_${row.kind}` ? [h("div", { class: "small" }, t(`advice_${row.kind}`))] : [];
  const reasons = notes.map((text) => h("div", { class: failed ? "small bad" : "small warn", lang: "en" }, text));
  const order = language() === "en" ? [...reasons, ...advice] : [...advice, ...reasons]; // the advice of other languages has the reason in it
  return [h("span", { class: failed ? "badge bad" : "badge good" }, t(row.state)), ...order];
}

async function drop(row, refresh) {
  if (!confirm(t("removeSure", { name: row.path }))) return;
  await remove(`/v1/documents/${row.id}`);
  refresh();
}
