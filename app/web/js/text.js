/** Makes untrusted text fit to be read: no terminal codes, no hidden direction changes. */

const ANSI = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;
const DIRECTION = /[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g;

/**
 * Drop terminal codes and controls; show direction marks as what they are.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function clean(value) {
  const text = typeof value === "string" ? value : value === null || value === undefined ? "" : String(value);
  return text
    .replace(ANSI, "")
    .replace(CONTROLS, "")
    .replace(DIRECTION, (mark) => `[U+${codePoint(mark)}]`);
}

/**
 * @param {string} character
 * @returns {string}
 */
function codePoint(character) {
  return character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
}

/**
 * Cut at a word if there is one near.
 *
 * @param {unknown} value
 * @param {number} length
 * @returns {string}
 */
export function shorten(value, length) {
  const text = clean(typeof value === "string" ? value.slice(0, length * 4) : value)
    .replace(/\s+/g, " ")
    .trim();
  if (text.length <= length) return text;
  const cut = text.slice(0, length);
  const space = cut.lastIndexOf(" ");
  return `${space > length * 0.6 ? cut.slice(0, space) : cut}…`;
}
