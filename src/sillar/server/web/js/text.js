// The page's words in both languages.

const WORDS = {
  en: {
    skip: "Skip to content", sections: "Sections", language: "Language",
    ask: "Ask", documents: "Documents", insights: "Insights", settings: "Settings",
    askTitle: "Ask your documents", askHint: "Answers come with their sources. When the documents do not say, Sillar says so.",
    placeholder: "Ask a question…", send: "Ask", stop: "Stop", you: "You asked", sources: "Sources", page: "page",
    lines: "lines", helpful: "Helpful", unhelpful: "Not helpful", handoff: "Hand to a person", copy: "Copy with sources",
    copied: "Copied.", thanks: "Thank you, noted.", searching: "Searching the documents…", source: "Source {n}",
    refused: "The documents do not say.", seconds: "{n} s", newChat: "New conversation",
    handoffTitle: "Hand to a person", contact: "How can we reach you?", note: "Anything to add?", sendTicket: "Send", cancel: "Cancel",
    ticketDone: "Handed on. Ticket {id}.", close: "Close", opened: "Passage", noDocument: "This document is gone.",
    docTitle: "Documents", drop: "Drop files here, or", choose: "Choose files", name: "Name", state: "State", passages: "Passages",
    removeDoc: "Remove", removeSure: "Remove {name}? Its passages will no longer be found.", empty: "No documents yet.",
    uploaded: "{name} is being read.", failed: "failed", ready: "ready", working: "working", formats: "PDF, HTML, Markdown and text",
    insightsTitle: "Insights", asked: "Questions", answered: "Answered", abstained: "Not answered", latency: "Median time",
    perDay: "Questions a day", gaps: "What the documents did not say", closest: "Closest documents", times: "times", noGaps: "No open gaps.",
    up: "Voted helpful", down: "Voted not helpful", exportTickets: "Download tickets (CSV)", exportEval: "Download feedback (JSON)",
    settingsTitle: "Settings", apiKey: "Access key", save: "Save", saved: "Saved.", models: "Models", health: "Health",
    healthy: "ready", unhealthy: "not ready", keyHint: "`sillar serve` prints it. It stays in this tab only.",
    needKey: "This page needs an access key: open the address that `sillar serve` printed, or enter the key under Settings.",
    offline: "The server does not answer.",
  },
  es: {
    skip: "Ir al contenido", sections: "Secciones", language: "Idioma",
    ask: "Preguntar", documents: "Documentos", insights: "Informes", settings: "Ajustes",
    askTitle: "Pregunte a sus documentos", askHint: "Las respuestas llevan sus fuentes. Cuando los documentos no lo dicen, Sillar lo dice.",
    placeholder: "Haga una pregunta…", send: "Preguntar", stop: "Parar", you: "Su pregunta", sources: "Fuentes", page: "página",
    lines: "líneas", helpful: "Útil", unhelpful: "No es útil", handoff: "Pasar a una persona", copy: "Copiar con fuentes",
    copied: "Copiado.", thanks: "Gracias, anotado.", searching: "Buscando en los documentos…", source: "Fuente {n}",
    refused: "Los documentos no lo dicen.", seconds: "{n} s", newChat: "Conversación nueva",
    handoffTitle: "Pasar a una persona", contact: "¿Cómo le localizamos?", note: "¿Algo que añadir?", sendTicket: "Enviar", cancel: "Cancelar",
    ticketDone: "Entregado. Caso {id}.", close: "Cerrar", opened: "Pasaje", noDocument: "Este documento ya no está.",
    docTitle: "Documentos", drop: "Suelte archivos aquí, o", choose: "Elegir archivos", name: "Nombre", state: "Estado", passages: "Pasajes",
    removeDoc: "Quitar", removeSure: "¿Quitar {name}? Sus pasajes dejarán de encontrarse.", empty: "Todavía no hay documentos.",
    uploaded: "Leyendo {name}.", failed: "fallido", ready: "listo", working: "en curso", formats: "PDF, HTML, Markdown y texto",
    insightsTitle: "Informes", asked: "Preguntas", answered: "Respondidas", abstained: "Sin respuesta", latency: "Tiempo mediano",
    perDay: "Preguntas por día", gaps: "Lo que los documentos no dijeron", closest: "Documentos más cercanos", times: "veces", noGaps: "No hay lagunas abiertas.",
    up: "Votadas útiles", down: "Votadas no útiles", exportTickets: "Descargar casos (CSV)", exportEval: "Descargar valoraciones (JSON)",
    settingsTitle: "Ajustes", apiKey: "Clave de acceso", save: "Guardar", saved: "Guardado.", models: "Modelos", health: "Salud",
    healthy: "listo", unhealthy: "no está listo", keyHint: "`sillar serve` la imprime. Se queda solo en esta pestaña.",
    needKey: "Esta página necesita una clave: abra la dirección que imprimió `sillar serve`, o escriba la clave en Ajustes.",
    offline: "El servidor no responde.",
  },
};

const STORE = "sillar-language";

export function language() {
  const chosen = localStorage.getItem(STORE) ?? navigator.language.slice(0, 2);
  return chosen in WORDS ? chosen : "en";
}

export function setLanguage(code) {
  localStorage.setItem(STORE, code);
}

export function t(name, values = {}) {
  return WORDS[language()][name].replace(/\{(\w+)\}/g, (_, field) => values[field] ?? "");
}

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(language(), { maximumFractionDigits: digits }).format(value);
