// "Hand to a person": a small form; what is sent becomes a ticket with the conversation and its passages.

import { post } from "./api.js";
import { complain } from "./complain.js";
import { closeDialog, h, notice, openDialog } from "./dom.js";
import { t } from "./text.js";

export function handOff(answer) {
  const contact = h("input", { id: "contact", maxlength: 200, autocomplete: "email" });
  const note = h("textarea", { id: "note", rows: 3, maxlength: 2000 });
  const form = h("form", {},
    h("h2", { id: "viewer-title" }, t("handoffTitle")),
    h("p", { class: "soft" }, t("handoffHint")),
    h("label", { class: "field" }, t("contact"), contact),
    h("label", { class: "field" }, t("note"), note),
    h("div", { class: "row" },
      h("button", { class: "primary", type: "submit" }, t("sendTicket")),
      h("button", { type: "button", onclick: closeDialog }, t("cancel"))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const ticket = await post(`/v1/answers/${answer.id}/handoff`, { contact: contact.value, note: note.value });
      if (ticket.mailto) return offerMail(ticket);
      notice(t("ticketDone", { id: ticket.id }));
      closeDialog();
    } catch (error) {
      complain(error);
    }
  });
  openDialog("narrow", form);
  contact.focus();
}

/** Where a mailbox takes the tickets, the visitor's own mail program sends it. */
function offerMail(ticket) {
  openDialog("narrow",
    h("h2", { id: "viewer-title" }, t("ticketDone", { id: ticket.id })),
    h("p", {}, t("mailHint")),
    h("div", { class: "row" },
      h("a", { class: "button primary", href: ticket.mailto }, t("openMail")),
      h("button", { type: "button", onclick: closeDialog }, t("close"))));
}
