/** The first page: what this is, who answers, and three tasks to begin with. */

import { getJson, rows } from "./api.js";
import { fill, h } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { clean } from "./text.js";

/**
 * @param {(text: string, files: File[]) => void} onExample
 * @returns {HTMLElement}
 */
export function welcome(onExample) {
  const model = h("p", { class: "model-line" }, "Asking which model answers…");
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
    const page = await getJson("/models");
    const models = page.models ?? rows(page);
    const chosen = page.chosen ?? page.default ?? models.find((/** @type {any} */ m) => m.chosen || m.default) ?? models[0];
    const name = typeof chosen === "string" ? chosen : chosen?.name ?? chosen?.id;
    if (!name) return fill(place, "No model is connected yet. ", connect());
    const entry = typeof chosen === "string" ? models.find((/** @type {any} */ m) => m.name === chosen || m.id === chosen) : chosen;
    const embedded = entry?.embedded ?? entry?.provider === "embedded" ?? /embedded/.test(name);
    fill(
      place,
      "Answering: ",
      h("strong", {}, clean(name)),
      embedded || /embedded/.test(name)
        ? [". It is small and runs inside this server: no key, no network, good for simple work with files. ", connect()]
        : ".",
    );
  } catch {
    fill(place, "Which model answers could not be asked.");
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
