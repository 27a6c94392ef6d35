/** The files that a task made: to download, and to look at where that is safe. */

import { request } from "./api.js";
import { parseCsv } from "./csv.js";
import { fill, h } from "./dom.js";
import { size } from "./format.js";
import { icon } from "./icons.js";
import { artifactPath } from "./links.js";
import { markdown } from "./markdown.js";
import { problemNote } from "./problem.js";
import { clean } from "./text.js";
import { textBlock } from "./value.js";

const MAX_PREVIEW_BYTES = 400_000;
const MAX_ROWS = 200;
const MAX_COLUMNS = 50;
const IMAGE = /\.(?:png|jpe?g|gif|webp|bmp)$/i;
const TABLE = /\.(?:csv|tsv)$/i;
const PROSE = /\.(?:md|markdown)$/i;
const TEXT = /\.(?:txt|log|json|jsonl|ya?ml|toml|xml|html?|svg|py|js|ts|sh|sql|css|ini|cfg|r|go|rs|c|h|cpp|java)$/i;

/**
 * @param {string} taskId
 * @param {string[]} names
 * @returns {HTMLElement}
 */
export function artifactList(taskId, names) {
  return h("ul", { class: "artifacts" }, names.map((name) => artifact(taskId, name)));
}

/**
 * @param {string} taskId
 * @param {string} name
 * @returns {HTMLElement}
 */
function artifact(taskId, name) {
  const shown = clean(name);
  const place = h("div", { class: "preview" });
  const look = h("button", { type: "button", class: "quiet", "aria-expanded": "false", on: { click: toggle } }, "Preview");
  const save = h(
    "button",
    { type: "button", class: "quiet", "aria-label": `Download ${shown}`, on: { click: download } },
    icon("download"),
    "Download",
  );
  const line = h("div", { class: "artifact-line" }, icon("file"), h("span", { class: "artifact-name" }, shown), canPreview(name) && look, save);
  return h("li", { class: "artifact" }, line, place);

  async function toggle() {
    const open = place.childNodes.length > 0;
    look.setAttribute("aria-expanded", String(!open));
    look.textContent = open ? "Preview" : "Close";
    if (open) return fill(place);
    fill(place, h("p", { class: "fine" }, "Loading…"));
    try {
      fill(place, await preview(taskId, name));
    } catch (error) {
      fill(place, problemNote(error));
    }
  }

  async function download() {
    try {
      const response = await request(artifactPath(taskId, name));
      offer(await response.blob(), name.split("/").pop() ?? "file");
    } catch (error) {
      fill(place, problemNote(error));
    }
  }
}

/**
 * @param {string} name
 * @returns {boolean}
 */
function canPreview(name) {
  return [IMAGE, TABLE, PROSE, TEXT].some((kind) => kind.test(name));
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
function offer(blob, name) {
  const address = URL.createObjectURL(new Blob([blob], { type: "application/octet-stream" }));
  const anchor = h("a", { href: address, download: name });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/**
 * @param {string} taskId
 * @param {string} name
 * @returns {Promise<HTMLElement>}
 */
async function preview(taskId, name) {
  const response = await request(artifactPath(taskId, name));
  if (IMAGE.test(name)) return picture(await response.blob(), name);
  const { text, cut } = await beginning(response);
  const more = cut && h("p", { class: "fine" }, `The first ${size(MAX_PREVIEW_BYTES)} of the file.`);
  if (TABLE.test(name)) return h("div", {}, grid(text, name), more);
  if (PROSE.test(name)) return h("div", {}, h("div", { class: "prose card" }, markdown(text)), more);
  return h("div", {}, textBlock(text, name), more);
}

/**
 * Draw a picture from its bytes, so that no address of another kind has to be allowed.
 *
 * @param {Blob} blob
 * @param {string} name
 * @returns {Promise<HTMLElement>}
 */
async function picture(blob, name) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob);
  } catch {
    return h("p", { class: "fine" }, "This file is not a picture that can be shown here.");
  }
  const canvas = h("canvas", { role: "img", "aria-label": clean(name), width: bitmap.width, height: bitmap.height });
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas;
}

/**
 * @param {string} text
 * @param {string} name
 * @returns {HTMLElement}
 */
function grid(text, name) {
  const all = parseCsv(text, MAX_ROWS + 2);
  const [head = [], ...body] = all;
  const row = (/** @type {string} */ tag, /** @type {string[]} */ fields) =>
    h("tr", {}, fields.slice(0, MAX_COLUMNS).map((field) => h(tag, { class: numeric(field) ? "right" : null }, clean(field.slice(0, 500)))));
  const rows = body.slice(0, MAX_ROWS);
  return h(
    "div",
    { class: "scroll-x table-box", tabindex: "0", role: "region", "aria-label": `Table ${clean(name)}` },
    h("table", {}, h("thead", {}, row("th", head)), h("tbody", {}, rows.map((fields) => row("td", fields)))),
    body.length > MAX_ROWS && h("p", { class: "fine" }, `The first ${MAX_ROWS} rows.`),
  );
}

/**
 * @param {string} field
 * @returns {boolean}
 */
function numeric(field) {
  return /^-?[\d.,]{1,30}%?$/.test(field.trim());
}

/**
 * @param {Response} response
 * @returns {Promise<{text: string, cut: boolean}>}
 */
async function beginning(response) {
  if (!response.body) return { text: "", cut: false };
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), cut: false };
    bytes += value.length;
    text += decoder.decode(value, { stream: true });
    if (bytes >= MAX_PREVIEW_BYTES) {
      await reader.cancel();
      return { text, cut: true };
    }
  }
}
