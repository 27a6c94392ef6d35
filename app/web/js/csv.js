/** Reads the beginning of a CSV file. */

/**
 * Split into rows and fields (RFC 4180), with the separator that the first line uses most.
 *
 * @param {string} text
 * @param {number} maxRows
 * @returns {string[][]}
 */
export function parseCsv(text, maxRows) {
  const separator = guessSeparator(text);
  /** @type {string[][]} */
  const out = [];
  let row = [""];
  let quoted = false;
  for (let i = text.charCodeAt(0) === 0xfeff ? 1 : 0; i < text.length && out.length < maxRows; i += 1) {
    const character = text[i];
    if (quoted) {
      if (character !== '"') row[row.length - 1] += character;
      else if (text[i + 1] === '"') {
        row[row.length - 1] += '"';
        i += 1;
      } else quoted = false;
    } else if (character === '"' && row[row.length - 1] === "") quoted = true;
    else if (character === separator) row.push("");
    else if (character === "\n") {
      out.push(row);
      row = [""];
    } else if (character !== "\r") row[row.length - 1] += character;
  }
  if (out.length < maxRows && (row.length > 1 || row[0])) out.push(row);
  return out;
}

/**
 * @param {string} text
 * @returns {string}
 */
function guessSeparator(text) {
  const line = text.slice(0, 10000).split("\n", 1)[0];
  const count = (/** @type {string} */ sign) => line.split(sign).length;
  return [",", ";", "\t", "|"].reduce((best, sign) => (count(sign) > count(best) ? sign : best));
}
