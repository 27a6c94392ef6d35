/** The first page: what this is, who answers, and three tasks to begin with. */

import { ApiError, getJson, rows } from "./api.js";
import { fill, h } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { clean } from "./text.js";

const EMBEDDED = "embedded";

/**
 * @param {(text: string, files: File[]) => void} onExample
 * @returns {HTMLElement}
 */
export function welcome(onExample) {
  const model = h("div", { class: "model-line" }, "Asking which model answers…");
  showModel(model);
  return h(
    "article",
    { class: "welcome" },
    h("h1", { tabindex: "-1" }, "What should be done?"),
    h(
      "p",
      { class: "lead" },
      "Give a task in your own words, with files if it needs them. A plan is made, each step runs in a sandbox and is checked, and what the run teaches is kept for the next one.",
    ),
    h("h2", {}, "Try one"),
    h("ul", { class: "examples" }, EXAMPLES.map((example) => h("li", {}, card(example, onExample)))),
    model,
  );
}

/**
 * @param {import("./examples.js").Example} example
 * @param {(text: string, files: File[]) => void} onExample
 * @returns {HTMLElement}
 */
function card(example, onExample) {
  const files = example.files.map((file) => new File([file.text], file.name, { type: "text/csv" }));
  return h(
    "button",
    { type: "button", class: "example", on: { click: () => onExample(example.text, files) } },
    h("strong", {}, example.title),
    h("span", {}, example.text),
    example.files.map((file) => h("span", { class: "chip" }, file.name)),
  );
}

/** @param {HTMLElement} place */
async function showModel(place) {
  try {
    const models = rows(await getJson("/models"));
    const model = models.find((entry) => entry.chosen) ?? models[0];
    if (!model) return fill(place, "No model is connected yet. ", connect());
    const note = clean(model.note);
    fill(
      place,
      h("p", {}, "Answering: ", h("strong", {}, clean(model.name)), note ? `. ${note}` : "."),
      model.name === EMBEDDED && h("p", {}, "It needs no key and no network. ", connect()),
    );
  } catch (error) {
    fill(place, error instanceof ApiError ? clean(error.message) : "Which model answers is not known.");
  }
}

/** @returns {Node[]} */
function connect() {
  return [
    document.createTextNode("To connect another, start Ollama on this machine or set "),
    h("code", {}, "OPENAI_API_KEY"),
    document.createTextNode(" (or another provider's key, or "),
    h("code", {}, "STROP_MODEL"),
    document.createTextNode(") and start the server again."),
  ];
}
