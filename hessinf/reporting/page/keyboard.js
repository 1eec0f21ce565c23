// Keys that work everywhere on the page.
function typing(target) {
  return target instanceof HTMLElement && (target.isContentEditable ||
    target.matches("select, textarea, input:not([type=checkbox]):not([type=button])"));
}

// In what scrolls to the side, the arrows scroll.
function scrolls(target) {
  const region = target instanceof HTMLElement ? target.closest(".scroll, pre") : null;
  return region !== null && region.scrollWidth > region.clientWidth;
}

function step(amount) {
  if (!hasQueries() || !queryList.places.length) return;
  const { places, positions, current, virtual } = queryList;
  // Where no query is open, both open the one that the list stands at.
  const to = current === null ? virtual.active : (positions.get(current) ?? -1) + amount;
  const place = places[Math.max(0, Math.min(to, places.length - 1))];
  if (place !== current) go(address("query", place));
}

function back() {
  const { view } = currentRoute();
  if (view === "example" && queryList.last !== undefined) go(queryList.last);
  else if (hasQueries()) go(address("queries"));
}

function focusSearch() {
  if (!hasQueries()) return;
  const { search } = queryList.form.elements;
  search.select();
  if (search.offsetParent !== null) search.focus();
  else {
    // On a phone the list has to come first.
    page.awaited = search;
    go(address("queries"));
  }
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    event.preventDefault();
    if (typing(event.target)) queryList.virtual.activate(queryList.virtual.active, true);
    else back();
    return;
  }
  if (typing(event.target)) return;
  if (event.key.startsWith("Arrow") && scrolls(event.target)) return;
  if (event.key === "ArrowRight") step(1);
  else if (event.key === "ArrowLeft") step(-1);
  else if (!shortcutsOn()) return;
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "/") focusSearch();
  else if (event.key === "?") document.getElementById("help").showModal();
  else return;
  event.preventDefault();
}
