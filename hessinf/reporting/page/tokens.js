// A text whose tokens carry how much of a score each contributes: shaded, and as a table.
const STRONGEST_TOKENS = 10;

// Where a token stands in the text, as far as it does: the text keeps its spaces and its case.
function pieces(text, tokens) {
  const found = [];
  const searched = text.toLowerCase();
  let end = 0;
  for (const [place, token] of tokens.entries()) {
    const start = token ? searched.indexOf(token.toLowerCase(), end) : -1;
    // Lowercasing may change how long a text is: then the tokens stand alone.
    if (start < 0 || searched.length !== text.length) return null;
    if (start > end) found.push([text.slice(end, start), null]);
    end = start + token.length;
    found.push([text.slice(start, end), place]);
  }
  if (end < text.length) found.push([text.slice(end), null]);
  return found;
}

function tokenText(display, influence, scale) {
  const tokens = display.tokens.map(String);
  const text = pieces(String(display.text ?? ""), tokens) ??
    tokens.flatMap((token, place) => [[token, place], [" ", null]]);
  return element("p", { class: "text", dir: "auto" }, text.map(([piece, place]) => {
    const value = place === null ? null : influence[place];
    const share = scale > 0 ? Math.abs(value ?? 0) / scale : 0;
    // What is next to nothing keeps the color of the paper.
    if (share < 0.05) return piece;
    return element("span", { class: `token ${value > 0 ? "helpful" : "harmful"}`,
      title: signed(value), "--share": `${Math.round(100 * share)}%` }, piece);
  }));
}

function tokenTable(display, influence) {
  const strongest = influence.map((value, place) => [String(display.tokens[place]), value])
    .filter(([, value]) => typeof value === "number")
    .sort((one, other) => Math.abs(other[1]) - Math.abs(one[1])).slice(0, STRONGEST_TOKENS);
  return element("details", { class: "token-table" },
    element("summary", {}, "Token influence in numbers"),
    element("table", {},
      element("caption", {}, strongest.length < influence.length
        ? `The ${strongest.length} strongest of ${counted(influence.length, "token")}`
        : counted(influence.length, "token")),
      tableHead(["token", "part of the score"]),
      element("tbody", {}, strongest.map(([token, value]) => element("tr", {},
        element("th", { scope: "row" }, isolated(token)), element("td", {}, signed(value)))))));
}

function tokenLegend() {
  return element("p", { class: "legend quiet" }, "Tokens are shaded by their part of the score: ",
    element("span", { class: "token helpful", "--share": "70%" }, "adds to it"), " ",
    element("span", { class: "token harmful", "--share": "70%" }, "takes from it"),
    "; the stronger, the darker. Each text has its own scale.");
}
