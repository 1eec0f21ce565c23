// A training example in a list of a query: what it is, how much it counts, how sure that is.
function trainingLink(place, properties) {
  return element("a", { href: address("example", place), ...properties },
    isolated(report.train.id[place], { class: "id" }));
}

async function trainingCard(entry, rank, query, largest, spread) {
  const [place, score, change, refined, sure, influence] = entry;
  const record = await trainingRecord(place);
  const { display } = record;
  const pictured = hasPicture(display);
  const description = trainingInWords(place);
  const beside = { row: query.display.row, spread, influence, size: 88, lines: 6 };
  return element("li", { class: pictured ? "card pictured" : "card" },
    element("div", { class: "card-head" },
      element("span", { class: "rank" }, spoken("rank "), `${rank}.`),
      element("span", { class: "labels" }, element("span", { class: "quiet small" }, labelName()),
        " ", labelOf(place, display)), trainingLink(place)),
    element("div", { class: "card-score" }, scoreBar(score, largest)),
    example(display, description, beside),
    element("div", { class: "card-facts" },
      facts([["loss", number(known("train", "loss", place))],
        ["loss change if removed", change === null ? null : signed(change)],
        ["loss change, refined", refined === null ? null : signed(refined)]]),
      sureness(sure)));
}
