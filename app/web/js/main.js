/** Starts the page: puts the parts together and shows what the address asks for. */

import { agentsView } from "./agents_view.js";
import { watchConnection } from "./banner.js";
import { Compose } from "./compose.js";
import { fill } from "./dom.js";
import { drawer } from "./drawer.js";
import { listenForKeys } from "./keys.js";
import { memoryView } from "./memory_view.js";
import { parseRoute } from "./router.js";
import { TaskList } from "./sidebar.js";
import { TaskView } from "./task_view.js";
import { welcome } from "./welcome.js";

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
function part(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no element #${id}`);
  return element;
}

const view = part("view");
const help = /** @type {HTMLDialogElement} */ (part("help"));
const list = new TaskList(part("tasks"));
const menu = drawer({ sidebar: part("sidebar"), button: part("menu"), scrim: part("scrim") });
/** @type {TaskView|null} */
let task = null;

const compose = new Compose((created) => {
  location.hash = `#/tasks/${encodeURIComponent(created.id)}`;
  void list.refresh();
});
part("dock").append(compose.element);

const page = {
  /** @param {string} text */
  announce(text) {
    part("announcer").textContent = text;
  },
  changed() {
    void list.refresh();
  },
};

function show() {
  const route = parseRoute(location.hash);
  task?.close();
  task = null;
  document.title = "Strop";
  document.body.classList.toggle("with-side", route.name === "task");
  compose.invite(route.name === "task" ? "Give another task" : "What should be done?");
  for (const name of ["memory", "agents"]) {
    if (route.name === name) part(`${name}-link`).setAttribute("aria-current", "page");
    else part(`${name}-link`).removeAttribute("aria-current");
  }
  list.select(route.id);
  menu.close();
  scrollTo({ top: 0 });
  if (route.name === "task") {
    task = new TaskView(route.id, page);
    fill(view, task.element);
    void task.open();
  } else {
    fill(view, other(route.name));
  }
  if (route.name === "welcome" && matchMedia("(hover: hover)").matches) compose.focus();
}

/**
 * @param {string} name
 * @returns {HTMLElement}
 */
function other(name) {
  if (name === "memory") return memoryView();
  return name === "agents" ? agentsView() : welcome((text, files) => compose.use(text, files));
}

function newTask() {
  location.hash = "#/";
  compose.focus();
}

listenForKeys({
  "/": () => compose.focus(),
  a: () => task?.focusQuestion(),
  n: newTask,
  m: () => (location.hash = "#/memory"),
  g: () => (location.hash = "#/agents"),
  "?": () => help.showModal(),
});
part("skip").addEventListener("click", () => view.focus());
part("help-button").addEventListener("click", () => help.showModal());
part("help-close").addEventListener("click", () => help.close());
part("new-task").addEventListener("click", () => setTimeout(() => compose.focus()));
watchConnection(part("banner"), () => void list.refresh());
addEventListener("hashchange", show);
void list.refresh();
show();
