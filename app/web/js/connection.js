/** Knows whether the server answers, and tells those who listen. */

/** @typedef {"up"|"down"|"refused"} ConnectionState */

class Connection extends EventTarget {
  /** @type {ConnectionState} */
  state = "up";

  found() {
    this.#become("up");
  }

  lost() {
    this.#become("down");
  }

  refused() {
    this.#become("refused");
  }

  /** @param {ConnectionState} state */
  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}

export const connection = new Connection();
