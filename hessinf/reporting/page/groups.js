// Groups of training examples: what all members of each do to a query together.
function groupsOf(shown) {
  if (!shown) return null;
  const { groups, left_out: leftOut } = shown;
  const largest = largestOf(groups.map(([, , score]) => score));
  const changes = groups.some(([, , , change]) => change !== null);
  const heads = ["group", "examples", "score", changes ? "loss change if removed" : null];
  return element("section", { class: "groups", "aria-labelledby": "groups-title" },
    element("h3", { id: "groups-title" }, "Groups of training examples"),
    element("p", { class: "small quiet" }, "The scores of all members of a group, added up.",
      leftOut ? ` ${counted(leftOut, "group")} between the most helpful and the most harmful ` +
        `${leftOut === 1 ? "is" : "are"} left out.` : null),
    scrolled("Groups",
      element("table", {}, tableHead(heads),
        element("tbody", {}, groups.map(([name, size, score, change]) => element("tr", {},
          element("th", { scope: "row" }, isolated(name)),
          element("td", {}, count(size)),
          element("td", {}, scoreBar(score, largest)),
          changes ? element("td", {}, signed(change)) : null))))));
}
