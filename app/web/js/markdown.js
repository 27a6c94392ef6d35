/** Renders the block part of Markdown as DOM nodes; never parses HTML. */

import { h } from "./dom.js";
import { inline } from "./inline.js";
import { safeLink } from "./links.js";
import { clean } from "./text.js";

const MAX_DEPTH = 6;
const HEADING = /^ {0,3}(#{1,6})\s+(.*)$/;
const FENCE = /^( {0,3})(`{3,}|~{3,})\s*([\w+-]*)/;
const RULE = /^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,11})([-*+]|\d{1,9}[.)])(?:[ \t]+(.*)|)$/;
const DIVIDER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

/** @typedef {import("./inline.js").ResolveLink} ResolveLink */

/**
 * Render untrusted Markdown.
 *
 * @param {string} source
 * @param {ResolveLink} [resolve]
 * @returns {DocumentFragment}
 */
export function markdown(source, resolve = safeLink) {
  const fragment = document.createDocumentFragment();
  fragment.append(...blocks(clean(source).replace(/\r\n?/g, "\n").split("\n"), resolve, 0));
  return fragment;
}

/**
 * @param {string[]} lines
 * @param {ResolveLink} resolve
 * @param {number} depth
 * @returns {Node[]}
 */
function blocks(lines, resolve, depth) {
  /** @type {Node[]} */
  const out = [];
  const readers = depth > MAX_DEPTH ? [paragraph] : [fenced, heading, rule, table, quote, list, paragraph];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    for (const read of readers) {
      const block = read(lines, at, resolve, depth);
      if (!block) continue;
      out.push(block.node);
      at = block.end;
      break;
    }
  }
  return out;
}

/** @typedef {{node: Node, end: number}|null} Block */
/** @typedef {(lines: string[], at: number, resolve: ResolveLink, depth: number) => Block} Reader */

/** @type {Reader} */
function fenced(lines, at) {
  const open = FENCE.exec(lines[at]);
  if (!open) return null;
  let end = at + 1;
  while (end < lines.length && !closes(lines[end], open[2])) end += 1;
  const indent = new RegExp(`^ {0,${open[1].length}}`);
  const body = lines.slice(at + 1, end).map((line) => line.replace(indent, ""));
  const label = open[3] ? `Code, ${open[3]}` : "Code";
  const node = h("pre", { tabindex: "0", role: "region", "aria-label": label }, h("code", {}, body.join("\n")));
  return { node, end: end + 1 };
}

/**
 * @param {string} line
 * @param {string} fence
 * @returns {boolean}
 */
function closes(line, fence) {
  const text = line.trim();
  return text.length >= fence.length && text === fence[0].repeat(text.length);
}

/** @type {Reader} */
function heading(lines, at, resolve) {
  const found = HEADING.exec(lines[at]);
  if (!found) return null;
  const level = Math.min(6, found[1].length + 2);
  const text = found[2].trimEnd().replace(/(?:^|\s)#+$/, "");
  return { node: h(`h${level}`, {}, inline(text, resolve)), end: at + 1 };
}

/** @type {Reader} */
function rule(lines, at) {
  return RULE.test(lines[at]) ? { node: h("hr"), end: at + 1 } : null;
}

/** @type {Reader} */
function quote(lines, at, resolve, depth) {
  if (!QUOTE.test(lines[at])) return null;
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const inner = lines.slice(at, end).map((line) => line.replace(QUOTE, ""));
  return { node: h("blockquote", {}, blocks(inner, resolve, depth + 1)), end };
}

/** @type {Reader} */
function table(lines, at, resolve) {
  if (!lines[at].includes("|") || !DIVIDER.test(lines[at + 1] ?? "")) return null;
  const head = cells(lines[at]);
  const sides = cells(lines[at + 1]).map(side);
  if (sides.length !== head.length) return null;
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) end += 1;
  const row = (/** @type {string} */ tag, /** @type {string[]} */ texts) =>
    h("tr", {}, head.map((_, i) => h(tag, { class: sides[i] }, inline(texts[i] ?? "", resolve))));
  const body = lines.slice(at + 2, end).map((line) => row("td", cells(line)));
  const grid = h("table", {}, h("thead", {}, row("th", head)), h("tbody", {}, body));
  return { node: h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "Table" }, grid), end };
}

/**
 * @param {string} line
 * @returns {string[]}
 */
function cells(line) {
  const out = [""];
  const text = line.trim().replace(/^\|/, "");
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === "\\" && text[i + 1] === "|") {
      out[out.length - 1] += "|";
      i += 1;
    } else if (text[i] === "|") out.push("");
    else out[out.length - 1] += text[i];
  }
  if (out.length > 1 && !out[out.length - 1].trim()) out.pop();
  return out.map((cell) => cell.trim());
}

/**
 * @param {string} cell
 * @returns {string|null}
 */
function side(cell) {
  if (!cell.endsWith(":")) return null;
  return cell.startsWith(":") ? "center" : "right";
}

/** @type {Reader} */
function list(lines, at, resolve, depth) {
  const first = ITEM.exec(lines[at]);
  if (!first || RULE.test(lines[at])) return null;
  const ordered = /\d/.test(first[2]);
  const indent = first[1].length;
  /** @type {string[][]} */
  const items = [];
  let end = at;
  for (; end < lines.length; end += 1) {
    const line = lines[end];
    const item = ITEM.exec(line);
    if (item && item[1].length <= indent + 1) {
      if (/\d/.test(item[2]) !== ordered || item[1].length < indent || RULE.test(line)) break;
      items.push([item[3] ?? ""]);
    } else if (!line.trim()) {
      if (!continues(lines[end + 1], indent)) break;
      items[items.length - 1].push("");
    } else if (/^\s{2,}/.test(line) || !(startsBlock(line) || !lines[end - 1].trim())) {
      items[items.length - 1].push(line.replace(/^\s+/, (space) => space.slice(indent + 2)));
    } else break;
  }
  const start = ordered && parseInt(first[2], 10) !== 1 ? parseInt(first[2], 10) : null;
  const children = items.map((item) => h("li", {}, tight(blocks(item, resolve, depth + 1))));
  return { node: h(ordered ? "ol" : "ul", { start }, children), end };
}

/**
 * @param {string|undefined} line
 * @param {number} indent
 * @returns {boolean}
 */
function continues(line, indent) {
  if (line === undefined || !line.trim()) return false;
  const item = ITEM.exec(line);
  return item ? item[1].length >= indent : /^\s{2,}/.test(line);
}

/**
 * Show an item of one paragraph without a paragraph's space.
 *
 * @param {Node[]} children
 * @returns {Node[]}
 */
function tight(children) {
  return children.flatMap((child, i) =>
    i === 0 && child instanceof HTMLParagraphElement ? [...child.childNodes] : [child],
  );
}

/**
 * @param {string} line
 * @returns {boolean}
 */
function startsBlock(line) {
  return HEADING.test(line) || FENCE.test(line) || QUOTE.test(line) || ITEM.test(line) || RULE.test(line);
}

/** @type {Reader} */
function paragraph(lines, at, resolve) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !startsBlock(lines[end])) {
    if (lines[end].includes("|") && DIVIDER.test(lines[end + 1] ?? "")) break;
    end += 1;
  }
  const text = lines.slice(at, end).map((line) => line.trim()).join("\n");
  return { node: h("p", {}, inline(text, resolve)), end };
}
