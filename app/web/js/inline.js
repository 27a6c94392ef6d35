/** Renders the inline part of Markdown (code, bold, italic, links) as DOM nodes. */

import { h } from "./dom.js";

const MAX_DEPTH = 8;
const MARKS = [
  ["**", "strong"],
  ["__", "strong"],
  ["~~", "s"],
  ["*", "em"],
  ["_", "em"],
];
const LINK = /^\[([^[\]]{0,1000})\]\(([^()]{0,2000}(?:\([^()]{0,200}\)[^()]{0,200})?)\)/;
const SPECIAL = /[\\`*_~[!<h\n]/g;

/** @typedef {(target: string) => string|null} ResolveLink */

/**
 * Turn a line of Markdown into nodes, in time linear in its length.
 *
 * @param {string} text
 * @param {ResolveLink} resolve returns the address to link to, or null for no link
 * @param {number} [depth]
 * @returns {(Node|string)[]}
 */
export function inline(text, resolve, depth = 0) {
  if (depth > MAX_DEPTH) return [text];
  const out = new Output();
  const missing = new Set();
  let at = 0;
  while (at < text.length) {
    SPECIAL.lastIndex = at;
    const found = SPECIAL.exec(text);
    if (!found) break;
    out.text(text.slice(at, found.index));
    at = found.index;
    const piece =
      escaped(text, at) ??
      lineBreak(text, at) ??
      code(text, at, missing) ??
      link(text, at, resolve, depth) ??
      address(text, at, resolve) ??
      marked(text, at, resolve, depth, missing);
    if (piece) {
      out.push(piece.node);
      at = piece.end;
    } else {
      out.text(text[at]);
      at += 1;
    }
  }
  out.text(text.slice(at));
  return out.nodes;
}

/** Collects nodes and joins neighbouring text. */
class Output {
  /** @type {(Node|string)[]} */
  nodes = [];

  /** @param {string} text */
  text(text) {
    if (!text) return;
    const last = this.nodes.length - 1;
    if (typeof this.nodes[last] === "string") this.nodes[last] += text;
    else this.nodes.push(text);
  }

  /** @param {Node|string} node */
  push(node) {
    if (typeof node === "string") this.text(node);
    else this.nodes.push(node);
  }
}

/** @typedef {{node: Node|string, end: number}|null} Piece */

/**
 * @param {string} text
 * @param {number} at
 * @returns {Piece}
 */
function escaped(text, at) {
  if (text[at] !== "\\" || !/[!-/:-@[-`{-~]/.test(text[at + 1] ?? "")) return null;
  return { node: text[at + 1], end: at + 2 };
}

/**
 * @param {string} text
 * @param {number} at
 * @returns {Piece}
 */
function lineBreak(text, at) {
  return text[at] === "\n" ? { node: h("br"), end: at + 1 } : null;
}

/**
 * @param {string} text
 * @param {number} at
 * @param {Set<string>} missing
 * @returns {Piece}
 */
function code(text, at, missing) {
  if (text[at] !== "`") return null;
  let end = at;
  while (text[end] === "`") end += 1;
  const fence = text.slice(at, end);
  const close = search(text, fence, end, missing);
  if (close < 0) return { node: fence, end };
  const inner = text.slice(end, close);
  return { node: h("code", {}, inner.trim() ? inner.replace(/^ (.*) $/s, "$1") : inner), end: close + fence.length };
}

/**
 * @param {string} text
 * @param {number} at
 * @param {ResolveLink} resolve
 * @param {number} depth
 * @returns {Piece}
 */
function link(text, at, resolve, depth) {
  const start = text[at] === "!" ? at + 1 : at;
  if (text[start] !== "[") return null;
  const found = LINK.exec(text.slice(start, start + 3100));
  if (!found) return null;
  const target = found[2].trim().split(/\s+/, 1)[0].replace(/^<|>$/g, "");
  const children = inline(found[1], () => null, depth + 1);
  return {
    node: anchor(target, children.length ? children : [target], resolve),
    end: start + found[0].length,
  };
}

/**
 * @param {string} text
 * @param {number} at
 * @param {ResolveLink} resolve
 * @returns {Piece}
 */
function address(text, at, resolve) {
  if (text[at] !== "h" && text[at] !== "<") return null;
  if (text[at] === "h" && /\w/.test(text[at - 1] ?? "")) return null;
  const start = text[at] === "<" ? at + 1 : at;
  const found = /^https?:\/\/[^\s<>"'`]{1,2000}/.exec(text.slice(start, start + 2010));
  if (!found) return null;
  const target = start > at ? found[0] : found[0].replace(/[.,;:!?)\]}*_~]+$/, "");
  const end = start + target.length;
  if (start > at && text[end] !== ">") return null;
  return { node: anchor(target, [target], resolve), end: start > at ? end + 1 : end };
}

/**
 * @param {string} text
 * @param {number} at
 * @param {ResolveLink} resolve
 * @param {number} depth
 * @param {Set<string>} missing
 * @returns {Piece}
 */
function marked(text, at, resolve, depth, missing) {
  const mark = MARKS.find(([sign]) => text.startsWith(sign, at));
  if (!mark) return null;
  const [sign, tag] = mark;
  const start = at + sign.length;
  if (/\s/.test(text[start] ?? " ")) return null;
  if (sign[0] === "_" && /\w/.test(text[at - 1] ?? "")) return null;
  const close = search(text, sign, start + 1, missing);
  if (close < 0 || /\s/.test(text[close - 1])) return null;
  if (sign[0] === "_" && /\w/.test(text[close + sign.length] ?? "")) return null;
  const children = inline(text.slice(start, close), resolve, depth + 1);
  return { node: h(tag, {}, children), end: close + sign.length };
}

/**
 * Find a closing sign; one that is missing once is missing for the rest of the text.
 *
 * @param {string} text
 * @param {string} sign
 * @param {number} from
 * @param {Set<string>} missing
 * @returns {number}
 */
function search(text, sign, from, missing) {
  if (missing.has(sign)) return -1;
  const found = text.indexOf(sign, from);
  if (found < 0) missing.add(sign);
  return found;
}

/**
 * @param {string} target
 * @param {(Node|string)[]} children
 * @param {ResolveLink} resolve
 * @returns {Node}
 */
function anchor(target, children, resolve) {
  const href = resolve(target);
  if (href === null) return h("span", {}, children);
  const outside = new URL(href, location.href).origin !== location.origin;
  const props = outside ? { target: "_blank", rel: "noopener noreferrer nofollow" } : { rel: "noopener noreferrer" };
  return h("a", { href, ...props }, children);
}
