/** The line above a task: status, figures, and the button that stops it. */

import { fill, h, setText } from "./dom.js";
import { duration, instant, isFinal, money, plural, statusWord } from "./format.js";
import { icon } from "./icons.js";

/** Shows how a task stands; ticks while it runs. */
export class TaskHeader {
  /** @param {() => Promise<void>} onStop */
  constructor(onStop) {
    this.pill = h("span", { class: "pill" });
    this.figures = h("span", { class: "figures" });
    this.stop = h(
      "button",
      { type: "button", class: "stop", hidden: true, on: { click: () => this.#press(onStop) } },
      icon("stop"),
      "Stop",
    );
    this.element = h("div", { class: "task-header" }, this.pill, this.figures, this.stop);
  }

  /** @param {import("./types.js").TaskState} state */
  update(state) {
    this.pill.dataset.status = state.status;
    setText(this.pill, statusWord(state.status));
    this.stop.hidden = isFinal(state.status);
    fill(this.figures, figures(state));
  }

  /** @param {() => Promise<void>} onStop */
  async #press(onStop) {
    this.stop.disabled = true;
    try {
      await onStop();
    } finally {
      this.stop.disabled = false;
    }
  }
}

/**
 * @param {import("./types.js").TaskState} state
 * @returns {HTMLElement[]}
 */
function figures(state) {
  const end = isFinal(state.status) ? instant(state.lastAt) : Date.now();
  const seconds = Math.max(0, (end - instant(state.firstAt)) / 1000);
  const shown = isFinal(state.status) ? duration(seconds) : duration(Math.max(1, Math.floor(seconds))).replace(".0", "");
  const { calls, tokens, usd } = state.totals;
  return [
    shown,
    plural(state.steps, "step"),
    plural(calls, "model call"),
    `${tokens.toLocaleString("en-US")} tokens`,
    money(usd),
  ].map((text) => h("span", {}, text));
}
