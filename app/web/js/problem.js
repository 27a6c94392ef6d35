/** Says readably what went wrong. */

import { ApiError } from "./api.js";
import { h } from "./dom.js";
import { clean } from "./text.js";

/** @type {Record<string, string>} */
const END_REASONS = {
  no_answer: "The agents found no answer.",
  max_steps: "The limit of steps was reached.",
  max_failures: "Too many steps failed one after another.",
  repetition: "The same action was repeated without progress.",
  budget: "The budget was used up.",
  timeout: "The time limit was reached.",
  cancelled: "The task was stopped.",
  model_unavailable: "No model answered.",
  tool_unavailable: "A tool that is needed is not available.",
  policy: "A rule forbids what would have been needed.",
  internal: "Something went wrong inside the server; its log says what.",
};

/**
 * @param {unknown} error
 * @returns {HTMLElement}
 */
export function problemNote(error) {
  if (!(error instanceof ApiError)) return note("Something went wrong in this page", String(error), []);
  return note(error.title, error.detail, error.fields);
}

/**
 * @param {string} title
 * @param {string} detail
 * @param {{field: string, message: string}[]} fields
 * @returns {HTMLElement}
 */
function note(title, detail, fields) {
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("strong", {}, clean(title)),
    detail && detail !== title && fields.length === 0 && h("p", {}, clean(detail)),
    fields.length > 0 &&
      h("ul", {}, fields.map((f) => h("li", {}, f.field && h("code", {}, clean(f.field)), ` ${clean(f.message)}`))),
  );
}

/**
 * @param {string} reason
 * @returns {string}
 */
export function endReason(reason) {
  return END_REASONS[reason] ?? "";
}
