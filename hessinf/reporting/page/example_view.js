// A training example, and every query in this file that it helps or harms.
const LINES_AT_ONCE = 50;

async function exampleView({ place }) {
  const { id } = report.train;
  if (place === null || place >= id.length) {
    return missing(`There is no training example ${place ?? ""} in this file: it has ` +
      `${count(id.length)}, numbered from 0.`);
  }
  const record = await trainingRecord(place);
  const largest = largestOf([...record.helps, ...record.harms].map(([, score]) => score));
  const rank = known("train", "suspect_rank", place);
  const description = trainingInWords(place);
  return element("article", { class: "view example-view" },
    viewHead(element("h2", { tabindex: -1 }, "Training example ",
      isolated(id[place], { class: "id" }))),
    exampleHead(record.display, description, "The training example",
      element("section", { class: "outcome", "aria-label": "What is known of it" },
        element("dl", { class: "outcome-table" },
          factLine(labelName(), labelOf(place, record.display)),
          factLine("Loss", number(known("train", "loss", place))),
          factLine("Self-influence", known("train", "self_influence", place) === null ? null
            : number(known("train", "self_influence", place))),
          factLine("Suspect rank", rank === null ? null : [`${count(rank + 1)} `,
            element("a", { href: address("suspects") }, "of the list")]),
          factLine("Training index", known("train", "index", place) === null ? null
            : count(known("train", "index", place)))))),
    element("p", { class: "small quiet" }, "Only the lists in this file are counted: an " +
      "influence too small for the list of a query is not here."),
    element("div", { class: "sides" },
      affected("helpful", "Helps", record.helps, largest),
      affected("harmful", "Harms", record.harms, largest)));
}

function factLine(name, value) {
  return value === null ? null
    : element("div", {}, element("dt", {}, name), element("dd", {}, value));
}

function affected(side, title, queries, largest) {
  const list = element("ol", { class: "affected" });
  const more = button("", () => add(), { class: "link" });
  const add = () => {
    const from = list.children.length;
    list.append(...queries.slice(from, from + LINES_AT_ONCE).map(([query, score]) =>
      affectedLine(query, score, largest)));
    const left = queries.length - list.children.length;
    more.hidden = left === 0;
    more.textContent = `Show ${count(Math.min(left, LINES_AT_ONCE))} more of ${count(left)}`;
    if (from) list.children[from].querySelector("a").focus();
  };
  add();
  return element("section", { class: `side ${side}`, "aria-labelledby": `${side}-title` },
    element("h3", { id: `${side}-title` }, sign(side), " ", queries.length
      ? `${title} ${counted(queries.length, "query", "queries")}` : `${title} none of the queries`),
    list, more);
}

function affectedLine(query, score, largest) {
  const facing = element("span", { class: "facing" });
  const about = element("span", { class: "second" },
    isolated(report.queries.id[query], { class: "id" }));
  const work = queryRecord(query).then(({ display }) => {
    if (hasPicture(display)) {
      facing.append(picture(display.image, THUMBNAIL, `query ${report.queries.id[query]}`));
    } else if (typeof display.text === "string") {
      about.append(" ", isolated(display.text.slice(0, 120)));
    }
    // What cannot be unpacked is said where the query is opened.
  }).catch(() => {});
  tracked(work);
  return element("li", {}, element("a", { class: "query-row", href: address("query", query) },
    report.images === null ? null : facing,
    element("span", { class: "middle" },
      element("span", { class: "first" }, outcome(query)), about),
    scoreBar(score, largest)));
}
