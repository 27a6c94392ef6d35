/** One step of a run: a line that opens to everything about it. */

import { fill, h, setText } from "./dom.js";
import { duration, instant } from "./format.js";
import { icon } from "./icons.js";
import { clean, shorten } from "./text.js";
import { argumentList, textBlock } from "./value.js";

/** @typedef {import("./types.js").TimelineItem} TimelineItem */

/** @type {Record<string, string>} */
const OUTCOMES = { success: "done", wrong_state: "wrong state", no_change: "no change", stopped: "stopped" };

/** Shows a step, first while it runs and then with its result. */
export class StepCard {
  /** @param {TimelineItem} item */
  constructor(item) {
    this.item = item;
    this.body = h("div", { class: "step-body" });
    this.mark = h("span", { class: "step-mark" });
    this.tool = h("span", { class: "step-tool" });
    this.thought = h("span", { class: "step-thought" });
    this.badge = h("span", { class: "step-badge" });
    this.time = h("span", { class: "step-time" });
    const summary = h("summary", {}, this.mark, this.tool, this.thought, this.badge, this.time, icon("chevron"));
    this.details = h("details", { class: "step", on: { toggle: () => this.#build() } }, summary, this.body);
    this.element = h("li", { class: "timeline-step" }, this.details);
    this.update(item);
  }

  /** @param {TimelineItem} item */
  update(item) {
    this.item = item;
    const { running, outcome, calls = [], n } = item.data;
    this.details.dataset.outcome = running ? "running" : outcome ?? "success";
    setText(this.mark, String(n ?? ""));
    setText(this.tool, shorten(calls.map((/** @type {any} */ call) => call.tool).join(", ") || "step", 48));
    setText(this.thought, shorten(item.data.thought, 140));
    setText(this.badge, running ? "running" : this.#verdict());
    setText(this.time, running ? "" : duration(this.#seconds()));
    this.details.dataset.built = "";
    this.#build();
  }

  /** @returns {string} */
  #verdict() {
    const { outcome, error_class: errorClass } = this.item.data;
    return clean(errorClass ? errorClass.replaceAll("_", " ") : OUTCOMES[outcome] ?? "done");
  }

  /** @returns {number} */
  #seconds() {
    return (this.item.data.calls ?? []).reduce(
      (/** @type {number} */ sum, /** @type {any} */ call) => sum + (call.seconds ?? 0),
      0,
    );
  }

  #build() {
    if (!this.details.open || this.details.dataset.built) return;
    this.details.dataset.built = "yes";
    const { thought, calls = [], changed = [], feedback, running } = this.item.data;
    fill(
      this.body,
      thought && part("Thought", h("p", {}, clean(thought))),
      calls.map((/** @type {any} */ call) => callBlock(call, running)),
      changed.length > 0 && part("Files changed", h("p", {}, changed.map(clean).join(", "))),
      feedback && part("Feedback", h("p", {}, clean(feedback))),
      h("p", { class: "fine" }, this.#facts()),
    );
  }

  /** @returns {string} */
  #facts() {
    const { outcome, error_class: errorClass, decided_by: by, running } = this.item.data;
    const at = instant(this.item.at);
    const time = at ? `begun at ${new Date(at).toLocaleTimeString("en-GB")}` : "";
    const judged = `${OUTCOMES[outcome] ?? "done"}${errorClass ? `, ${errorClass.replaceAll("_", " ")}` : ""}`;
    const judge = by && `, as judged by ${by === "model" ? "the Reviewer" : "code"}`;
    return clean([!running && `${judged}${judge ?? ""}`, time].filter(Boolean).join(" · "));
  }
}

/**
 * @param {any} call
 * @param {boolean} running
 * @returns {HTMLElement}
 */
function callBlock(call, running) {
  const failed = call.ok === false;
  const result = clean(call.text ?? "") ? textBlock(call.text, `Result of ${call.tool}`) : null;
  const state = failed ? `failed${call.error_class ? ` (${call.error_class.replaceAll("_", " ")})` : ""}` : "";
  return h(
    "section",
    { class: failed ? "call failed" : "call" },
    h("h4", {}, clean(call.tool), state && h("span", { class: "call-state" }, clean(state))),
    argumentList(call.arguments),
    running
      ? h("p", { class: "fine" }, "Running…")
      : part("Result", result ?? h("p", { class: "fine" }, "Nothing was returned.")),
  );
}

/**
 * @param {string} title
 * @param {HTMLElement} content
 * @returns {HTMLElement}
 */
function part(title, content) {
  return h("div", { class: "part" }, h("div", { class: "part-title" }, title), content);
}
