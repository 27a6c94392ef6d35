/** Sends a new task, with its files. */

import { postJson, request } from "./api.js";

/**
 * Submit a task; the same key makes a repeated try safe.
 *
 * @param {string} instruction
 * @param {File[]} files
 * @param {string} key
 * @returns {Promise<import("./types.js").Task>}
 */
export async function submitTask(instruction, files, key) {
  const headers = { "Idempotency-Key": key };
  if (files.length === 0) return postJson("/tasks", { instruction }, headers);
  const form = new FormData();
  form.append("instruction", instruction);
  for (const file of files) form.append("files", file, file.name);
  const response = await request("/tasks", { method: "POST", headers, body: form });
  return response.json();
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
