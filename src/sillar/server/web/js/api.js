// Talks to the server: the key, JSON calls, server-sent events. The key comes once in the address's
// fragment (`sillar serve` prints it), is kept for this tab and leaves the address bar at once.

const KEY = "sillar-key";

const fragment = new URLSearchParams(location.hash.slice(1));
if (fragment.has("key")) {
  sessionStorage.setItem(KEY, fragment.get("key"));
  history.replaceState(null, "", location.pathname + "#ask");
}

export const key = () => sessionStorage.getItem(KEY) ?? "";
export const setKey = (value) => sessionStorage.setItem(KEY, value.trim());

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Who is logged in, where the server has logins: {person, csrf}; null where it has none. */
export const session = await fetch("/auth/session").then((response) => (response.ok ? response.json() : null)).catch(() => null);

export async function logout() {
  await request("POST", "/auth/logout");
  location.reload();
}

/** Headers that say who asks: the key, or for changes by a logged-in browser the token against forgery. */
function credentials(method) {
  if (key()) return { Authorization: `Bearer ${key()}` };
  return session?.csrf && method !== "GET" ? { "X-CSRF-Token": session.csrf } : {};
}

async function request(method, path, { body, signal } = {}) {
  const all = credentials(method);
  if (body !== undefined && !(body instanceof Blob)) {
    all["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  const response = await fetch(path, { method, headers: all, body, signal });
  if (!response.ok) {
    const detail = await response.json().catch(() => null);
    throw new ApiError(response.status, detail?.error?.message ?? response.statusText);
  }
  return response;
}

export const get = async (path) => (await request("GET", path)).json();
export const post = async (path, body) => (await request("POST", path, { body })).json();
export const put = async (path, body) => (await request("PUT", path, { body })).json();
export const remove = async (path) => { await request("DELETE", path); };
export const blob = async (path) => (await request("GET", path)).blob();

/** A picture, and where in it (0..1 from above and from the left) the marked passage begins, if anywhere. */
export async function picture(path) {
  const response = await request("GET", path);
  const mark = (side) => Number(response.headers.get(`Sillar-Mark-${side}`) ?? 0);
  return { image: await response.blob(), marked: response.headers.has("Sillar-Mark-Top"), top: mark("Top"), left: mark("Left") };
}

/** Sends a file; `onProgress(share)` hears how much of it has gone. Only XMLHttpRequest tells that. */
export function upload(file, collection, onProgress) {
  const query = new URLSearchParams(collection ? { name: file.name, collection } : { name: file.name });
  const call = new XMLHttpRequest();
  call.open("POST", `/v1/documents?${query}`);
  for (const [name, value] of Object.entries(credentials("POST"))) call.setRequestHeader(name, value);
  call.upload.addEventListener("progress", (event) => event.lengthComputable && onProgress(event.loaded / event.total));
  return new Promise((resolve, reject) => {
    call.addEventListener("error", () => reject(new TypeError("offline")));
    call.addEventListener("load", () => {
      const answer = parsed(call.responseText);
      if (call.status < 300) resolve(answer);
      else reject(new ApiError(call.status, answer?.error?.message ?? call.statusText));
    });
    call.send(file);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Yields {event, data} of a streamed POST. */
export async function* stream(path, body, signal) {
  const response = await request("POST", path, { body, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    let end;
    while ((end = buffer.indexOf("\n\n")) >= 0) {
      const parsed = parseEvent(buffer.slice(0, end));
      buffer = buffer.slice(end + 2);
      if (parsed) yield parsed;
    }
  }
}

function parseEvent(block) {
  let event = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) event = line.slice(7);
    else if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  const text = data.join("\n");
  return text && text !== "[DONE]" ? { event, data: JSON.parse(text) } : null;
}
