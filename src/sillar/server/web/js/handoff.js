// "Hand to a person": a small form in the dialog; what is sent becomes a ticket with the conversation.

import { post } from "./api.js";
import { h, notice } from "./dom.js";
import { complain } from "./complain.js";
import { t } from "./text.js";

export function handOff(answer) {
  const dialog = document.getElementById("viewer");
  const contact = h("input", { id: "contact", maxlength: 200, autocomplete: "email" });
  const note = h("textarea", { id: "note", rows: 3, maxlength: 2000 });
  const form = h("form", {},
    h("h2", { id: "viewer-title" }, t("handoffTitle")),
    h("label", { class: "field" }, t("contact"), contact),
    h("label", { class: "field" }, t("note"), note),
    h("div", { class: "row" },
      h("button", { class: "primary", type: "submit" }, t("sendTicket")),
      h("button", { type: "button", onclick: () => dialog.close() }, t("cancel"))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const ticket = await post(`/v1/answers/${answer.id}/handoff`, { contact: contact.value, note: note.value });
      notice(t("ticketDone", { id: ticket.id }));
      dialog.close();
    } catch (error) {
      complain(error);
    }
  });
  dialog.replaceChildren(form);
  dialog.showModal();
  contact.focus();
}
