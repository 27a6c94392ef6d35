/** Shows untrusted text and arguments: code as code, long text in pieces. */

import { h } from "./dom.js";
import { size } from "./format.js";
import { clean } from "./text.js";

const FIRST_CHARS = 6000;
const MORE_CHARS = 100_000;
const CODE_NAMES = new Set(["code", "command", "script", "source", "query", "sql", "content", "patch"]);

/**
 * Show text as it is, the beginning first.
 *
 * @param {string} text
 * @param {string} label for assistive technology
 * @returns {HTMLElement}
 */
export function textBlock(text, label) {
  const code = h("code", {}, clean(text.slice(0, FIRST_CHARS)));
  const pre = h("pre", { tabindex: "0", role: "region", "aria-label": label }, code);
  if (text.length <= FIRST_CHARS) return pre;
  let shown = FIRST_CHARS;
  const more = h("button", { type: "button", class: "quiet", on: { click: grow } }, moreLabel());
  return h("div", { class: "long-text" }, pre, more);

  function grow() {
    code.append(clean(text.slice(shown, shown + MORE_CHARS)));
    shown += MORE_CHARS;
    if (shown >= text.length) more.remove();
    else more.textContent = moreLabel();
  }

  function moreLabel() {
    return `Show more (${size(text.length - shown)} left)`;
  }
}

/**
 * Show a tool call's arguments.
 *
 * @param {Record<string, any>} values
 * @returns {HTMLElement|null}
 */
export function argumentList(values) {
  const entries = Object.entries(values ?? {});
  if (entries.length === 0) return null;
  return h(
    "dl",
    { class: "arguments" },
    entries.map(([name, value]) => [h("dt", {}, clean(name)), h("dd", {}, argument(name, value))]),
  );
}

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {HTMLElement}
 */
function argument(name, value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "";
  const block = text.includes("\n") || text.length > 120 || CODE_NAMES.has(name);
  return block ? textBlock(text, `Argument ${name}`) : h("code", {}, clean(text));
}
