/** The live plan: subgoals that tick off. */

import { fill, h } from "./dom.js";
import { clean } from "./text.js";
import { icon } from "./icons.js";

const WORDS = { pending: "to do", running: "in progress", done: "done", failed: "failed" };

/**
 * @param {Element} place
 * @param {import("./types.js").TaskState} state
 */
export function drawPlan(place, state) {
  const done = state.plan.filter((subgoal) => subgoal.status === "done").length;
  fill(
    place,
    h("h3", {}, "Plan", h("span", { class: "count" }, `${done} of ${state.plan.length}`)),
    h("ol", { class: "plan" }, state.plan.map(line)),
    state.thought && h("p", { class: "fine" }, clean(state.thought)),
  );
}

/**
 * @param {import("./types.js").Subgoal} subgoal
 * @returns {HTMLElement}
 */
function line(subgoal) {
  const word = /** @type {Record<string, string>} */ (WORDS)[subgoal.status] ?? "to do";
  const sign = subgoal.status === "done" ? icon("check") : subgoal.status === "failed" ? icon("cross") : null;
  return h(
    "li",
    { data: { status: subgoal.status }, "aria-current": subgoal.status === "running" ? "step" : null },
    h("span", { class: "plan-mark" }, sign, h("span", { class: "sr" }, `${word}: `)),
    h("span", {}, clean(subgoal.text)),
  );
}
