/** Sends a new task; its files go first, each one once. */

import { postJson, request } from "./api.js";

/** @type {WeakMap<File, string>} ids of files that the server has */
const uploaded = new WeakMap();

/**
 * Submit a task; the same key makes a repeated try safe.
 *
 * @param {string} instruction
 * @param {File[]} files
 * @param {string} key
 * @returns {Promise<import("./types.js").Task>}
 */
export async function submitTask(instruction, files, key) {
  const ids = [];
  for (const file of files) ids.push(await upload(file));
  const body = ids.length > 0 ? { instruction, files: ids } : { instruction };
  return postJson("/tasks", body, { "Idempotency-Key": key });
}

/**
 * @param {File} file
 * @returns {Promise<string>}
 */
async function upload(file) {
  const known = uploaded.get(file);
  if (known) return known;
  const form = new FormData();
  form.append("file", file, file.name);
  const response = await request("/files", { method: "POST", body: form });
  const { id } = await response.json();
  uploaded.set(file, id);
  return id;
}

/**
 * Make a random key; works without a secure context too.
 *
 * @returns {string}
 */
export function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
