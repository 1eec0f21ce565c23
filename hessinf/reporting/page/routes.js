// Where one is stands in the address: #queries, #query/12, #example/7, #suspects, #about; what is
// searched and how it is sorted stands behind a question mark, so that a link shows the same list.
const VIEWS = ["queries", "query", "example", "suspects", "about"];

// What chooses and orders the queries.
const CHOICES = ["search", "wrong", "label", "predicted", "low", "high", "sort"];

function currentRoute() {
  const [path, search = ""] = location.hash.slice(1).split(/\?(.*)/s);
  const [view, place] = path.split("/");
  const parameters = new URLSearchParams(search);
  if (!VIEWS.includes(view)) return { view: "queries", place: null, parameters };
  return { view, place: /^\d+$/.test(place ?? "") ? Number(place) : null, parameters };
}

function address(view, place = null, parameters = choicesOf(currentRoute().parameters)) {
  const search = String(parameters);
  return `#${view}${place === null ? "" : `/${place}`}${search ? `?${search}` : ""}`;
}

function choicesOf(parameters) {
  return new URLSearchParams([...parameters].filter(([key]) => CHOICES.includes(key)));
}

function go(hash) {
  if (location.hash !== hash) location.hash = hash;
}

// Typing in the search field does not fill the history.
function replaceParameters(parameters) {
  const { view, place } = currentRoute();
  history.replaceState(history.state, "", address(view, place, parameters));
}
