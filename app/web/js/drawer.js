/** The task list on a narrow screen: slides in, takes the focus, and gives it back. */

const NARROW = matchMedia("(max-width: 767px)");

/**
 * @param {{sidebar: HTMLElement, button: HTMLElement, scrim: HTMLElement}} parts
 * @returns {{close: () => void}}
 */
export function drawer({ sidebar, button, scrim }) {
  const set = (/** @type {boolean} */ open) => {
    document.body.classList.toggle("drawer-open", open);
    button.setAttribute("aria-expanded", String(open));
    sidebar.inert = NARROW.matches && !open;
    scrim.hidden = !open;
  };
  const close = () => {
    const within = sidebar.contains(document.activeElement);
    set(false);
    if (within && NARROW.matches) button.focus();
  };
  button.addEventListener("click", () => {
    set(true);
    sidebar.querySelector("a")?.focus();
  });
  scrim.addEventListener("click", close);
  addEventListener("keydown", (event) => event.key === "Escape" && document.body.classList.contains("drawer-open") && close());
  NARROW.addEventListener("change", () => set(false));
  set(false);
  return { close };
}
