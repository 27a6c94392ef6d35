/** The line above a task: status, figures, and the buttons that stop it, hold it and let it go on. */

import { fill, h, setText } from "./dom.js";
import { duration, instant, isFinal, money, plural, statusWord } from "./format.js";
import { icon } from "./icons.js";

/** @typedef {"cancel"|"pause"|"resume"|"retry"} Verb */

/** Shows how a task stands; ticks while it runs. */
export class TaskHeader {
  /** @param {(verb: Verb) => Promise<void>} onPress */
  constructor(onPress) {
    this.onPress = onPress;
    this.pill = h("span", { class: "pill" });
    this.figures = h("span", { class: "figures" });
    this.buttons = {
      pause: this.#button("pause", "pause", "Pause"),
      resume: this.#button("resume", "play", "Resume"),
      retry: this.#button("retry", "play", "Try again"),
      cancel: this.#button("cancel", "stop", "Stop"),
    };
    this.element = h("div", { class: "task-header" }, this.pill, this.figures, Object.values(this.buttons));
  }

  /** @param {import("./types.js").TaskState} state */
  update(state) {
    this.pill.dataset.status = state.status;
    setText(this.pill, statusWord(state.status));
    const over = isFinal(state.status);
    this.buttons.pause.hidden = over || state.status === "paused";
    this.buttons.resume.hidden = state.status !== "paused";
    this.buttons.retry.hidden = !(state.ended && (state.status === "failed" || state.status === "cancelled"));
    this.buttons.cancel.hidden = over;
    fill(this.figures, figures(state));
  }

  /**
   * @param {Verb} verb
   * @param {"pause"|"play"|"stop"} sign
   * @param {string} word
   * @returns {HTMLButtonElement}
   */
  #button(verb, sign, word) {
    const button = h(
      "button",
      { type: "button", class: "stop", data: { verb }, hidden: true, on: { click: () => this.#press(verb, button) } },
      icon(sign),
      word,
    );
    return button;
  }

  /**
   * @param {Verb} verb
   * @param {HTMLButtonElement} button
   */
  async #press(verb, button) {
    button.disabled = true;
    try {
      await this.onPress(verb);
    } finally {
      button.disabled = false;
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
