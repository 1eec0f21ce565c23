// What the page shows: the index, which is read at the start, and the parts that it points to.
let report = null;

// What has been unpacked is there at once: a list that is scrolled does not wait for it.
const present = { queries: new Map(), train: new Map() };

async function readIndex() {
  report = await recordsOf("index");
}

async function recordOf(kind, place, chunk) {
  const part = Math.floor(place / chunk);
  if (!present[kind].has(part)) present[kind].set(part, await recordsOf(`${kind}-${part}`));
  return present[kind].get(part)[place % chunk];
}

function queryRecord(place) {
  return recordOf("queries", place, report.query_chunk);
}

function trainingRecord(place) {
  return recordOf("train", place, report.train_chunk);
}

function queryRecordAtHand(place) {
  const records = present.queries.get(Math.floor(place / report.query_chunk));
  return records === undefined ? null : records[place % report.query_chunk];
}

// A column of the index may be missing: then nothing is known of any of its rows.
function known(table, column, place) {
  const values = report[table][column];
  return values === null || values === undefined ? null : values[place] ?? null;
}

function named(value) {
  if (value === null || value === undefined) return NOTHING;
  if (Array.isArray(value)) {
    return value.length > 6 ? `${value.slice(0, 6).map(named).join(", ")}, \u2026`
      : value.map(named).join(", ");
  }
  if (report.run.classification) return String(report.labels?.[value] ?? value);
  return measured(value);
}

// A ranking alone does not say what the model was for; labels do.
function hasLabels() {
  return report.run.classification || report.labels !== null || report.train.label !== null;
}

function trainingLabel(place) {
  return known("train", "label", place) ?? named(known("train", "target", place));
}

function isWrong(place) {
  return known("queries", "wrong", place) === 1;
}

// What a screen reader says of a training example's picture.
function trainingInWords(place) {
  return `training example ${report.train.id[place]}, label ${trainingLabel(place)}`;
}

function measurementInWords() {
  const { measurement } = report.run;
  return String(measurement ?? "loss").replaceAll("-", " ");
}
