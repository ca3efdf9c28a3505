// The page's words in both languages.

const WORDS = {
  en: {
    skip: "Skip to content", sections: "Sections", language: "Language", conversation: "Conversation",
    ask: "Ask", documents: "Documents", insights: "Insights", settings: "Settings",
    askTitle: "Ask your documents", askHint: "Every answer comes with its sources. When the documents do not say, Sillar says so.",
    readyDocuments: "Documents to ask: {n}.", placeholder: "Ask a question…", send: "Ask", stop: "Stop", you: "You asked",
    sources: "Sources", page: "page", pages: "pages", line: "line", lines: "lines", helpful: "Helpful", unhelpful: "Not helpful", handoff: "Hand to a person",
    copy: "Copy with sources", copied: "Copied.", thanks: "Thank you, noted.", searching: "Searching the documents…",
    source: "Source {n}: {name}", seconds: "{n} s", newChat: "New conversation", understood: "Understood as",
    nearest: "Nearest in the documents; they may not answer it:",
    refusedHint: "You can ask it in other words, add a document that says it, or hand the question to a person.",
    whatWrong: "What was wrong?", sendComment: "Send comment",
    handoffTitle: "Hand to a person", handoffHint: "The question, the answer and the passages that were found go along.",
    contact: "How can we reach you?", note: "Anything to add?", sendTicket: "Send", cancel: "Cancel",
    ticketDone: "Handed on. Ticket {id}.", mailHint: "Your mail program opens with everything filled in; the message leaves when you send it.",
    openMail: "Write the mail", close: "Close", opened: "Passage", asPage: "Page", asText: "Text", section: "Section", beginning: "Beginning", before: "Back", next: "Next",
    docTitle: "Documents", drop: "Drop files here, or", choose: "Choose files", name: "Name", state: "State", passages: "Passages",
    collection: "Collection", everyone: "everyone", uploads: "my uploads", uploadTo: "Into the collection (optional)", allCollections: "All collections", filter: "Filter", countDocuments: "Documents: {n}.", countFailed: "Could not be read: {n}.", seeDocuments: "See them", addDocuments: "Add documents", noneHint: "There are no documents to answer from yet: add some, and ask again.", drawing: "Drawing the page…",
    removeDoc: "Remove", removeSure: "Remove {name}? Its passages will no longer be found.", empty: "No documents yet.", dismiss: "Dismiss",
    addPages: "Or pages of the web, one address a line", fetchPages: "Fetch pages", pagesFrom: "Pages may come from: {hosts}", noAddress: "Enter an address first.",
    readers: "Readers", readersTitle: "Who may read your collections", readersHint: "Beside those who use your own key. Readers can ask and open documents, and change nothing.",
    readersOf: "Readers of {name}", onlyYou: "nobody else", change: "Change", everyoneMay: "Everyone who has a key", namesHint: "Names of keys or tenants, one a line.",
    failed: "failed", ready: "ready", formats: "PDF, Word, Excel, PowerPoint, OpenDocument, HTML, Markdown, text, CSV, mail, EPUB, zip",
    firstShown: "The first {n} of {all} are shown; the filter finds the others.",
    advice_encrypted: "Save it without its password and add it again.", advice_damaged: "Open it in its own program, save it and add it again.", advice_needs_ocr: "It is a scan: recognise its text first, or ask whoever runs this server for OCR.",
    advice_too_large: "Divide it into smaller files.", advice_limits: "Divide it into smaller or simpler files.", advice_unsupported: "Save it as PDF, Office, HTML or text.", advice_empty: "There is nothing in it to find.", advice_gone: "Remove it, or give the new address.", advice_refused: "Ask whoever runs this server to allow it.",
    stage_uploading: "uploading", stage_waiting: "waiting", stage_found: "waiting", stage_fetching: "fetching", stage_reading: "reading", stage_parsing: "reading",
    stage_chunking: "dividing into passages", stage_embedding: "indexing", stage_storing: "saving",
    insightsTitle: "Insights", period: "Period", days: "{n} days", nothingYet: "Nothing was asked in this time.",
    asked: "Questions", answered: "Answered", abstained: "Not answered", latency: "Median time", upDown: "Helpful / not",
    perDay: "Questions a day", perDaySeconds: "Seconds until an answer was whole", median: "Median", slowest: "Slowest 5 %",
    gaps: "What the documents did not say", gapsHint: "Unanswered and voted-down questions, the same ones together.",
    closest: "Closest documents", times: "{n} times", noGaps: "No open gaps.",
    tickets: "Handed to a person", noTickets: "No tickets.", again: "Send again", delivery_waiting: "on its way", delivery_delivered: "delivered", delivery_failed: "not delivered",
    votes: "Votes", exportTickets: "Download CSV", exportVotes: "Votes and comments (JSON)", exportEval: "Question set (JSON)", exportEvalHint: "The question set holds the helpful answers with their passages; the evaluations read it.",
    settingsTitle: "Settings", access: "Access", apiKey: "Access key", save: "Save", saved: "Saved.", models: "Models", health: "Health", server: "Server",
    you_are: "You are", may: "You may", everything: "do everything here", localUser: "anyone at this machine", use: "For", context: "Context, tokens",
    useSearch: "search", useText: "text", useRerank: "reranking", useDocuments: "answers from the documents",
    memory: "Memory", speed: "Speed seen", readsAt: "reads {n} tokens/s", writesAt: "writes {n} tokens/s", freeMemory: "Free memory of this machine: {n}.", answersNow: "answers from the documents", answerWith: "Answers come from",
    untilRestart: "The choice holds until a restart; for good, name it first:", oneModel: "One model is loaded. To choose between two, start the server with both:", folderWord: "FOLDER",
    cachedTitle: "Other models on this machine", cachedHint: "Loaded at a start with --model or --embedder; sillar pull NAME brings more.", needs: "Needs at least", fits: "fits", fitsNot: "too large now",
    keysTitle: "Keys", keysHint: "Of your tenant. A key is shown once, when it is made; a revoked one opens nothing from that moment.", keysUnmanaged: "This server has no file of keys; its operator gives it one with --keys FILE.", keysProblem: "The file of keys has an error or is gone: the keys of before are in force. The server's log says more.", newKey: "New key", makeKey: "Make the key",
    created: "Made on", lastUsed: "Last used", notUsed: "not since the start", thisKey: "this key", revoke: "Revoke", revokeSure: "Revoke {name}? Whoever uses it is shut out at once.", revoked: "Revoked.",
    keyName: "Whose key is it?", keyMay: "May", keyOrigins: "Only for the chat on these sites (optional)", originsHint: "One address a line, such as https://shop.example. Such a key lies open in those pages, so it can only ask.", noScope: "Choose what the key may do.",
    keyMade: "The key of {name}", secretOnce: "Copy it now: it is not shown again.", copyKey: "Copy the key", noKeysNeeded: "This server has no keys: whoever works at this machine may use it, and nobody else.",
    scope_ask: "ask questions", scope_documents: "ask, see and add documents, see insights", scope_generate: "use the models through the API", scope_embed: "embed and rerank through the API", scope_metrics: "see how the server is doing", scope_admin: "manage keys, readers and the model",
    healthy: "ready", unhealthy: "not ready", keyHint: "From whoever runs this server. It stays in this tab only.",
    login: "Login", loginHere: "Log in with your company account", logout: "Log out", needLogin: "Please log in under Settings.",
    needKey: "This page needs an access key: enter it under Settings.", offline: "The server does not answer.",
  },
  es: {
    skip: "Ir al contenido", sections: "Secciones", language: "Idioma", conversation: "Conversación",
    ask: "Preguntar", documents: "Documentos", insights: "Informes", settings: "Ajustes",
    askTitle: "Pregunte a sus documentos", askHint: "Cada respuesta lleva sus fuentes. Cuando los documentos no lo dicen, Sillar lo dice.",
    readyDocuments: "Documentos a los que preguntar: {n}.", placeholder: "Haga una pregunta…", send: "Preguntar", stop: "Parar", you: "Su pregunta",
    sources: "Fuentes", page: "página", pages: "páginas", line: "línea", lines: "líneas", helpful: "Útil", unhelpful: "No es útil", handoff: "Pasar a una persona",
    copy: "Copiar con fuentes", copied: "Copiado.", thanks: "Gracias, anotado.", searching: "Buscando en los documentos…",
    source: "Fuente {n}: {name}", seconds: "{n} s", newChat: "Conversación nueva", understood: "Entendido como",
    nearest: "Lo más cercano en los documentos; puede que no lo responda:",
    refusedHint: "Puede preguntarlo con otras palabras, añadir un documento que lo diga o pasar la pregunta a una persona.",
    whatWrong: "¿Qué estaba mal?", sendComment: "Enviar comentario",
    handoffTitle: "Pasar a una persona", handoffHint: "Van con ella la pregunta, la respuesta y los pasajes encontrados.",
    contact: "¿Cómo le localizamos?", note: "¿Algo que añadir?", sendTicket: "Enviar", cancel: "Cancelar",
    ticketDone: "Entregado. Caso {id}.", mailHint: "Su programa de correo se abre con todo escrito; el mensaje sale cuando usted lo envía.",
    openMail: "Escribir el correo", close: "Cerrar", opened: "Pasaje", asPage: "Página", asText: "Texto", section: "Sección", beginning: "Comienzo", before: "Atrás", next: "Siguiente",
    docTitle: "Documentos", drop: "Suelte archivos aquí, o", choose: "Elegir archivos", name: "Nombre", state: "Estado", passages: "Pasajes",
    collection: "Colección", everyone: "todos", uploads: "mis archivos", uploadTo: "A la colección (opcional)", allCollections: "Todas las colecciones", filter: "Filtrar", countDocuments: "Documentos: {n}.", countFailed: "No se pudieron leer: {n}.", seeDocuments: "Verlos", addDocuments: "Añadir documentos", noneHint: "Todavía no hay documentos de los que responder: añádalos y pregunte otra vez.", drawing: "Dibujando la página…",
    removeDoc: "Quitar", removeSure: "¿Quitar {name}? Sus pasajes dejarán de encontrarse.", empty: "Todavía no hay documentos.", dismiss: "Descartar",
    addPages: "O páginas web, una dirección por línea", fetchPages: "Descargar páginas", pagesFrom: "Las páginas pueden venir de: {hosts}", noAddress: "Escriba primero una dirección.",
    readers: "Lectores", readersTitle: "Quién puede leer sus colecciones", readersHint: "Además de quienes usan su clave. Los lectores preguntan y abren documentos, y no cambian nada.",
    readersOf: "Lectores de {name}", onlyYou: "nadie más", change: "Cambiar", everyoneMay: "Todos los que tienen clave", namesHint: "Nombres de claves o de inquilinos, uno por línea.",
    failed: "fallido", ready: "listo", formats: "PDF, Word, Excel, PowerPoint, OpenDocument, HTML, Markdown, texto, CSV, correo, EPUB, zip",
    firstShown: "Se muestran los primeros {n} de {all}; el filtro encuentra los demás.",
    advice_encrypted: "Está cifrado: guárdelo sin contraseña y añádalo otra vez.", advice_damaged: "Está dañado: ábralo con su programa, guárdelo y añádalo otra vez.", advice_needs_ocr: "Es un escaneo: reconozca antes su texto o pida OCR a quien gestiona este servidor.",
    advice_too_large: "Es demasiado grande: divídalo en archivos más pequeños.", advice_limits: "Pide demasiado: divídalo en archivos más pequeños o sencillos.", advice_unsupported: "Este tipo no se lee: guárdelo como PDF, Office, HTML o texto.", advice_empty: "No contiene nada que encontrar.", advice_gone: "Ya no existe: quítela o dé la dirección nueva.", advice_refused: "No está permitido: pídalo a quien gestiona este servidor.",
    stage_uploading: "subiendo", stage_waiting: "en espera", stage_found: "en espera", stage_fetching: "descargando", stage_reading: "leyendo", stage_parsing: "leyendo",
    stage_chunking: "dividiendo en pasajes", stage_embedding: "indexando", stage_storing: "guardando",
    insightsTitle: "Informes", period: "Periodo", days: "{n} días", nothingYet: "No se preguntó nada en este tiempo.",
    asked: "Preguntas", answered: "Respondidas", abstained: "Sin respuesta", latency: "Tiempo mediano", upDown: "Útiles / no",
    perDay: "Preguntas por día", perDaySeconds: "Segundos hasta la respuesta entera", median: "Mediana", slowest: "El 5 % más lento",
    gaps: "Lo que los documentos no dijeron", gapsHint: "Preguntas sin respuesta o mal valoradas, las iguales juntas.",
    closest: "Documentos más cercanos", times: "{n} veces", noGaps: "No hay lagunas abiertas.",
    tickets: "Pasadas a una persona", noTickets: "No hay casos.", again: "Enviar otra vez", delivery_waiting: "en camino", delivery_delivered: "entregado", delivery_failed: "no entregado",
    votes: "Valoraciones", exportTickets: "Descargar CSV", exportVotes: "Valoraciones y comentarios (JSON)", exportEval: "Conjunto de preguntas (JSON)", exportEvalHint: "El conjunto contiene las respuestas útiles con sus pasajes; las evaluaciones lo leen.",
    settingsTitle: "Ajustes", access: "Acceso", apiKey: "Clave de acceso", save: "Guardar", saved: "Guardado.", models: "Modelos", health: "Salud", server: "Servidor",
    you_are: "Usted es", may: "Puede", everything: "hacer todo aquí", localUser: "cualquiera en esta máquina", use: "Para", context: "Contexto, tokens",
    useSearch: "búsqueda", useText: "texto", useRerank: "reordenar", useDocuments: "respuestas de los documentos",
    memory: "Memoria", speed: "Velocidad vista", readsAt: "lee {n} tokens/s", writesAt: "escribe {n} tokens/s", freeMemory: "Memoria libre de esta máquina: {n}.", answersNow: "responde de los documentos", answerWith: "Responde",
    untilRestart: "La elección vale hasta un reinicio; para siempre, nómbrelo primero:", oneModel: "Hay un modelo cargado. Para elegir entre dos, inicie el servidor con ambos:", folderWord: "CARPETA",
    cachedTitle: "Otros modelos en esta máquina", cachedHint: "Se cargan al iniciar con --model o --embedder; sillar pull NAME trae más.", needs: "Necesita al menos", fits: "cabe", fitsNot: "no cabe ahora",
    keysTitle: "Claves", keysHint: "De su inquilino. Una clave se ve una vez, al crearla; revocada, no abre nada desde ese momento.", keysUnmanaged: "Este servidor no tiene archivo de claves; quien lo gestiona se lo da con --keys FILE.", keysProblem: "El archivo de claves tiene un error o falta: siguen valiendo las claves de antes. El registro del servidor dice más.", newKey: "Clave nueva", makeKey: "Crear la clave",
    created: "Creada", lastUsed: "Último uso", notUsed: "no desde el inicio", thisKey: "esta clave", revoke: "Revocar", revokeSure: "¿Revocar {name}? Quien la usa queda fuera al instante.", revoked: "Revocada.",
    keyName: "¿De quién es la clave?", keyMay: "Puede", keyOrigins: "Solo para el chat en estos sitios (opcional)", originsHint: "Una dirección por línea, como https://tienda.example. Esa clave está a la vista en esas páginas, así que solo puede preguntar.", noScope: "Elija qué puede hacer la clave.",
    keyMade: "La clave de {name}", secretOnce: "Cópiela ahora: no se muestra otra vez.", copyKey: "Copiar la clave", noKeysNeeded: "Este servidor no tiene claves: lo usa quien trabaja en esta máquina, y nadie más.",
    scope_ask: "preguntar", scope_documents: "preguntar, ver y añadir documentos, ver informes", scope_generate: "usar los modelos por la API", scope_embed: "vectores y reordenación por la API", scope_metrics: "ver cómo está el servidor", scope_admin: "gestionar claves, lectores y el modelo",
    healthy: "listo", unhealthy: "no está listo", keyHint: "De quien gestiona este servidor. Se queda solo en esta pestaña.",
    login: "Inicio de sesión", loginHere: "Entrar con su cuenta de empresa", logout: "Cerrar sesión", needLogin: "Inicie sesión en Ajustes.",
    needKey: "Esta página necesita una clave: escríbala en Ajustes.", offline: "El servidor no responde.",
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
  return (WORDS[language()][name] ?? name).replace(/\{(\w+)\}/g, (_, field) => values[field] ?? "");
}

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(language(), { maximumFractionDigits: digits }).format(value);

/** A duration in seconds, with as many digits as tell something. */
export const seconds = (value) => t("seconds", { n: number(value, value < 1 ? 2 : 1) });
