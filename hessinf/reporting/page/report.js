// The page: its head, the list, and the view that the address names.
const RENDERERS = {
  queries: aboutView, query: queryView, example: exampleView, suspects: suspectsView,
  about: aboutView,
};

// Of training examples alone (a self-influence run) there is a ranking and no list.
function hasQueries() {
  return report.queries.id.length > 0;
}

function shownRoute() {
  const route = currentRoute();
  if (hasQueries() || !["queries", "query"].includes(route.view)) return route;
  return { ...route, view: report.suspects.length ? "suspects" : "about", place: null };
}

const page = { main: document.getElementById("app"), about: document.getElementById("about"),
  turn: 0, scrolls: new Map(), entries: 0, awaited: null, title: document.title };

function viewHead(heading, ...controls) {
  return element("header", { class: "view-head" },
    element("a", { class: "button back", href: address("queries") }, "\u2190 Queries"),
    heading, ...controls);
}

function missing(sentence) {
  return element("article", { class: "view" },
    viewHead(element("h2", { tabindex: -1 }, "Not found")), element("p", {}, sentence));
}

// What is not the file's or the browser's fault is this page's: that is for those who make it.
function inWords(error) {
  if (error instanceof Unreadable) return error.message;
  console.error(error);
  return `This page has failed (${error}). Please report it, with the file if you may share it.`;
}

function problem(sentence) {
  return element("article", { class: "view", role: "alert" },
    element("h2", { tabindex: -1 }, "This cannot be shown"),
    element("p", { class: "warning" }, sentence));
}

async function aboutView() {
  page.about.querySelector("h2")?.setAttribute("tabindex", "-1");
  return page.about;
}

function furnish() {
  const masthead = document.getElementById("masthead");
  const link = (view, text) => element("a", { href: `#${view}`, "data-view": view }, text);
  document.body.prepend(element("a", { class: "skip", href: "#app", onclick: (event) => {
    event.preventDefault();
    page.slot.querySelector("h2")?.focus();
  } }, "Skip to the content"));
  masthead.append(
    element("nav", { "aria-label": "Views" }, hasQueries() ? link("queries", "Queries") : null,
      report.suspects.length ? link("suspects", "Suspects") : null, link("about", "About")),
    element("div", { class: "tools" }, themeButton(), button([
      element("span", { "aria-hidden": "true" }, "?"), element("span", { class: "word" }, "Help"),
    ], () => document.getElementById("help").showModal(), { class: "button", id: "help-button" })));
  page.slot = element("div", { id: "view" }, page.about);
  page.main.replaceChildren(...(hasQueries() ? [queryPane()] : []), page.slot);
  document.documentElement.classList.toggle("without-queries", !hasQueries());
  document.body.append(helpDialog());
  // The list stands below the head, however high that is.
  new ResizeObserver(() => document.documentElement.style.setProperty("--masthead",
    `${masthead.offsetHeight}px`)).observe(masthead);
}

function markViews(view) {
  for (const link of document.querySelectorAll("#masthead nav a")) {
    const here = link.dataset.view === (view === "query" ? "queries" : view);
    link.href = address(link.dataset.view);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// Each entry of the history keeps how far it was scrolled.
function historyKey() {
  if (history.state?.key === undefined) {
    page.entries += 1;
    history.replaceState({ key: `${performance.timeOrigin}-${page.entries}` }, "");
  }
  return history.state.key;
}

async function show({ first = false } = {}) {
  const turn = page.turn += 1;
  const route = shownRoute();
  const scrolled = page.scrolls.get(history.state?.key) ?? 0;
  page.main.setAttribute("aria-busy", "true");
  if (hasQueries()) followRoute(route);
  let view;
  try {
    view = await RENDERERS[route.view](route);
  } catch (error) {
    view = problem(inWords(error));
  }
  if (turn !== page.turn) return;
  page.key = historyKey();
  if (route.view === "query") queryList.last = location.hash;
  document.body.dataset.pane = route.view === "queries" ? "list" : "main";
  document.body.dataset.view = route.view;
  markViews(route.view);
  page.slot.replaceChildren(view);
  const heading = page.slot.querySelector("h2");
  document.title = route.view === "queries" || heading === null ? page.title
    : `${heading.textContent} \u00b7 ${page.title}`;
  scrollTo(0, scrolled);
  if (!first) focusView(route, heading);
  await everythingDrawn();
  if (turn === page.turn) page.main.setAttribute("aria-busy", "false");
}

function focusView(route, heading) {
  if (page.awaited) {
    page.awaited.focus();
    page.awaited = null;
    return;
  }
  const { virtual } = queryList;
  if (route.view === "queries" && hasQueries()) virtual.activate(virtual.active, true);
  else heading?.focus({ preventScroll: true });
}

async function start() {
  history.scrollRestoration = "manual";
  page.main.setAttribute("aria-busy", "true");
  try {
    await readIndex();
  } catch (error) {
    page.main.prepend(element("p", { class: "warning", role: "alert" }, inWords(error)));
    document.documentElement.classList.remove("scripted");
    page.main.setAttribute("aria-busy", "false");
    return;
  }
  furnish();
  addEventListener("hashchange", () => show());
  addEventListener("scroll", () => page.scrolls.set(page.key, scrollY), { passive: true });
  document.addEventListener("keydown", pressed);
  await show({ first: true });
  requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("hessinf-list")));
}

start();
