/** The line under a task that is worked on: words to it, taken in at its next turn. */

import { fill, h } from "./dom.js";
import { isFinal } from "./format.js";
import { problemNote } from "./problem.js";

/** A small form; hidden once the task is over, and while it asks something itself. */
export class SteerForm {
  /**
   * @param {(text: string) => Promise<void>} onSay
   * @param {string} [label]
   * @param {string} [hint]
   */
  constructor(onSay, label = "Tell the running task something", hint = "Tell the task something while it works") {
    this.onSay = onSay;
    this.problem = h("div", {});
    this.input = h("input", { type: "text", "aria-label": label, placeholder: hint, maxlength: "4000" });
    this.button = h("button", { type: "submit", class: "quiet" }, "Tell it");
    this.element = h("form", { class: "steer", hidden: true, on: { submit: (/** @type {Event} */ e) => this.#send(e) } }, this.input, this.button, this.problem);
  }

  /**
   * @param {string} status
   * @param {boolean} asks
   */
  update(status, asks) {
    this.element.hidden = isFinal(status) || asks;
  }

  /** @param {Event} event */
  async #send(event) {
    event.preventDefault();
    const text = this.input.value.trim();
    if (!text || this.button.disabled) return;
    this.button.disabled = true;
    fill(this.problem);
    try {
      await this.onSay(text);
      this.input.value = "";
    } catch (error) {
      fill(this.problem, problemNote(error));
    } finally {
      this.button.disabled = false;
    }
  }
}
