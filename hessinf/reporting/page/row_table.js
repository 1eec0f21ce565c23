// Rows of a table: alone, or beside the query's row, so that one sees what is alike.
const SHORT_TABLE = 8;
const ALIKE_FIRST = 6;
// A text that is longer has the whole width.
const LONG_VALUE = 40;

// How widely each numeric column spreads over some rows: the measure of what is alike.
function spreads(rows) {
  const found = new Map();
  for (const column of Object.keys(rows[0] ?? {})) {
    const values = rows.map((row) => row?.[column]).filter((value) => typeof value === "number");
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    found.set(column, Math.sqrt(squares / values.length));
  }
  return found;
}

function rowTable(row) {
  return element("dl", { class: "row-table" }, Object.entries(row).map(([name, value]) =>
    element("div", { class: String(value).length > LONG_VALUE ? "long" : null },
      element("dt", {}, isolated(name)), element("dd", {}, isolated(measured(value))))));
}

// How far a value lies from the query's: in spreads where both are numbers.
function difference(value, other, spread) {
  if (typeof value === "number" && typeof other === "number") {
    return spread > 0 ? (value - other) / spread : value === other ? 0 : Infinity;
  }
  return value === other ? 0 : NaN;
}

function differenceInWords(far) {
  if (Number.isNaN(far)) return "differs";
  if (Math.abs(far) < 0.1) return "alike";
  return `${far > 0 ? "higher" : "lower"} by ${number(Math.abs(far))} standard deviations`;
}

function differenceCell(far) {
  const words = differenceInWords(far);
  const share = Number.isNaN(far) ? 0 : Math.max(-1, Math.min(1, far / 2));
  const shown = words === "differs" ? element("span", { "aria-hidden": "true" }, "\u2260")
    : words === "alike" ? element("span", { "aria-hidden": "true" }, "\u2248")
      : element("span", { class: `difference ${far > 0 ? "higher" : "lower"}`,
        "--share": Math.abs(share), "aria-hidden": "true" });
  return element("td", { class: "far", title: words }, shown, spoken(words));
}

function comparedRows(columns, row, other, spread) {
  return element("table", { class: "compared" },
    tableHead(["column", "this", "query", "difference"]),
    element("tbody", {}, columns.map((name) => element("tr", {},
      element("th", { scope: "row", title: name }, isolated(name)),
      element("td", {}, isolated(measured(row[name]))),
      element("td", { class: "quiet" }, isolated(measured(other?.[name]))),
      differenceCell(difference(row[name], other?.[name], spread.get(name) ?? 0))))));
}

function comparedTable(row, other, spread) {
  const columns = Object.keys(row);
  if (columns.length <= SHORT_TABLE) return comparedRows(columns, row, other, spread);
  const far = (name) => {
    const found = Math.abs(difference(row[name], other?.[name], spread.get(name) ?? 0));
    return Number.isNaN(found) ? Infinity : found;
  };
  const alike = columns.map((name, place) => [far(name), place, name])
    .sort((one, another) => one[0] - another[0] || one[1] - another[1])
    .slice(0, ALIKE_FIRST).map(([, , name]) => name);
  const close = columns.filter((name) => far(name) < 0.5).length;
  const all = element("details", { class: "all-columns" },
    element("summary", {}, `All ${count(columns.length)} columns`));
  // Most are never opened: the table is made when one is.
  all.addEventListener("toggle", () => {
    if (all.open && all.children.length === 1) {
      all.append(comparedRows(columns, row, other, spread));
    }
  });
  return element("div", {},
    element("p", { class: "small quiet" },
      `${count(close)} of ${count(columns.length)} columns are alike, within half a standard ` +
      "deviation of the rows shown; closest first:"),
    comparedRows(alike, row, other, spread), all);
}
