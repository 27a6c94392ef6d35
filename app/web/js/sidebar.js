/** The newest tasks with their status; asks the server again while the page is seen. */

import { getJson, rows } from "./api.js";
import { connection } from "./connection.js";
import { fill, h } from "./dom.js";
import { ago, isFinal, statusWord } from "./format.js";
import { shorten } from "./text.js";

const EVERY_MS = 4000;
const IDLE_TICKS = 4;
const HOW_MANY = 40;

/** Keeps the list in step with the server. */
export class TaskList {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    this.current = "";
    /** @type {any[]|null} */
    this.tasks = null;
    this.shown = "";
    this.busy = false;
    this.ticks = 0;
    setInterval(() => this.#tick(), EVERY_MS);
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.refresh());
  }

  /** Ask often while something runs, now and then otherwise. */
  #tick() {
    if (document.visibilityState !== "visible") return;
    this.ticks += 1;
    const active = this.tasks?.some((task) => !isFinal(task.status)) ?? true;
    if (active || this.ticks % IDLE_TICKS === 0) void this.refresh();
  }

  /** Ask for the newest tasks. */
  async refresh() {
    if (this.busy || connection.state === "refused") return;
    this.busy = true;
    try {
      this.tasks = rows(await getJson(`/tasks?limit=${HOW_MANY}`));
      this.#draw();
    } catch {
      if (this.tasks === null) fill(this.place, h("p", { class: "fine" }, "The tasks could not be loaded."));
    } finally {
      this.busy = false;
    }
  }

  /** @param {string} id task that is open; empty for none */
  select(id) {
    this.current = id;
    this.#draw();
  }

  #draw() {
    if (this.tasks === null) return;
    const facts = this.tasks.map((task) => [task.id, task.status, ago(task.created_at), task.id === this.current]);
    const shown = JSON.stringify(facts);
    if (shown === this.shown) return;
    this.shown = shown;
    const focused = document.activeElement instanceof HTMLAnchorElement ? document.activeElement.hash : "";
    fill(
      this.place,
      this.tasks.length === 0
        ? h("p", { class: "fine" }, "Your tasks will be listed here.")
        : h("ul", { class: "task-list" }, this.tasks.map((task) => this.#entry(task))),
    );
    if (focused) this.#focus(focused);
  }

  /** @param {string} hash */
  #focus(hash) {
    for (const anchor of this.place.querySelectorAll("a")) if (anchor.hash === hash) anchor.focus();
  }

  /**
   * @param {any} task
   * @returns {HTMLElement}
   */
  #entry(task) {
    const current = task.id === this.current ? "page" : null;
    return h(
      "li",
      {},
      h(
        "a",
        { href: `#/tasks/${encodeURIComponent(task.id)}`, "aria-current": current },
        h("span", { class: "task-title" }, shorten(task.instruction, 90)),
        h(
          "span",
          { class: "task-meta" },
          h("span", { class: "dot", data: { status: task.status } }),
          h("span", {}, statusWord(task.status)),
          h("span", { class: "when" }, ago(task.created_at)),
        ),
      ),
    );
  }
}
