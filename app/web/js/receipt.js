/** What an entry is worth, as far as it is known: runs with it and runs without it. */

import { getJson } from "./api.js";
import { fill, h } from "./dom.js";
import { plural } from "./format.js";
import { problemNote } from "./problem.js";
import { clean } from "./text.js";

/**
 * @param {any} item
 * @returns {HTMLElement}
 */
export function receipt(item) {
  const uses = item.uses ? `shown in ${plural(item.uses, "run")}` : "not used yet";
  const place = h("div", { class: "receipt-body" });
  const open = async (/** @type {Event} */ event) => {
    if (!(/** @type {HTMLDetailsElement} */ (event.currentTarget).open)) return;
    try {
      const found = await getJson(`/memory/${encodeURIComponent(item.id)}/receipt`);
      fill(place, table(found));
    } catch (error) {
      fill(place, problemNote(error));
    }
  };
  return h(
    "details",
    { class: "receipt", on: { toggle: open } },
    h("summary", { class: "fine" }, `Receipt: not yet known, ${uses}`),
    place,
  );
}

/**
 * @param {any} found
 * @returns {HTMLElement[]}
 */
function table(found) {
  const head = ["", "Runs", "Succeeded", "Mean steps"].map((text) => h("th", { scope: "col" }, text));
  return [
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, head)),
      h("tbody", {}, arm("With it", found.shown), arm("Without it", found.withheld)),
    ),
    h(
      "p",
      { class: "fine" },
      `Effect: ${clean(found.effect ?? found.note)}. `,
      found.unfinished > 0 && `${plural(found.unfinished, "run")} not ended yet.`,
    ),
  ];
}

/**
 * @param {string} title
 * @param {any} runs
 * @returns {HTMLElement}
 */
function arm(title, runs) {
  const steps = typeof runs?.mean_steps === "number" ? runs.mean_steps.toFixed(1) : "–";
  const cells = [runs?.runs ?? 0, runs?.successes ?? 0, steps];
  return h("tr", {}, h("th", { scope: "row" }, title), cells.map((cell) => h("td", { class: "right" }, String(cell))));
}
