/** A quiet line at the top while the server is away, or asks for a key. */

import { setKey } from "./api.js";
import { connection } from "./connection.js";
import { fill, h } from "./dom.js";

/**
 * @param {HTMLElement} place
 * @param {() => void} retry asks the server for something harmless
 */
export function watchConnection(place, retry) {
  let timer = 0;
  const draw = () => {
    clearInterval(timer);
    place.hidden = connection.state === "up";
    if (connection.state === "up") fill(place);
    if (connection.state === "refused") fill(place, keyForm());
    if (connection.state === "down") {
      fill(place, "The server cannot be reached. Trying again; nothing is lost.");
      timer = setInterval(retry, 2000);
    }
  };
  connection.addEventListener("change", draw);
  draw();
}

/** @returns {HTMLElement} */
function keyForm() {
  const input = h("input", { type: "password", id: "key", autocomplete: "off", required: true });
  const form = h("form", { class: "key-form" }, h("label", { for: "key" }, "This server asks for an API key"), input, h("button", { type: "submit" }, "Use"));
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    setKey(input.value.trim());
    location.reload();
  });
  return form;
}
