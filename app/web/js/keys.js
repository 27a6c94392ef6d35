/** Single keys for what is done often; silent while someone types. */

/**
 * @param {Record<string, () => void>} actions by key
 */
export function listenForKeys(actions) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/**
 * @param {EventTarget|null} target
 * @returns {boolean}
 */
function typing(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
