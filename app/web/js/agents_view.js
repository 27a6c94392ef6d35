/** Standing agents: what each does, what it has used today, and the buttons that wake and stop it. */

import { getJson, postJson, rows } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { ago, instant, money, plural, statusWord } from "./format.js";
import { problemNote } from "./problem.js";
import { SteerForm } from "./steer.js";
import { clean } from "./text.js";

const EVERY_MS = 2000;
const REPORTS = 5;

/**
 * @returns {HTMLElement}
 */
export function agentsView() {
  const place = h("ul", { class: "entries", "aria-busy": "true" });
  const note = h("div", {}, h("p", { class: "fine" }, "Loading…"));
  const view = h(
    "article",
    { class: "memory" },
    h("h1", { tabindex: "-1" }, "Agents"),
    h("p", { class: "lead" }, "A standing agent wakes when it is due or told something, works, reports and sleeps, within what it may use in a day."),
    h("section", {}, note, place),
  );
  void keep(view, place, note);
  return view;
}

/**
 * Keep the list in step with the server for as long as the view is shown.
 *
 * @param {HTMLElement} view
 * @param {HTMLElement} place
 * @param {HTMLElement} note
 */
async function keep(view, place, note) {
  /** @type {Map<string, Card>} */
  const cards = new Map();
  do {
    if (document.visibilityState === "visible") await refresh(cards, place, note);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  } while (view.isConnected);
}

/**
 * @param {Map<string, Card>} cards
 * @param {HTMLElement} place
 * @param {HTMLElement} note
 */
async function refresh(cards, place, note) {
  try {
    const items = rows(await getJson("/agents?limit=100"));
    const ids = new Set(items.map((item) => item.id));
    for (const [id, card] of cards) {
      if (ids.has(id)) continue;
      card.element.remove();
      cards.delete(id);
    }
    items.reverse().forEach((item) => {
      const known = cards.get(item.id);
      const card = known ?? new Card(item.id);
      cards.set(item.id, card);
      card.update(item);
      if (!known) place.prepend(card.element);
    });
    fill(note, items.length === 0 && h("p", { class: "fine" }, "No standing agents. Make one with ", h("code", {}, "./strop agents create"), "."));
  } catch (error) {
    fill(note, problemNote(error));
  } finally {
    place.removeAttribute("aria-busy");
  }
}

/** One agent; its nodes stay, so that what is being written or read stays too. */
class Card {
  /** @param {string} id */
  constructor(id) {
    this.path = `/agents/${encodeURIComponent(id)}`;
    this.last = "";
    this.pill = h("span", { class: "pill" });
    this.name = h("strong", {});
    this.figures = h("span", { class: "fine" });
    this.instruction = h("p", { dir: "auto" });
    this.trouble = h("p", { class: "fine" });
    this.problem = h("div", {});
    this.buttons = { wake: this.#button("wake", "Wake"), pause: this.#button("pause", "Pause"), resume: this.#button("resume", "Resume") };
    this.say = new SteerForm((text) => this.#tell(text), "Tell the agent something", "Tell it something for its next wake-up");
    this.reports = h("div", {});
    this.details = h("details", { class: "receipt", on: { toggle: () => this.#load() } }, h("summary", { class: "fine" }, "Reports"), this.reports);
    this.element = h(
      "li",
      { class: "entry" },
      h("div", { class: "entry-head" }, this.pill, this.name, this.figures, Object.values(this.buttons)),
      this.instruction,
      this.trouble,
      this.say.element,
      this.problem,
      this.details,
    );
  }

  /** @param {any} item */
  update(item) {
    this.pill.dataset.status = item.state === "working" ? "running" : item.state;
    setText(this.pill, item.state[0].toUpperCase() + item.state.slice(1));
    setText(this.name, clean(item.name));
    setText(this.figures, figures(item));
    setText(this.instruction, clean(item.instruction));
    setText(this.trouble, trouble(item));
    this.buttons.wake.hidden = item.state === "paused";
    this.buttons.pause.hidden = item.state === "paused";
    this.buttons.resume.hidden = item.state !== "paused";
    this.say.update("running", false);
    const last = `${item.last_task_id} ${item.state}`;
    if (last !== this.last && this.details.open) void this.#load();
    this.last = last;
  }

  /**
   * @param {"wake"|"pause"|"resume"} verb
   * @param {string} word
   * @returns {HTMLButtonElement}
   */
  #button(verb, word) {
    const press = () => this.#act(async () => this.update(await postJson(`${this.path}/${verb}`)));
    return h("button", { type: "button", class: "quiet", on: { click: press } }, word);
  }

  /** @param {() => Promise<unknown>} work */
  async #act(work) {
    fill(this.problem);
    try {
      await work();
    } catch (error) {
      fill(this.problem, problemNote(error));
    }
  }

  /** @param {string} text */
  async #tell(text) {
    await postJson(`${this.path}/inbox`, { text });
    this.update(await getJson(this.path));
  }

  async #load() {
    if (!this.details.open) return;
    try {
      const items = rows(await getJson(`${this.path}/reports?limit=${REPORTS}`));
      fill(this.reports, items.length === 0 ? h("p", { class: "fine" }, "No reports yet.") : items.map(report));
    } catch (error) {
      fill(this.reports, problemNote(error));
    }
  }
}

/**
 * @param {any} item
 * @returns {string}
 */
function figures(item) {
  const next = item.next_at && `next ${new Date(instant(item.next_at)).toLocaleString("en-US", { dateStyle: "medium", timeStyle: "short" })}`;
  const waits = item.inbox > 0 && `${plural(item.inbox, "message")} to read`;
  return [next, `today ${money(item.usd_today)}`, plural(item.wakes_today, "wake-up"), waits].filter(Boolean).join(" · ");
}

/**
 * @param {any} item
 * @returns {string}
 */
function trouble(item) {
  const failed = item.failed_in_a_row > 0 && `${plural(item.failed_in_a_row, "failure")} in a row`;
  return [item.last_error && clean(item.last_error), failed].filter(Boolean).join(" · ");
}

/**
 * @param {any} item
 * @returns {HTMLElement}
 */
function report(item) {
  return h(
    "div",
    { class: "receipt-body" },
    h("p", { class: "fine" }, `${statusWord(item.status)} · ${ago(item.woken_at)} · `, h("a", { href: `#/tasks/${encodeURIComponent(item.task_id)}` }, "its task")),
    h("p", { dir: "auto" }, clean(item.text ?? item.question ?? item.error ?? "Nothing yet.")),
  );
}
