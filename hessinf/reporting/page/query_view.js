// A query: what it is, what the model makes of it, and the training examples behind that.
function directions() {
  const measured = `the ${measurementInWords()} of this query`;
  const better = report.run.higher_is_better ? "raise" : "lower";
  const worse = report.run.higher_is_better ? "lower" : "raise";
  return {
    helpful: ["Helpful", `Training more on these would ${better} ${measured}.`],
    harmful: ["Harmful", `Training more on these would ${worse} ${measured}.`],
  };
}

function sign(side) {
  return element("span", { class: `sign ${side}`, "aria-hidden": "true" },
    side === "helpful" ? "+" : MINUS);
}

async function queryView({ place }) {
  if (place === null || place >= report.queries.id.length) {
    return missing(`There is no query ${place ?? ""} in this file: it has ` +
      `${counted(report.queries.id.length, "query", "queries")}, numbered from 0.`);
  }
  const record = await queryRecord(place);
  const { helpful, harmful } = record;
  const largest = largestOf([...helpful, ...harmful].map(([, score]) => score));
  const rows = await rowsAround(record);
  const spread = rows === null ? null : spreads(rows);
  const sides = await Promise.all(["helpful", "harmful"].map((side) =>
    sideOf(side, record, largest, spread)));
  return element("article", { class: "view query-view" },
    viewHead(element("h2", { tabindex: -1 }, "Query ",
      isolated(report.queries.id[place], { class: "id" })), steps(place)),
    exampleHead(record.display, `query ${report.queries.id[place]}`, "The query",
      element("section", { class: "outcome", "aria-label": "What the model makes of it" },
        outcomeTable(place, record.display), trustList(record.trust)),
      distribution(record.scores, helpful, harmful)),
    hasTokens(helpful) || hasTokens(harmful) ? tokenLegend() : null,
    element("div", { class: "sides" }, sides), groupsOf(record.groups));
}

function hasTokens(entries) {
  return entries.some(([, , , , , influence]) => Array.isArray(influence));
}

// The query's row and those of its examples: what is alike is measured by how these spread.
async function rowsAround({ display, helpful, harmful }) {
  if (!display.row) return null;
  const records = await Promise.all([...helpful, ...harmful].map(([place]) =>
    trainingRecord(place)));
  return [display.row, ...records.map((record) => record.display.row)];
}

function outcomeTable(place, display) {
  const { target, prediction } = report.queries;
  const probability = (column) => {
    const share = known("queries", column, place);
    return typeof share !== "number" ? null : element("span", { class: "probability" },
      element("span", { class: "meter", "aria-hidden": "true" },
        element("span", { class: "fill", "--share": `${100 * share}%` })), percent(share));
  };
  const line = (name, value, mark, share) => element("div", {}, element("dt", {}, name),
    element("dd", {}, element("strong", {}, value), mark ? [" ", mark] : null),
    share ? element("dd", { class: "share" }, share) : null);
  const both = scaled(target[place], display);
  const predicted = [isolated(named(prediction[place])), both === null ? null
    : element("span", { class: "quiet small" }, " on the scale of the model")];
  return element("dl", { class: "outcome-table" },
    line("Target", both ?? isolated(named(target[place])), null, probability("target_probability")),
    line("Prediction", predicted, isWrong(place) ? wrongMark() : null,
      probability("probability")),
    element("div", {}, element("dt", {}, "Loss"), element("dd", {},
      number(known("queries", "loss", place)))),
    known("queries", "measurement", place) === null ? null : element("div", {},
      element("dt", {}, measurementInWords()), element("dd", {},
        number(known("queries", "measurement", place)))));
}

async function sideOf(side, record, largest, spread) {
  const [title, meaning] = directions()[side];
  const cards = await Promise.all(record[side].map((entry, position) =>
    trainingCard(entry, position + 1, record, largest, spread)));
  // The k largest scores are the helpful ones, also where not all of them are above zero.
  const turned = record[side].filter(([, score]) => (side === "helpful" ? score <= 0 : score >= 0));
  return element("section", { class: `side ${side}`, "aria-labelledby": `${side}-title` },
    element("h3", { id: `${side}-title` }, sign(side), " ", title),
    element("p", { class: "small quiet" }, cards.length ? meaning : "None."),
    turned.length ? element("p", { class: "small quiet" }, `${counted(turned.length, "example")} ` +
      `of this list ${turned.length === 1 ? "is" : "are"} not ${title.toLowerCase()}: ` +
      "there are not more that are.") : null,
    element("ol", { class: "cards" }, cards));
}

// To the queries before and after this one, as the list is sorted now.
function steps(place) {
  const node = element("div", { class: "steps", role: "group", "aria-label": "Other queries" });
  const draw = () => {
    const position = queryList.positions.get(place);
    const { length } = queryList.places;
    const to = (step, text, key, name) => {
      const other = queryList.places[position === undefined ? 0 : position + step];
      return element("a", { class: "button", "aria-keyshortcuts": key, "aria-label": name,
        href: other === undefined ? null : address("query", other), role: other === undefined
          ? "link" : null, "aria-disabled": other === undefined ? "true" : null }, text);
    };
    node.replaceChildren(to(-1, "\u2190", "k", "Previous query"),
      element("span", { class: "small quiet" }, position === undefined ? "not in the list"
        : `${count(position + 1)} of ${count(length)}`),
      to(1, "\u2192", "j", "Next query"));
  };
  draw();
  queryList.drawSteps = draw;
  return node;
}
