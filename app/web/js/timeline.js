/** The run as it unfolds: steps, notes, questions, messages; only what changed is drawn again. */

import { ApprovalCard } from "./approval.js";
import { h } from "./dom.js";
import { markdown } from "./markdown.js";
import { QuestionCard } from "./question.js";
import { StepCard } from "./step.js";
import { clean } from "./text.js";

/** @typedef {import("./types.js").TimelineItem} TimelineItem */
/** @typedef {{element: HTMLElement, update: (item: TimelineItem) => void}} Card */

/** Keeps one card per timeline item. */
export class Timeline {
  /**
   * @param {(text: string) => Promise<void>} onAnswer sends the person's answer
   * @param {import("./approval.js").Decide} onDecide sends the person's decision
   */
  constructor(onAnswer, onDecide) {
    this.onAnswer = onAnswer;
    this.onDecide = onDecide;
    this.element = h("ol", { class: "timeline" });
    /** @type {Map<string, {card: Card, version: number}>} */
    this.cards = new Map();
  }

  /** @param {TimelineItem[]} items */
  update(items) {
    const fresh = document.createDocumentFragment();
    for (const item of items) {
      const known = this.cards.get(item.key);
      if (!known) {
        const card = this.#card(item);
        this.cards.set(item.key, { card, version: item.version });
        fresh.append(card.element);
      } else if (known.version !== item.version) {
        known.version = item.version;
        known.card.update(item);
      }
    }
    if (fresh.childNodes.length > 0) this.element.append(fresh);
  }

  /**
   * @param {TimelineItem} item
   * @returns {Card}
   */
  #card(item) {
    if (item.type === "step") return new StepCard(item);
    if (item.type === "question") return new QuestionCard(item, this.onAnswer);
    if (item.type === "approval") return new ApprovalCard(item, this.onDecide);
    return { element: SIMPLE[item.type]?.(item.data) ?? note(item.data), update: () => {} };
  }
}

/** @type {Record<string, (data: any) => HTMLElement>} */
const SIMPLE = {
  heading: (data) => h("li", { class: "timeline-heading" }, h("h3", {}, `${data.index + 1}. ${clean(data.text)}`)),
  message: (data) => h("li", { class: "timeline-message" }, h("p", { class: "bubble", dir: "auto" }, clean(data.text))),
  trouble: (data) => h("li", { class: "timeline-line trouble" }, `${data.title}. ${clean(data.text)}`),
  review: (data) =>
    h(
      "li",
      { class: data.accepted ? "timeline-line" : "timeline-line trouble" },
      data.accepted ? "The Reviewer accepted the answer." : "The Reviewer refused the answer. ",
      !data.accepted && clean(data.feedback),
    ),
};

/**
 * @param {any} data
 * @returns {HTMLElement}
 */
function note(data) {
  return h(
    "li",
    { class: "timeline-note" },
    h("details", {}, h("summary", {}, data.title ?? "Note"), h("div", { class: "prose small" }, markdown(data.text ?? ""))),
  );
}
