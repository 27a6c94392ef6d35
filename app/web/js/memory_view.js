/** What was learned so far: tips and shortcuts with their status and record. */

import { getJson, rows } from "./api.js";
import { fill, h } from "./dom.js";
import { ago } from "./format.js";
import { problemNote } from "./problem.js";
import { receipt } from "./receipt.js";
import { clean } from "./text.js";

const KINDS = [
  { path: "/memory/tips", title: "Tips", none: "No tips yet. The first ones come when a task has ended." },
  { path: "/memory/shortcuts", title: "Shortcuts", none: "No shortcuts yet. They are made from steps that worked." },
];

/**
 * @returns {HTMLElement}
 */
export function memoryView() {
  const sections = KINDS.map((kind) => {
    const place = h("div", { "aria-busy": "true" }, h("p", { class: "fine" }, "Loading…"));
    load(kind, place);
    return h("section", {}, h("h2", {}, kind.title), place);
  });
  return h(
    "article",
    { class: "memory" },
    h("h1", { tabindex: "-1" }, "Memory"),
    h(
      "p",
      { class: "lead" },
      "Each entry is on trial until runs with it and without it show what it is worth. Some runs go without an entry on purpose, to measure that.",
    ),
    sections,
  );
}

/**
 * @param {{path: string, none: string}} kind
 * @param {HTMLElement} place
 */
async function load(kind, place) {
  try {
    const entries = rows(await getJson(`${kind.path}?limit=100`));
    fill(place, entries.length === 0 ? h("p", { class: "fine" }, kind.none) : h("ul", { class: "entries" }, entries.map(entry)));
  } catch (error) {
    fill(place, problemNote(error));
  } finally {
    place.removeAttribute("aria-busy");
  }
}

/**
 * @param {any} item
 * @returns {HTMLElement}
 */
function entry(item) {
  const body = item.body ?? item;
  const from = item.provenance?.task_id;
  return h(
    "li",
    { class: "entry" },
    h(
      "div",
      { class: "entry-head" },
      h("span", { class: "pill", data: { status: item.status } }, clean(item.status)),
      body.name && h("strong", {}, clean(body.name)),
      h("span", { class: "fine" }, clean(scope(body.scope))),
    ),
    h("p", { dir: "auto" }, clean(body.text ?? body.description)),
    body.precondition && h("p", { class: "fine" }, `When: ${clean(body.precondition)}`),
    body.steps && h("p", { class: "fine" }, `Runs ${body.steps.map((/** @type {any} */ step) => clean(step.tool)).join(", then ")}`),
    h(
      "p",
      { class: "fine" },
      [item.version > 1 && `version ${item.version}`, ago(item.created_at)].filter(Boolean).join(" · "),
      from && [" · ", h("a", { href: `#/tasks/${encodeURIComponent(from)}` }, "where it comes from")],
    ),
    receipt(item),
  );
}

/**
 * @param {any} value
 * @returns {string}
 */
function scope(value) {
  if (!value?.level || value.level === "global") return "everywhere";
  return `${value.level} ${value.key}`;
}
