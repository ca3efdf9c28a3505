// What went wrong, said to a person.

import { ApiError, session } from "./api.js";
import { notice } from "./dom.js";
import { t } from "./text.js";

export function complain(error) {
  if (error.name === "AbortError") return;
  if (error instanceof ApiError && error.status === 401) notice(t(session ? "needLogin" : "needKey"));
  else notice(said(error));
}

/** The server's words, or that it cannot be reached; throws what is neither. */
export function said(error) {
  if (error instanceof ApiError) return error.message;
  if (error instanceof TypeError) return t("offline");
  throw error;
}
