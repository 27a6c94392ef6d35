/** Reads Server-Sent Events with fetch, and resumes without loss or repeat. */

import { ApiError, request } from "./api.js";

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5000;

/**
 * Take apart the wire format: feed it text, get whole messages.
 *
 * @returns {(chunk: string) => {id: string, event: string, data: string}[]}
 */
export function sseParser() {
  let rest = "";
  let message = { id: "", event: "", data: "" };
  let hasData = false;
  return (chunk) => {
    const done = [];
    const lines = (rest + chunk).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (hasData) done.push(message);
        message = { id: message.id, event: "", data: "" };
        hasData = false;
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "data") {
        message.data += hasData ? `\n${value}` : value;
        hasData = true;
      } else if (field === "id" || field === "event") {
        message[field] = value;
      }
    }
    return done;
  };
}

/**
 * Follow a task's events until its `end`, across lost connections.
 *
 * @param {string} taskId
 * @param {number} after newest event that is known already
 * @param {(events: import("./types.js").TaskEvent[]) => void} onEvents each event once, in order
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export async function follow(taskId, after, onEvents, signal) {
  let last = after;
  let wait = FIRST_WAIT_MS;
  while (!signal.aborted) {
    try {
      const response = await connect(taskId, last, signal);
      if (response.status === 204) return;
      for await (const events of batches(response)) {
        const fresh = nextInOrder(events, last);
        if (fresh.length > 0) {
          last = fresh[fresh.length - 1].seq;
          wait = FIRST_WAIT_MS;
          onEvents(fresh);
          if (fresh.some((event) => event.kind === "end")) return;
        }
        if (events.some((event) => event.seq > last)) break;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && [401, 403, 404].includes(error.status)) throw error;
    }
    await pause(wait, signal);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

/**
 * Keep what continues the sequence; stop at a gap, which a new connection fills.
 *
 * @param {import("./types.js").TaskEvent[]} events
 * @param {number} last
 * @returns {import("./types.js").TaskEvent[]}
 */
export function nextInOrder(events, last) {
  const fresh = [];
  let expected = last + 1;
  for (const event of events) {
    if (event.seq !== expected) continue;
    fresh.push(event);
    expected += 1;
  }
  return fresh;
}

/**
 * @param {string} taskId
 * @param {number} last
 * @param {AbortSignal} signal
 * @returns {Promise<Response>} with status 204 when nothing follows any more
 */
async function connect(taskId, last, signal) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "text/event-stream" };
  if (last > 0) headers["Last-Event-ID"] = String(last);
  return request(`/tasks/${encodeURIComponent(taskId)}/events`, { headers, signal });
}

/**
 * @param {Response} response
 * @returns {AsyncGenerator<import("./types.js").TaskEvent[]>}
 */
async function* batches(response) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parse = sseParser();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield parse(value).flatMap((message) => decode(message.data));
  }
}

/**
 * @param {string} data
 * @returns {import("./types.js").TaskEvent[]}
 */
function decode(data) {
  try {
    const event = JSON.parse(data);
    return typeof event?.seq === "number" ? [event] : [];
  } catch {
    return [];
  }
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
