/** A tool call that waits for a person: what exactly would be done, and the two buttons. */

import { fill, h } from "./dom.js";
import { problemNote } from "./problem.js";
import { clean } from "./text.js";

/** @typedef {(id: string, decision: "approve"|"reject", note: string) => Promise<void>} Decide */

/** @type {Record<string, string>} */
const DECIDED = { approved: "Approved", edited: "Approved with other arguments", rejected: "Rejected", expired: "Not decided in time" };

/** Shows the call, then the form, then what was decided. */
export class ApprovalCard {
  /**
   * @param {import("./types.js").TimelineItem} item
   * @param {Decide} onDecide
   */
  constructor(item, onDecide) {
    this.onDecide = onDecide;
    this.id = item.data.id;
    this.problem = h("div", {});
    this.note = h("input", { type: "text", "aria-label": "Words to the agent", placeholder: "Words to the agent (optional)", maxlength: "4000" });
    this.approve = h("button", { type: "button", class: "primary", on: { click: () => this.#send("approve") } }, "Approve");
    this.reject = h("button", { type: "button", class: "quiet", on: { click: () => this.#send("reject") } }, "Reject");
    this.outcome = h("div", {}, h("div", { class: "approval-form" }, this.note, this.approve, this.reject, this.problem));
    const again = item.data.kind === "repeat";
    const title = again ? "Make this call again? It may have been made already" : "The agent asks to call";
    const call = h("p", {}, h("strong", {}, clean(item.data.tool)), ` (risk: ${clean(item.data.risk ?? "unknown")})`);
    const exact = h("pre", { class: "approval-arguments", tabindex: "0", "aria-label": "Arguments" }, clean(JSON.stringify(item.data.arguments ?? {}, null, 2)));
    this.element = h(
      "li",
      { class: "timeline-question" },
      h("section", { class: "card question approval", "aria-label": "Approval" }, h("h3", {}, title), call, exact, this.outcome),
    );
    this.update(item);
  }

  /** @param {import("./types.js").TimelineItem} item */
  update(item) {
    const { status, note } = item.data;
    if (status === "pending") return;
    fill(this.outcome, h("p", { class: "fine" }, DECIDED[status] ?? clean(status), note && `: ${clean(note)}`));
  }

  /** @param {"approve"|"reject"} decision */
  async #send(decision) {
    if (this.approve.disabled) return;
    this.approve.disabled = this.reject.disabled = true;
    fill(this.problem);
    try {
      await this.onDecide(this.id, decision, this.note.value.trim());
    } catch (error) {
      fill(this.problem, problemNote(error));
    } finally {
      this.approve.disabled = this.reject.disabled = false;
    }
  }
}
