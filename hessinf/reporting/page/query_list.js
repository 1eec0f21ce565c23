// The list of queries: search, filters, order, and the rows that are seen.
const ROW_HEIGHT = 3.75;
const THUMBNAIL = 40;
// While one scrolls fast, nothing is unpacked that is gone at once.
const PATIENCE = 80;

const queryList = { places: [], positions: new Map(), choices: null, current: null };

function field(label, control, properties) {
  return element("label", { class: "field", ...properties }, element("span", {}, label), control);
}

function options(pairs) {
  return pairs.map(([value, text]) => element("option", { value }, text));
}

function labelFilter(name, column) {
  const values = [...new Set(report.queries[column])].filter((value) => value !== null);
  values.sort((one, other) => (one < other ? -1 : 1));
  return element("select", { name },
    options([["", "any"], ...values.map((value) => [String(value), named(value)])]));
}

function limitField(name, label, value) {
  return element("input", { name, type: "text", inputmode: "decimal", size: 6, autocomplete: "off",
    "aria-label": label, placeholder: roughly(value) });
}

// Short enough for a field: what lies between is what one may write.
function roughly(value) {
  if (!Number.isFinite(value)) return "";
  return Math.abs(value) < 0.01 && value !== 0 ? value.toExponential(0)
    : String(Number(value.toPrecision(2)));
}

function queryForm() {
  const [least, most] = edgesOf(report.queries.loss.filter((value) => typeof value === "number"));
  const { classification } = report.run;
  const wrong = report.queries.wrong?.filter(Boolean).length ?? 0;
  return element("form", { role: "search", onsubmit: (event) => event.preventDefault(),
    oninput: chosen },
  element("input", { name: "search", type: "search", autocomplete: "off", spellcheck: "false",
    "aria-label": "Search queries", placeholder: "Search id, label or text",
    "aria-keyshortcuts": "/" }),
  report.queries.wrong ? element("label", { class: "check" }, element("input", { type: "checkbox",
    name: "wrong", value: "1" }), element("span", {}, `Wrong only (${count(wrong)})`)) : null,
  element("details", { class: "filters" }, element("summary", {}, "Filter and sort"),
    element("div", { class: "fields" },
      classification ? [
        field("Target", labelFilter("label", "target")),
        field("Predicted", labelFilter("predicted", "prediction")),
      ] : null,
      element("div", { class: "field", role: "group", "aria-label": "Loss" },
        element("span", {}, "Loss"), element("span", { class: "range" },
          limitField("low", "Smallest loss", least), " to ",
          limitField("high", "Largest loss", most))),
      field("Sort", element("select", { name: "sort" },
        options(offeredOrders().map(([key, [text]]) => [key === "file" ? "" : key, text])))))));
}

function edgesOf(values) {
  return values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Infinity, -Infinity]);
}

function queryPane() {
  queryList.form = queryForm();
  queryList.status = element("p", { role: "status", class: "small quiet" });
  queryList.clear = button("Clear", () => {
    writeForm(new URLSearchParams());
    chosen();
    queryList.form.elements.search.focus();
  }, { class: "link", hidden: true });
  queryList.virtual = new VirtualList("Queries", ROW_HEIGHT, queryRow);
  queryList.form.querySelector("details").open = matchMedia("(min-width: 54rem)").matches;
  return element("nav", { id: "query-pane", "aria-label": "Queries" }, queryList.form,
    element("div", { class: "found" }, queryList.status, queryList.clear),
    element("div", { class: "row-heads small quiet", "aria-hidden": "true" },
      element("span", {}, "target \u2192 prediction"), element("span", {}, "loss")),
    queryList.virtual.node);
}

function writeForm(parameters) {
  for (const control of queryList.form.elements) {
    if (control.type === "checkbox") control.checked = parameters.get(control.name) === "1";
    else if (control.name) control.value = parameters.get(control.name) ?? "";
    // An address may ask for what there is not.
    if (control.selectedIndex === -1) control.selectedIndex = 0;
  }
}

function chosen() {
  const parameters = new URLSearchParams();
  const { elements } = queryList.form;
  for (const name of CHOICES) {
    const control = elements[name];
    const value = control?.type === "checkbox" ? (control.checked ? "1" : "") : control?.value;
    if (value) parameters.set(name, value);
  }
  for (const control of [elements.low, elements.high]) {
    const bad = control.value.trim() !== "" && Number.isNaN(Number(control.value));
    if (bad) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
  replaceParameters(parameters);
  followRoute(currentRoute());
  queryList.drawSteps?.();
}

// Show what the address says: the choices in the form, the queries that they leave, the open one.
function followRoute(route) {
  const choices = choicesOf(route.parameters);
  const current = route.view === "query" ? route.place : null;
  const same = queryList.choices === String(choices);
  if (!same) {
    queryList.choices = String(choices);
    queryList.places = selectedQueries(choices);
    queryList.positions = new Map(queryList.places.map((place, position) => [place, position]));
    writeForm(choices);
    const { length } = queryList.places;
    const all = report.queries.id.length;
    queryList.status.textContent = length === all ? counted(all, "query", "queries")
      : `${count(length)} of ${counted(all, "query", "queries")}`;
    queryList.clear.hidden = !queryList.choices;
    queryList.virtual.node.scrollTop = 0;
  }
  queryList.current = current;
  if (!same || !queryList.virtual.items.length) {
    queryList.virtual.show(queryList.places, queryList.positions.get(current) ?? 0);
  }
  for (const [position] of queryList.virtual.rows) markCurrent(position);
  if (queryList.positions.has(current)) {
    queryList.virtual.activate(queryList.positions.get(current));
    markCurrent(queryList.positions.get(current));
  }
}

function markCurrent(position) {
  const link = queryList.virtual.linkAt(position);
  const place = queryList.places[position];
  if (place === queryList.current) link?.setAttribute("aria-current", "true");
  else link?.removeAttribute("aria-current");
}

function queryRow(place) {
  const facing = element("span", { class: "facing" });
  const line = element("span", { class: "second" }, isolated(report.queries.id[place],
    { class: "id" }));
  const row = element("a", { class: "query-row", href: address("query", place),
    "aria-current": place === queryList.current ? "true" : null,
    // The choices may have changed since the row was made.
    onclick: (event) => { event.currentTarget.href = address("query", place); } },
  report.images === null ? null : facing,
  element("span", { class: "middle" }, element("span", { class: "first" }, outcome(place)), line),
  element("span", { class: "numbers" }, element("span", {}, spoken("loss "),
    number(known("queries", "loss", place))),
  report.queries.probability ? element("span", { class: "quiet small" },
    percent(known("queries", "probability", place))) : null));
  const complete = (record) => {
    const { display } = record;
    if (hasPicture(display)) {
      const description = `query ${report.queries.id[place]}`;
      facing.replaceChildren(picture(display.image, THUMBNAIL, description));
    } else if (typeof display.text === "string") {
      line.replaceChildren(isolated(display.text.slice(0, 120)));
    }
  };
  // What cannot be unpacked is said where the query is opened.
  const load = () => queryRecord(place).then(complete).catch(() => {});
  const record = queryRecordAtHand(place);
  if (record !== null) complete(record);
  else if (!queryList.virtual.scrolling) tracked(load());
  else setTimeout(() => { if (row.isConnected) load(); }, PATIENCE);
  return row;
}
