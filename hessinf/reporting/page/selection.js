// Which queries are listed, and in which order.
const ORDERS = {
  file: ["file order", null],
  loss: ["largest loss", (place) => -orderable(known("queries", "loss", place))],
  "smallest-loss": ["smallest loss", (place) => orderable(known("queries", "loss", place), 1)],
  sure: ["surest",
    (place) => -orderable(known("queries", "probability", place))],
  unsure: ["least sure",
    (place) => orderable(known("queries", "probability", place), 1)],
};

// What is not known comes last.
function orderable(value, sign = -1) {
  return typeof value === "number" ? value : sign * Infinity;
}

function offeredOrders() {
  const sureness = report.queries.probability !== null && report.queries.probability !== undefined;
  return Object.entries(ORDERS).filter(([key]) => sureness || !key.endsWith("sure"));
}

const searched = [];

function searchedText(place) {
  if (searched[place] === undefined) {
    const { id, target, prediction, text } = report.queries;
    searched[place] = (`${id[place]}\n${named(target[place])}\n${named(prediction[place])}\n` +
      `${text?.[place] ?? ""}`).toLowerCase();
  }
  return searched[place];
}

function limit(text, otherwise) {
  const value = text === null || text.trim() === "" ? NaN : Number(text);
  return Number.isNaN(value) ? otherwise : value;
}

function selectedQueries(parameters) {
  const words = (parameters.get("search") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const { target, prediction, loss, id } = report.queries;
  const low = limit(parameters.get("low"), -Infinity);
  const high = limit(parameters.get("high"), Infinity);
  const bounded = low !== -Infinity || high !== Infinity;
  const [label, predicted] = [parameters.get("label"), parameters.get("predicted")];
  const wrong = parameters.get("wrong") === "1";
  const places = [];
  for (let place = 0; place < id.length; place += 1) {
    if (wrong && !isWrong(place)) continue;
    if (label !== null && String(target[place]) !== label) continue;
    if (predicted !== null && String(prediction[place]) !== predicted) continue;
    // A loss that is not known lies in no range.
    if (bounded && !(loss[place] !== null && loss[place] >= low && loss[place] <= high)) continue;
    if (words.length && !words.every((word) => searchedText(place).includes(word))) continue;
    places.push(place);
  }
  const order = ORDERS[parameters.get("sort")]?.[1];
  if (order) {
    const keys = new Map(places.map((place) => [place, order(place)]));
    places.sort((one, other) => keys.get(one) - keys.get(other) || one - other);
  }
  return places;
}
