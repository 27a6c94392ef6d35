/** The page of one task: loads it, follows its events, keeps every part up to date. */

import { getJson, postJson } from "./api.js";
import { artifactList } from "./artifacts.js";
import { fill, h, setText } from "./dom.js";
import { emptyState, fold, openQuestion } from "./fold.js";
import { isFinal, plural, statusWord } from "./format.js";
import { TaskHeader } from "./header.js";
import { icon } from "./icons.js";
import { taskLinks } from "./links.js";
import { markdown } from "./markdown.js";
import { drawLearned, drawRecall } from "./memories.js";
import { drawPlan } from "./plan.js";
import { endReason, problemNote } from "./problem.js";
import { follow } from "./sse.js";
import { SteerForm } from "./steer.js";
import { clean, shorten } from "./text.js";
import { Timeline } from "./timeline.js";

const WIDE = matchMedia("(min-width: 1180px)");

/** Shows a task until it is closed. */
export class TaskView {
  header = new TaskHeader((verb) => this.#press(verb));
  timeline = new Timeline((text) => this.#answer(text), (id, decision, note) => this.#decide(id, decision, note));
  steer = new SteerForm((text) => this.#answer(text));
  instruction = h("div", { class: "bubble", dir: "auto" });
  given = h("div", { class: "given" });
  plan = h("section", { class: "card side-card", hidden: true, "aria-label": "Plan" });
  recall = h("details", { class: "card side-card", hidden: true, open: WIDE.matches });
  stepCount = h("span", {}, "Steps");
  activity = h("p", { class: "activity" });
  answer = h("section", { class: "answer", hidden: true, "aria-label": "Answer" });
  files = h("section", { class: "files", hidden: true, "aria-label": "Files" });
  learned = h("section", { class: "card side-card", hidden: true, "aria-label": "Learned" });
  trouble = h("div", {});
  work = h("details", { class: "work", open: true, hidden: true });
  element = h("article", { class: "task", "aria-busy": "true" });
  state = emptyState();
  wasFinal = false;
  abort = new AbortController();
  frame = 0;
  /** @type {Map<string, unknown>} what each part shows */
  drawn = new Map();

  /**
   * @param {string} id
   * @param {{announce: (text: string) => void, changed: () => void}} page
   */
  constructor(id, page) {
    this.id = id;
    this.page = page;
    this.path = `/tasks/${encodeURIComponent(id)}`;
    this.resolve = taskLinks(id, () => this.state.artifacts.map(artifactName));
    this.#build();
    this.clock = setInterval(() => !isFinal(this.state.status) && this.header.update(this.state), 1000);
  }

  /** Load the task, then stay with its events. */
  async open() {
    try {
      const task = await this.#load();
      if (!task) return;
      this.#start(task);
      await follow(this.id, 0, (events) => this.#take(events), this.abort.signal);
    } catch (error) {
      if (this.abort.signal.aborted) return;
      this.header.element.hidden = this.element.ariaBusy === "true";
      this.element.removeAttribute("aria-busy");
      fill(this.trouble, problemNote(error));
    }
  }

  /** Go to the answer's box, if a question waits. */
  focusQuestion() {
    this.element.querySelector(".question textarea")?.focus();
  }

  /** Let go of the stream and the clock. */
  close() {
    this.abort.abort();
    clearInterval(this.clock);
    cancelAnimationFrame(this.frame);
  }

  #build() {
    const heading = h("h1", { class: "sr", tabindex: "-1" }, "Task");
    fill(this.work, h("summary", {}, icon("chevron"), this.stepCount), this.timeline.element);
    fill(
      this.element,
      this.header.element,
      h("div", { class: "task-asked" }, heading, this.instruction, this.given),
      h("div", { class: "task-side" }, this.plan, this.recall),
      h("div", { class: "task-thread" }, this.work, this.activity, this.steer.element, this.answer, this.files, this.learned, this.trouble),
    );
  }

  /** @returns {Promise<any>} */
  async #load() {
    for (let wait = 500; !this.abort.signal.aborted; wait = Math.min(wait * 2, 5000)) {
      try {
        return await getJson(this.path);
      } catch (error) {
        if (/** @type {any} */ (error).status !== 0) throw error;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
    return null;
  }

  /** @param {any} task */
  #start(task) {
    this.element.removeAttribute("aria-busy");
    this.state = emptyState(task);
    setText(this.instruction, clean(task.instruction));
    document.title = `${shorten(task.instruction, 60)} · Strop`;
    const files = (task.files ?? []).map((/** @type {any} */ file) => file?.name ?? file);
    fill(this.given, files.map((/** @type {string} */ name) => h("span", { class: "chip" }, clean(name))));
    this.wasFinal = isFinal(task.status);
    if (this.wasFinal) this.work.removeAttribute("open");
    this.#draw();
  }

  /** @param {import("./types.js").TaskEvent[]} events */
  #take(events) {
    const before = this.state.status;
    for (const event of events) fold(this.state, event);
    if (this.state.status !== before && !this.wasFinal) this.#tell();
    if (!this.frame) this.frame = requestAnimationFrame(() => this.#draw());
  }

  #tell() {
    this.page.changed();
    this.page.announce(`Task: ${statusWord(this.state.status)}`);
  }

  #draw() {
    this.frame = 0;
    const stay = !this.wasFinal && nearBottom();
    const { state } = this;
    this.header.update(state);
    this.#once("plan", JSON.stringify(state.plan), this.plan, state.plan.length > 0, () => drawPlan(this.plan, state));
    this.#once("recall", state.recall, this.recall, state.recall, () => drawRecall(this.recall, /** @type {any} */ (state.recall)));
    this.timeline.update(state.timeline);
    this.work.hidden = state.timeline.length === 0;
    setText(this.stepCount, plural(state.steps, "step"));
    this.#drawActivity();
    this.#once("answer", `${state.answer}|${state.status}|${state.error}`, this.answer, this.#ending(), () => this.#drawAnswer());
    const names = state.artifacts.map(artifactName);
    this.#once("files", names.join("\n"), this.files, names.length > 0, () =>
      fill(this.files, h("h2", {}, "Files"), artifactList(this.id, names)));
    this.#once("learned", state.learned, this.learned, state.learned, () => drawLearned(this.learned, state.learned ?? []));
    if (stay) scrollTo({ top: document.documentElement.scrollHeight });
  }

  /**
   * Draw a part only when what it shows has changed.
   *
   * @param {string} name
   * @param {unknown} value
   * @param {any} place
   * @param {unknown} visible
   * @param {() => void} draw
   */
  #once(name, value, place, visible, draw) {
    if (this.drawn.get(name) === value) return;
    this.drawn.set(name, value);
    place.hidden = !visible;
    if (visible) draw();
  }

  #drawActivity() {
    const { state } = this;
    const asks = openQuestion(state) && state.status === "waiting_input";
    const waiting = asks || state.status.startsWith("waiting_") || state.status === "paused";
    this.steer.update(state.status, Boolean(asks));
    const word = state.status === "queued" ? "Waiting for a worker" : state.activity;
    const learning = isFinal(state.status) && !state.ended && !this.wasFinal;
    const text = waiting ? waitingFor(state.status) : learning ? "Learning from this run" : isFinal(state.status) ? "" : word;
    this.activity.classList.toggle("busy", Boolean(text) && !waiting);
    setText(this.activity, clean(text));
    this.activity.hidden = isFinal(state.status) && !learning;
  }

  /** @returns {boolean} */
  #ending() {
    return this.state.answer !== null || isFinal(this.state.status);
  }

  #drawAnswer() {
    const { answer, status, error, endReason: reason } = this.state;
    const failed = status === "failed" || status === "cancelled";
    const why = [endReason(reason), sentence(clean(error))].filter(Boolean).join(" ");
    fill(
      this.answer,
      failed && h("div", { class: "problem" }, h("strong", {}, statusWord(status)), h("p", {}, why || "No reason was given.")),
      answer && h("div", { class: "answer-head" }, h("h2", {}, "Answer"), copyButton(answer)),
      answer && h("div", { class: "prose", dir: "auto" }, markdown(answer, this.resolve)),
    );
  }

  /** @param {import("./header.js").Verb} verb */
  async #press(verb) {
    try {
      await postJson(`${this.path}/${verb}`);
      fill(this.trouble);
      if (verb === "retry") this.#again();
    } catch (error) {
      fill(this.trouble, problemNote(error));
    }
  }

  /** Follow the new run: the stream of the one before has ended. */
  #again() {
    this.wasFinal = false;
    this.work.setAttribute("open", "");
    follow(this.id, this.state.seq, (events) => this.#take(events), this.abort.signal).catch((error) => {
      if (!this.abort.signal.aborted) fill(this.trouble, problemNote(error));
    });
  }

  /**
   * @param {string} id
   * @param {"approve"|"reject"} decision
   * @param {string} note
   */
  async #decide(id, decision, note) {
    await postJson(`/approvals/${encodeURIComponent(id)}`, { decision, note });
  }

  /** @param {string} text */
  async #answer(text) {
    await postJson(`${this.path}/messages`, { text });
  }
}

/**
 * @param {string} status
 * @returns {string}
 */
function waitingFor(status) {
  if (status === "paused") return "Paused";
  if (status === "waiting_approval") return "Waiting for your decision";
  return status === "waiting_budget" ? "Waiting for more budget" : "Waiting for your answer";
}

/**
 * @param {any} artifact
 * @returns {string}
 */
function artifactName(artifact) {
  return typeof artifact === "string" ? artifact : String(artifact?.name ?? "");
}

/** @returns {boolean} */
function nearBottom() {
  return innerHeight + scrollY > document.documentElement.scrollHeight - 120;
}

/**
 * @param {string} text
 * @returns {string}
 */
function sentence(text) {
  return text && text[0].toUpperCase() + text.slice(1).replace(/([^.!?])$/, "$1.");
}

/**
 * @param {string} text
 * @returns {HTMLElement}
 */
function copyButton(text) {
  const button = h("button", { type: "button", class: "quiet", on: { click: copy } }, "Copy");
  return button;

  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed here";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  }
}
