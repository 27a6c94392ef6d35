/** The box for a new task: text, files by button, drop and paste; a draft survives a reload. */

import { fill, h } from "./dom.js";
import { size } from "./format.js";
import { icon } from "./icons.js";
import { problemNote } from "./problem.js";
import { freshKey, submitTask } from "./submit.js";
import { clean } from "./text.js";

const DRAFT = "strop.draft";
const MAX_HEIGHT_PX = 240;

/** The box and what is attached to it. */
export class Compose {
  /** @param {(task: import("./types.js").Task) => void} onSubmitted */
  constructor(onSubmitted) {
    this.onSubmitted = onSubmitted;
    /** @type {File[]} */
    this.files = [];
    this.key = freshKey();
    this.#build();
    this.input.value = sessionStorage.getItem(DRAFT) ?? "";
    this.#changed();
  }

  /**
   * Put an example in the box.
   *
   * @param {string} text
   * @param {File[]} [files]
   */
  use(text, files = []) {
    this.input.value = text;
    this.files = files;
    this.#changed();
    this.focus();
  }

  /**
   * Change what the empty box says.
   *
   * @param {string} text
   */
  invite(text) {
    this.input.placeholder = text;
  }

  /** Go to the box. */
  focus() {
    this.input.focus();
  }

  #build() {
    this.input = h("textarea", {
      id: "instruction",
      rows: "1",
      "aria-label": "What should be done?",
      "aria-describedby": "compose-hint",
      placeholder: "What should be done?",
      autocomplete: "off",
      on: {
        input: () => this.#changed(),
        keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
        paste: (/** @type {ClipboardEvent} */ event) => this.#paste(event),
      },
    });
    this.picker = h("input", { type: "file", multiple: true, hidden: true, tabindex: "-1", on: { change: () => this.#picked() } });
    const attach = h(
      "button",
      { type: "button", class: "icon-button", "aria-label": "Attach files", title: "Attach files", on: { click: () => this.picker.click() } },
      icon("clip"),
    );
    this.send = h("button", { type: "submit", class: "send", "aria-label": "Start the task", title: "Start the task" }, icon("send"));
    this.chips = h("ul", { class: "chips", "aria-label": "Attached files" });
    this.problem = h("div", {});
    const hint = h("p", { id: "compose-hint", class: "fine hint" }, "Enter starts a new task, Shift+Enter makes a new line");
    const row = h("div", { class: "compose-row" }, attach, this.input, this.send, this.picker);
    this.element = h(
      "form",
      { class: "compose", on: { submit: (/** @type {Event} */ event) => this.#submit(event) } },
      this.problem,
      h("div", { class: "compose-box" }, this.chips, row),
      hint,
    );
    this.#acceptDrops();
  }

  #acceptDrops() {
    const over = (/** @type {boolean} */ on) => this.element.classList.toggle("dropping", on);
    const holdsFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      over(true);
    });
    addEventListener("dragleave", (event) => !event.relatedTarget && over(false));
    addEventListener("drop", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      over(false);
      this.#add([...(event.dataTransfer?.files ?? [])]);
    });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.element.requestSubmit();
  }

  /** @param {ClipboardEvent} event */
  #paste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    this.#add(files);
  }

  #picked() {
    this.#add([...this.picker.files]);
    this.picker.value = "";
  }

  /** @param {File[]} files */
  #add(files) {
    const names = new Set(files.map((file) => file.name));
    this.files = [...this.files.filter((file) => !names.has(file.name)), ...files];
    this.#changed();
    this.focus();
  }

  #changed() {
    this.key = freshKey();
    sessionStorage.setItem(DRAFT, this.input.value);
    this.send.disabled = !this.input.value.trim();
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, MAX_HEIGHT_PX)}px`;
    fill(this.chips, this.files.map((file) => this.#chip(file)));
    this.chips.hidden = this.files.length === 0;
  }

  /**
   * @param {File} file
   * @returns {HTMLElement}
   */
  #chip(file) {
    const remove = () => {
      this.files = this.files.filter((other) => other !== file);
      this.#changed();
      this.focus();
    };
    const name = clean(file.name);
    const button = h("button", { type: "button", "aria-label": `Remove ${name}`, on: { click: remove } }, icon("cross"));
    return h("li", { class: "chip" }, h("span", { class: "chip-name" }, name), h("span", { class: "chip-size" }, size(file.size)), button);
  }

  /** @param {Event} event */
  async #submit(event) {
    event.preventDefault();
    const text = this.input.value.trim();
    if (!text || this.element.ariaBusy === "true") return;
    this.element.ariaBusy = "true";
    this.send.disabled = true;
    fill(this.problem);
    try {
      const task = await submitTask(text, this.files, this.key);
      this.input.value = "";
      this.files = [];
      this.#changed();
      this.onSubmitted(task);
    } catch (error) {
      fill(this.problem, problemNote(error));
      this.send.disabled = false;
    } finally {
      this.element.ariaBusy = "false";
    }
  }
}
