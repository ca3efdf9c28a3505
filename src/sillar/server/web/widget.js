// The chat widget for a company's own site, in one tag:
//   <script src="https://answers.example/widget.js" data-key="sk-sillar-..." async></script>
// Further attributes: data-title, data-language (en, es). Its colour: --sillar-accent in the site's styles.
// One file without imports, in a closed shadow root, without cookies; markup in answers stays text.
(() => {
  "use strict";
  const script = document.currentScript;
  const base = new URL(".", script.src);
  const WORDS = {
    en: { title: "Questions?", open: "Open the chat", close: "Close", hello: "Ask something. Answers come from our documents, with their sources.",
      placeholder: "Your question…", send: "Send", searching: "Searching…", you: "You", sources: "Sources", nearest: "Nearest in the documents", page: "page", helpful: "Helpful", unhelpful: "Not helpful",
      thanks: "Thank you.", person: "Ask a person", contact: "How can we reach you?", note: "Anything to add?", cancel: "Cancel", handed: "Handed on. Number {id}.",
      mail: "Write the mail", many: "Too many questions at once. Please try again in a moment.", failed: "That did not work. Please try again." },
    es: { title: "¿Preguntas?", open: "Abrir el chat", close: "Cerrar", hello: "Pregunte algo. Las respuestas salen de nuestros documentos, con sus fuentes.",
      placeholder: "Su pregunta…", send: "Enviar", searching: "Buscando…", you: "Usted", sources: "Fuentes", nearest: "Lo más cercano en los documentos", page: "página", helpful: "Útil", unhelpful: "No es útil",
      thanks: "Gracias.", person: "Preguntar a una persona", contact: "¿Cómo le localizamos?", note: "¿Algo que añadir?", cancel: "Cancelar", handed: "Entregado. Número {id}.",
      mail: "Escribir el correo", many: "Demasiadas preguntas a la vez. Inténtelo en un momento.", failed: "No ha funcionado. Inténtelo otra vez." },
  };
  const language = (script.dataset.language ?? (document.documentElement.lang || navigator.language)).slice(0, 2);
  const words = WORDS[language] ?? WORDS.en;
  const STYLE = `
    :host { all: initial; --accent: var(--sillar-accent, #a34417); --ink: #26211c; --soft: #665d54; --paper: #fff; --line: #ddd5cb; --tint: #f8f3ee; color-scheme: light dark; }
    @media (prefers-color-scheme: dark) { :host { --accent: var(--sillar-accent, #f0a27a); --ink: #f1ece6; --soft: #b8ada2; --paper: #23201d; --line: #423c36; --tint: #2f2924; } .on { color: #1d1410 !important; } }
    * { box-sizing: border-box; } .frame { position: fixed; right: 1rem; bottom: 1rem; z-index: 2147483000; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); }
    button, input, textarea { font: inherit; color: inherit; } button { cursor: pointer; border: 1px solid var(--line); background: var(--paper); border-radius: 10px; padding: .35rem .7rem; min-height: 2.2rem; }
    .on { background: var(--accent); border-color: var(--accent); color: #fff; font-weight: 600; } :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
    .launch { border-radius: 2rem; padding: .7rem 1.2rem; box-shadow: 0 4px 18px rgb(0 0 0 / .25); }
    .panel { display: flex; flex-direction: column; width: min(24rem, calc(100vw - 2rem)); height: min(36rem, calc(100dvh - 2rem)); background: var(--paper); border: 1px solid var(--line); border-radius: 14px; box-shadow: 0 12px 40px rgb(0 0 0 / .3); overflow: hidden; }
    [hidden] { display: none !important; } header { display: flex; justify-content: space-between; align-items: center; padding: .6rem .9rem; border-bottom: 1px solid var(--line); } h2 { font-size: 1rem; margin: 0; }
    .log { flex: 1; overflow: auto; padding: .9rem; } .soft { color: var(--soft); } p { margin: .4rem 0; } .you { margin: .8rem 0 .4rem auto; width: fit-content; max-width: 85%; background: var(--tint); border-radius: 12px; padding: .4rem .8rem; font-weight: 600; }
    .log, .log * { overflow-wrap: anywhere; } pre { overflow: auto; } table { border-collapse: collapse; } td, th { border: 1px solid var(--line); padding: .2rem .4rem; }
    .chip { min-height: 1.4rem; padding: 0 .45rem; border-radius: 1rem; font-size: .8rem; border-color: var(--accent); color: var(--accent); font-weight: 700; } .row { display: flex; gap: .3rem; flex-wrap: wrap; margin: .4rem 0; font-size: .85rem; }
    [aria-pressed="true"] { border-color: var(--accent); color: var(--accent); } details { font-size: .88rem; } blockquote { margin: .3rem 0 .6rem; padding-inline-start: .6rem; border-inline-start: 3px solid var(--line); color: var(--soft); }
    form.ask { display: flex; gap: .4rem; padding: .7rem; border-top: 1px solid var(--line); } input, textarea { width: 100%; min-width: 0; border: 1px solid var(--soft); border-radius: 10px; background: var(--paper); padding: .4rem .6rem; } label { display: block; margin: .4rem 0; } .ask label { flex: 1; margin: 0; }
    .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }`;

  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  }

  const TAGS = new Set(["p", "strong", "em", "s", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "br", "table", "thead", "tbody", "tr", "th", "td", "h3"]);

  const rich = (nodes, cite) => nodes.flatMap((node) => {
    if (typeof node === "string") return node;
    if (!Array.isArray(node)) return [];
    const [tag, ...children] = node;
    if (tag === "cite") return cite(children[0]);
    return TAGS.has(tag) ? h(tag, {}, ...rich(children, cite)) : rich(children, cite);
  });

  async function send(path, body) {
    const headers = { Authorization: `Bearer ${script.dataset.key ?? ""}`, "Content-Type": "application/json" };
    const response = await fetch(new URL(path, base), { method: "POST", headers, body: JSON.stringify(body), credentials: "omit", referrerPolicy: "no-referrer" });
    if (!response.ok) throw new Error(response.status === 429 ? words.many : words.failed);
    return response.json();
  }

  const turns = [];
  const log = h("div", { class: "log", role: "log", "aria-label": script.dataset.title ?? words.title, tabindex: 0 }, h("p", { class: "soft" }, words.hello));
  const input = h("input", { maxlength: 4000, placeholder: words.placeholder, required: true, autocomplete: "off" });
  const ask = h("form", { class: "ask", onsubmit: submit }, h("label", {}, h("span", { class: "hidden" }, words.placeholder), input), h("button", { class: "on" }, words.send));
  const panel = h("div", { class: "panel", role: "dialog", "aria-label": script.dataset.title ?? words.title, hidden: true },
    h("header", {}, h("h2", {}, script.dataset.title ?? words.title), h("button", { type: "button", "aria-label": words.close, onclick: () => show(false) }, "✕")), log, ask);
  const launch = h("button", { class: "launch on", type: "button", "aria-expanded": "false", "aria-label": words.open, onclick: () => show(true) }, script.dataset.title ?? words.title);
  panel.addEventListener("keydown", (event) => { if (event.key === "Escape") show(false); });

  function show(open) {
    panel.hidden = !open;
    launch.hidden = open;
    launch.setAttribute("aria-expanded", String(open));
    (open ? input : launch).focus();
  }

  let busy = false;

  async function submit(event) {
    event.preventDefault();
    const question = input.value.trim();
    if (!question || busy) return;
    busy = true;
    input.value = "";
    const waiting = h("p", { class: "soft" }, words.searching);
    log.append(h("p", { class: "you" }, h("span", { class: "hidden" }, `${words.you}: `), question), waiting);
    log.scrollTop = log.scrollHeight;
    try {
      const history = turns.slice(-4).flatMap((turn) => [{ role: "user", content: turn.question }, { role: "assistant", content: turn.answer.slice(0, 4000) }]);
      const answer = await send("v1/ask", { question, history });
      turns.push({ question, answer: answer.answer });
      waiting.replaceWith(view(answer));
    } catch (error) {
      waiting.textContent = error instanceof TypeError ? words.failed : error.message;
      input.value = question;
    }
    busy = false;
    log.scrollTop = log.scrollHeight;
  }

  function view(answer) {
    const shown = answer.abstained ? answer.nearest ?? [] : answer.citations;
    const details = h("details", {}, h("summary", {}, `${answer.abstained ? words.nearest : words.sources} (${shown.length})`), shown.map((citation) =>
      h("div", {}, h("strong", {}, `${citation.number}. ${citation.document}`), citation.page ? `, ${words.page} ${citation.last_page > citation.page ? `${citation.page}–${citation.last_page}` : citation.page}` : "", h("blockquote", {}, citation.quote))));
    const chip = (n) => h("button", { class: "chip", type: "button", "aria-label": `${words.sources} ${n}`, onclick: () => { details.open = true; details.scrollIntoView({ block: "nearest" }); } }, String(n));
    const below = h("div", {});
    return h("div", {}, h("div", { class: "answer" }, ...rich(answer.blocks, chip)), shown.length ? details : null,
      h("div", { class: "row" }, vote(answer, 1, words.helpful), vote(answer, -1, words.unhelpful),
        h("button", { type: "button", onclick: () => below.replaceChildren(person(answer, below)) }, words.person)), below);
  }

  function vote(answer, value, name) {
    return h("button", { type: "button", "aria-pressed": "false", onclick: async (event) => {
      const button = event.currentTarget;
      await send(`v1/answers/${answer.id}/feedback`, { vote: value });
      for (const other of button.parentElement.querySelectorAll("[aria-pressed]")) other.setAttribute("aria-pressed", String(other === button));
    } }, name);
  }

  function person(answer, below) {
    const contact = h("input", { maxlength: 200, autocomplete: "email" });
    const note = h("textarea", { rows: 2, maxlength: 2000 });
    return h("form", { onsubmit: async (event) => {
      event.preventDefault();
      try {
        const ticket = await send(`v1/answers/${answer.id}/handoff`, { contact: contact.value, note: note.value });
        const mail = ticket.mailto?.startsWith("mailto:") ? h("a", { href: ticket.mailto }, words.mail) : null;
        const done = h("p", { role: "status", tabindex: -1 }, words.handed.replace("{id}", ticket.id), " ", mail ?? "");
        below.replaceChildren(done);
        done.focus(); // the form that had it is gone
      } catch (error) {
        below.append(h("p", { role: "alert" }, error.message));
      }
    } }, h("label", {}, words.contact, contact), h("label", {}, words.note, note),
    h("div", { class: "row" }, h("button", { class: "on" }, words.send), h("button", { type: "button", onclick: () => below.replaceChildren() }, words.cancel)));
  }

  const host = h("div", {});
  const root = host.attachShadow({ mode: script.dataset.shadow === "open" ? "open" : "closed" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  root.append(h("div", { class: "frame" }, panel, launch));
  document.body.append(host);
})();
