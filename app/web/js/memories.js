/** What was recalled for a task, and what it taught. */

import { fill, h } from "./dom.js";
import { plural } from "./format.js";
import { clean } from "./text.js";

const OUTCOMES = { new: "new, on trial", merged: "known already, strengthened", refused: "not kept" };

/**
 * @param {Element} place
 * @param {{items: any[], degraded: string}} recall
 */
export function drawRecall(place, recall) {
  fill(
    place,
    h("summary", {}, h("h3", {}, "Recalled", h("span", { class: "count" }, String(recall.items.length)))),
    recall.items.length === 0 && h("p", { class: "fine" }, "Nothing learned so far fits this task."),
    recall.items.length > 0 && h("ul", { class: "memories" }, recall.items.map(recalled)),
    recall.degraded && h("p", { class: "fine" }, clean(recall.degraded)),
  );
}

/**
 * @param {any} item
 * @returns {HTMLElement}
 */
function recalled(item) {
  const facts = [kindWord(item.kind), item.withheld && "held back this time, to measure its worth"];
  return h(
    "li",
    { class: item.withheld ? "withheld" : null },
    h("p", { dir: "auto" }, clean(item.text)),
    h("p", { class: "fine" }, clean([...facts, ...(item.reasons ?? [])].filter(Boolean).join(" · "))),
  );
}

/**
 * @param {Element} place
 * @param {any[]} items
 */
export function drawLearned(place, items) {
  fill(
    place,
    h("h3", {}, "Learned", items.length > 0 && h("span", { class: "count" }, plural(items.length, "proposal"))),
    items.length === 0 && h("p", { class: "fine" }, "This run taught nothing new."),
    items.length > 0 && h("ul", { class: "memories" }, items.map(learned)),
    items.some((item) => item.outcome !== "refused") &&
      h("p", { class: "fine" }, "Receipt: not yet known. Later runs show what each of these is worth; see ", h("a", { href: "#/memory" }, "Memory"), "."),
  );
}

/**
 * @param {any} item
 * @returns {HTMLElement}
 */
function learned(item) {
  const outcome = /** @type {Record<string, string>} */ (OUTCOMES)[item.outcome] ?? item.outcome;
  const steps = item.provenance?.steps ?? [];
  const facts = [
    kindWord(item.kind),
    outcome,
    steps.length > 0 && `from ${steps.length === 1 ? "step" : "steps"} ${steps.join(", ")}`,
    item.outcome === "refused" && item.reason,
  ];
  return h(
    "li",
    { class: item.outcome === "refused" ? "withheld" : null },
    h("p", { dir: "auto" }, clean(item.text)),
    h("p", { class: "fine" }, clean(facts.filter(Boolean).join(" · "))),
  );
}

/**
 * @param {string} kind
 * @returns {string}
 */
export function kindWord(kind) {
  return kind === "shortcut" ? "Shortcut" : "Tip";
}
