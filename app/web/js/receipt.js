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
    h("summary", { class: "fine" }, `Receipt: ${uses}`),
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
      `${clean(found.summary ?? found.note)} `,
      found.unfinished > 0 && `${plural(found.unfinished, "run")} not ended yet.`,
    ),
    ...harm(found.harm_cases ?? []),
  ];
}

/**
 * @param {any[]} cases
 * @returns {HTMLElement[]}
 */
function harm(cases) {
  if (!cases.length) return [];
  const links = cases.map((one) =>
    h("li", {}, h("a", { href: `#/tasks/${encodeURIComponent(one.task_id)}` }, clean(one.task_id))),
  );
  return [h("p", { class: "fine" }, "Runs that failed with it while like ones did not:"), h("ul", {}, links)];
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
