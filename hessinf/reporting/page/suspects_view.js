// Training examples that may be mislabelled: the first of a ranking by self-influence or loss.
const SUSPECTS_AT_ONCE = 100;

function suspectTitle() {
  return hasLabels() ? "Suspected mislabelled examples" : "Suspected wrong targets";
}

function suspectWords() {
  const byLoss = report.suspects_ranked_by === "loss";
  const meaning = byLoss
    ? "The model does badly on the examples at the top although it was trained on them."
    : "The examples at the top are the ones that the model could only learn by heart: what it " +
      "makes of them hangs on themselves alone.";
  const all = report.run.training_examples;
  return `The first ${count(report.suspects.length)} of ` +
    `${all === null ? "the training examples" : counted(all, "training example")} by ` +
    `${byLoss ? "training loss" : "self-influence"}, largest first. ${meaning} ` +
    `Wrong ${hasLabels() ? "labels" : "targets"} gather there; so do rare and hard examples. ` +
    "Open one to see which queries it helps and harms, and look before you change it.";
}

// How good the ranking is, where labels were changed on purpose.
function precisionInWords() {
  const flipped = report.train.flipped_from;
  if (!flipped || !report.suspects.some((place) => flipped[place] !== null)) return null;
  const amount = Math.min(20, report.suspects.length);
  const planted = report.suspects.slice(0, amount).filter((place) => flipped[place] !== null);
  const several = planted.length === 1 ? "was" : "were";
  return `${count(planted.length)} of the first ${count(amount)} ${several} changed on purpose.`;
}

async function suspectsView({ parameters }) {
  const heading = element("h2", { tabindex: -1 }, suspectTitle());
  if (!report.suspects.length) {
    return element("article", { class: "view" }, viewHead(heading),
      element("p", {}, report.suspects_reason ?? "This run has no ranking of training examples."));
  }
  const records = await Promise.all(report.suspects.map(trainingRecord));
  const pictured = records.some(({ display }) => hasPicture(display));
  const narrow = matchMedia("(max-width: 40rem)").matches;
  const chosen = parameters.get("view") ?? (pictured || narrow ? "grid" : "table");
  const measure = report.suspects_ranked_by === "loss" ? "loss" : "self_influence";
  const largest = largestOf(report.suspects.map((place) => known("train", measure, place)));
  const show = chosen === "grid" ? suspectGrid : suspectTable;
  return element("article", { class: "view suspects-view" },
    viewHead(heading, viewChoice(chosen)),
    element("p", {}, suspectWords()),
    report.suspects_reason ? element("p", { class: "quiet" },
      `Not ranked by self-influence: ${report.suspects_reason.replace(/\.$/, "")}.`) : null,
    precisionInWords() === null ? null : element("p", { class: "precision" },
      element("strong", {}, precisionInWords()),
      " These carry the label that they had before: \u201cwas \u2026\u201d."),
    grown(records, (part, from) => show(part, from, measure, largest)));
}

function viewChoice(chosen) {
  const link = (view, text) => {
    const parameters = choicesOf(currentRoute().parameters);
    parameters.set("view", view);
    return element("a", { class: "button", href: address("suspects", null, parameters),
      "aria-current": view === chosen ? "true" : null }, text);
  };
  return element("div", { class: "steps", role: "group", "aria-label": "Shown as" },
    link("grid", "Grid"), link("table", "Table"));
}

// The first hundred; the others when asked for.
function grown(records, show) {
  const node = show(records.slice(0, SUSPECTS_AT_ONCE), 0);
  if (records.length <= SUSPECTS_AT_ONCE) return node;
  const more = button(`Show all ${count(records.length)}`, () => {
    node.replaceWith(show(records, 0));
    more.remove();
  }, { class: "button" });
  return [node, more];
}

function suspectGrid(records, from, measure, largest) {
  return element("ol", { class: "grid-of-suspects" }, records.map(({ display }, position) => {
    const place = report.suspects[from + position];
    const description = trainingInWords(place);
    return element("li", {}, element("a", { class: "suspect", href: address("example", place) },
      element("span", { class: "rank" }, spoken("rank "), from + position + 1),
      hasPicture(display) ? picture(display.image, 96, description)
        : element("span", { class: "snippet" }, isolated(snippet(display))),
      element("span", { class: "labels" }, labelOf(place, display)),
      measuredLine(measure === "loss" ? "loss" : "self-influence", known("train", measure, place)),
      barWith(known("train", measure, place), largest, null),
      measure === "loss" ? null : measuredLine("loss", known("train", "loss", place)),
      element("span", { class: "small" }, isolated(report.train.id[place], { class: "id" }))));
  }));
}

function snippet(display) {
  if (typeof display.text === "string") return display.text.slice(0, 160);
  if (display.row) {
    return Object.entries(display.row).slice(0, 4)
      .map(([name, value]) => `${name}: ${measured(value)}`).join(", ");
  }
  return "";
}

function measuredLine(name, value) {
  return element("span", { class: "measured" }, element("span", { class: "quiet" }, `${name} `),
    element("span", {}, number(value)));
}

// Pictures stand first, longer examples last: on a phone the end is scrolled to.
function suspectTable(records, from, measure, largest) {
  const pictured = records.some(({ display }) => hasPicture(display));
  const arranged = ([rank, shown, ...others]) => (pictured ? [rank, shown, ...others]
    : [rank, ...others, shown]);
  const heads = arranged([["rank", null], ["example", "words"], ["id", "words"],
    [labelName(), "words"], measure === "loss" ? null : ["self-influence", null], ["loss", null]]);
  return scrolled(suspectTitle(), element("table", { class: "suspects" }, tableHead(heads),
    element("tbody", {}, records.map((record, position) => element("tr", {}, arranged(
      suspectCells(record, report.suspects[from + position], from + position + 1, measure,
        largest)))))));
}

function suspectCells({ display }, place, rank, measure, largest) {
  const meter = (column) => {
    const value = known("train", column, place);
    return element("td", {}, barWith(value, largest, number(value)));
  };
  return [
    element("td", { class: "number" }, rank),
    hasPicture(display) ? element("td", { class: "facing" },
      picture(display.image, THUMBNAIL, trainingInWords(place)))
      : element("td", { class: "snippet" }, isolated(snippet(display))),
    element("th", { scope: "row" }, trainingLink(place)),
    element("td", { class: "labels" }, labelOf(place, display)),
    measure === "loss" ? null : meter("self_influence"),
    measure === "loss" ? meter("loss") : element("td", {}, number(known("train", "loss", place))),
  ];
}
