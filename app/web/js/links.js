/** Decides which addresses from untrusted text may become links. */

import { url } from "./api.js";

/**
 * Allow http, https and addresses relative to this page; everything else stays text.
 *
 * @param {string} target
 * @returns {string|null}
 */
export function safeLink(target) {
  let parsed;
  try {
    parsed = new URL(target, location.href);
  } catch {
    return null;
  }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") return null;
  return parsed.username || parsed.password ? null : parsed.href;
}

/**
 * Link the names of a task's artifacts to their files.
 *
 * @param {string} taskId
 * @param {() => string[]} names
 * @returns {(target: string) => string|null}
 */
export function taskLinks(taskId, names) {
  return (target) => {
    const name = target.replace(/^\.\//, "");
    return names().includes(name) ? url(artifactPath(taskId, name)) : safeLink(target);
  };
}

/**
 * @param {string} taskId
 * @param {string} name
 * @returns {string}
 */
export function artifactPath(taskId, name) {
  const file = name.split("/").map(encodeURIComponent).join("/");
  return `/tasks/${encodeURIComponent(taskId)}/artifacts/${file}`;
}
