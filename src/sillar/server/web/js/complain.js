// What went wrong, said to a person.

import { ApiError, session } from "./api.js";
import { notice } from "./dom.js";
import { t } from "./text.js";

export function complain(error) {
  if (error.name === "AbortError") return;
  if (error instanceof ApiError) notice(error.status === 401 ? t(session ? "needLogin" : "needKey") : error.message);
  else if (error instanceof TypeError) notice(t("offline"));
  else throw error;
}
