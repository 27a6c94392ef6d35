/** A question from the agent, answered where it stands. */

import { fill, h } from "./dom.js";
import { markdown } from "./markdown.js";
import { problemNote } from "./problem.js";
import { clean } from "./text.js";

/** Shows the question, then the form, then what was answered. */
export class QuestionCard {
  /**
   * @param {import("./types.js").TimelineItem} item
   * @param {(text: string) => Promise<void>} onAnswer
   */
  constructor(item, onAnswer) {
    this.onAnswer = onAnswer;
    this.problem = h("div", {});
    this.input = h("textarea", { rows: "2", name: "answer", required: true, "aria-label": "Your answer" });
    this.button = h("button", { type: "submit", class: "primary" }, "Answer");
    this.form = h("form", { class: "question-form", on: { submit: (/** @type {Event} */ e) => this.#send(e) } }, this.input, this.button, this.problem);
    this.input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.form.requestSubmit();
    });
    this.reply = h("div", {}, this.form);
    const text = h("div", { class: "prose" }, markdown(item.data.text ?? ""));
    this.element = h(
      "li",
      { class: "timeline-question" },
      h("section", { class: "card question", "aria-label": "Question" }, h("h3", {}, "The agent asks"), text, this.reply),
    );
    this.update(item);
  }

  /** @param {import("./types.js").TimelineItem} item */
  update(item) {
    if (item.data.answered === undefined) return;
    const { answered } = item.data;
    fill(
      this.reply,
      answered === null
        ? h("p", { class: "fine" }, "It was not answered.")
        : h("p", { class: "bubble", dir: "auto" }, clean(answered)),
    );
  }

  /** @param {Event} event */
  async #send(event) {
    event.preventDefault();
    const text = this.input.value.trim();
    if (!text || this.button.disabled) return;
    this.button.disabled = true;
    fill(this.problem);
    try {
      await this.onAnswer(text);
    } catch (error) {
      fill(this.problem, problemNote(error));
    } finally {
      this.button.disabled = false;
    }
  }
}
