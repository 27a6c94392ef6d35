/** Folds a task's events into what the page shows; knows nothing of the DOM. */

import { isFinal } from "./format.js";

/** @typedef {import("./types.js").TaskState} TaskState */
/** @typedef {import("./types.js").TaskEvent} TaskEvent */
/** @typedef {import("./types.js").TimelineItem} TimelineItem */

/**
 * @param {import("./types.js").Task|null} [task]
 * @returns {TaskState}
 */
export function emptyState(task = null) {
  return {
    seq: 0,
    status: task?.status ?? "queued",
    endReason: "",
    error: "",
    firstAt: task?.started_at ?? task?.created_at ?? "",
    lastAt: task?.finished_at ?? "",
    recall: null,
    thought: "",
    plan: [],
    timeline: [],
    byKey: new Map(),
    steps: 0,
    totals: { calls: 0, tokens: 0, usd: 0, seconds: 0 },
    activity: "",
    answer: null,
    artifacts: [],
    learned: null,
    ended: false,
  };
}

/**
 * Fold one event in; events that were folded before change nothing.
 *
 * @param {TaskState} state
 * @param {TaskEvent} event
 */
export function fold(state, event) {
  if (event.seq <= state.seq) return;
  state.seq = event.seq;
  state.firstAt ||= event.at;
  if (event.kind !== "learned" && event.kind !== "end") state.lastAt = event.at;
  const folder = FOLDERS[event.kind];
  if (folder) folder(state, event.data ?? {}, event);
}

/** @type {Record<string, (state: TaskState, data: any, event: TaskEvent) => void>} */
const FOLDERS = {
  task(state, data) {
    state.status = data.status ?? state.status;
    state.endReason = data.end_reason ?? "";
    state.error = data.error ?? "";
    state.activity = state.status === "running" ? "Starting" : "";
    if (state.ended && !isFinal(state.status)) begun(state);
    if (isFinal(state.status)) settle(state);
  },
  recall(state, data) {
    state.recall = { items: data.items ?? [], degraded: data.degraded ?? "" };
    state.activity = "Planning";
  },
  plan(state, data, event) {
    state.thought = data.thought ?? "";
    state.plan = merged(state.plan, data.subgoals ?? []);
    state.activity = "Working";
    if (data.replan) put(state, `plan-${event.seq}`, "note", event, { text: data.thought, title: "New plan" });
  },
  subgoal(state, data, event) {
    const { index, text, status, result } = data;
    if (!Number.isInteger(index) || index < 0 || index > 999) return;
    while (state.plan.length <= index) state.plan.push({ text: "", status: "pending" });
    state.plan[index] = { text: text ?? state.plan[index].text, status: status ?? "running", result };
    if (status === "running" && state.plan.length > 1) {
      put(state, `subgoal-${index}-${text}`, "heading", event, { index, text });
    }
  },
  action(state, data, event) {
    state.activity = `Using ${(data.calls ?? []).map((/** @type {any} */ call) => call.tool).join(", ")}`;
    put(state, stepKey(event, data.step), "step", event, { ...data, n: data.step, running: true });
  },
  step(state, data, event) {
    state.steps += 1;
    state.activity = "Thinking";
    put(state, stepKey(event, data.n), "step", event, { ...data, running: false });
  },
  note(state, data, event) {
    put(state, `note-${event.seq}`, "note", event, { text: data.notes, title: "Notes" });
  },
  model(state, data) {
    state.totals.calls += 1;
    state.totals.tokens += (data.prompt_tokens ?? 0) + (data.completion_tokens ?? 0);
    state.totals.usd += data.usd ?? 0;
    state.totals.seconds += data.seconds ?? 0;
  },
  model_retry: trouble("The model did not answer; asking again"),
  model_fallback: trouble("Another model took over"),
  model_queued(state) {
    state.activity = "Waited for a place at the model";
  },
  egress(state, data, event) {
    const place = `${data.host || "?"}:${data.port ?? 0}`;
    const key = `egress-${place}-${data.allowed ? "" : data.reason}`;
    if (state.byKey.has(key)) return;
    if (data.allowed) put(state, key, "note", event, { title: `The sandbox reached ${place}`, text: `By ${data.method}.` });
    else put(state, key, "trouble", event, { title: `The sandbox was kept from ${place}`, text: data.reason });
  },
  egress_more(state, data, event) {
    const title = `The sandbox made more connections: ${data.allowed} allowed, ${data.refused} refused`;
    put(state, `egress-${event.seq}`, "note", event, { title, text: "Only the first ones are told one by one." });
  },
  approval(state, data, event) {
    const known = state.byKey.get(`approval-${data.id}`);
    put(state, `approval-${data.id}`, "approval", event, { ...(known?.data ?? {}), ...data });
  },
  budget(state, data, event) {
    const text = `${data.text ?? ""} Raise it: strop tasks budget ID --usd X`.trim();
    put(state, `trouble-${event.seq}`, "trouble", event, { title: "The budget is spent", text });
  },
  question(state, data, event) {
    put(state, `question-${event.seq}`, "question", event, { text: data.text });
  },
  message(state, data, event) {
    const open = openQuestion(state);
    if (open) put(state, open.key, "question", event, { ...open.data, answered: data.text });
    else put(state, `message-${event.seq}`, "message", event, { text: data.text });
  },
  review(state, data, event) {
    put(state, `review-${event.seq}`, "review", event, data);
    state.activity = data.accepted ? "Finishing" : "Mending the answer";
  },
  repair(state, data, event) {
    put(state, `repair-${event.seq}`, "note", event, { text: data.answer, title: "Mended answer" });
  },
  answer(state, data) {
    state.answer = data.answer ?? "";
    state.artifacts = data.artifacts ?? [];
    state.activity = "";
  },
  learned(state, data) {
    state.learned = data.items ?? [];
  },
  end(state, data) {
    state.status = data.status ?? state.status;
    state.ended = true;
    state.activity = "";
  },
};

/**
 * Return the question that still waits for its answer.
 *
 * @param {TaskState} state
 * @returns {TimelineItem|null}
 */
export function openQuestion(state) {
  for (let i = state.timeline.length - 1; i >= 0; i -= 1) {
    const item = state.timeline[i];
    if (item.type === "question") return item.data.answered === undefined ? item : null;
  }
  return null;
}

/**
 * Begin anew: a task that was over is tried again.
 *
 * @param {TaskState} state
 */
function begun(state) {
  state.ended = false;
  state.answer = null;
  state.artifacts = [];
  state.learned = null;
  state.recall = null;
  state.plan = [];
}

/**
 * Close what a finished task will not go on with.
 *
 * @param {TaskState} state
 */
function settle(state) {
  for (const item of state.timeline) {
    const { type, data } = item;
    if (type === "step" && data.running) item.data = { ...data, running: false, outcome: "stopped" };
    else if (type === "question" && data.answered === undefined) item.data = { ...data, answered: null };
    else if (type === "approval" && data.status === "pending") item.data = { ...data, status: "expired" };
    else continue;
    item.version += 1;
  }
}

/**
 * Keep what is done at the head of a new plan; the rest is to do.
 *
 * @param {import("./types.js").Subgoal[]} old
 * @param {string[]} texts
 * @returns {import("./types.js").Subgoal[]}
 */
function merged(old, texts) {
  const changed = texts.findIndex((text, i) => old[i]?.status !== "done" || old[i].text !== text);
  const kept = changed < 0 ? texts.length : changed;
  return texts.map((text, i) => (i < kept ? old[i] : { text, status: "pending" }));
}

/**
 * @param {TaskEvent} event
 * @param {number} n
 * @returns {string}
 */
function stepKey(event, n) {
  return `step-${event.run_id ?? ""}-${n}`;
}

/**
 * @param {string} title
 * @returns {(state: TaskState, data: any, event: TaskEvent) => void}
 */
function trouble(title) {
  return (state, data, event) => {
    const text = [data.model, data.error].filter(Boolean).join(": ");
    put(state, `trouble-${event.seq}`, "trouble", event, { title, text });
  };
}

/**
 * Add an item to the timeline, or change the one with this key.
 *
 * @param {TaskState} state
 * @param {string} key
 * @param {string} type
 * @param {TaskEvent} event
 * @param {Record<string, any>} data
 * @returns {TimelineItem}
 */
function put(state, key, type, event, data) {
  const old = state.byKey.get(key);
  if (old) {
    old.data = { ...data };
    old.version += 1;
    return old;
  }
  const item = { key, version: 1, type, at: event.at, data: { ...data } };
  state.byKey.set(key, item);
  state.timeline.push(item);
  return item;
}
