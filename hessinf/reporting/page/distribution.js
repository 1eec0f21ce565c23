// All scores of a query as a histogram: magnitudes in powers of the square root of two, harmful to
// the left, helpful to the right, and where the lists of this page begin.
const BINS_A_SIDE = 22;
const PLOT = { width: 440, height: 168, left: 40, right: 24, top: 16, bottom: 34 };
// What a number at the axis takes, half of it at each side.
const TICK_ROOM = 28;

function histogramBins(histogram) {
  const entries = ["positive", "negative"].flatMap((sign) =>
    Object.entries(histogram[sign] ?? {}).map(([bin, amount]) => [sign, Number(bin), amount]));
  if (!entries.length) return null;
  const last = Math.max(...entries.map(([, bin]) => bin));
  const first = Math.max(Math.min(...entries.map(([, bin]) => bin)), last - BINS_A_SIDE + 1);
  const sides = { positive: new Map(), negative: new Map() };
  let middle = histogram.zero ?? 0;
  for (const [sign, bin, amount] of entries) {
    if (bin < first) middle += amount;
    else sides[sign].set(bin, amount);
  }
  return { first, last, sides, middle };
}

// Where a score lies from the middle, in bins: half a bin for all that is smaller than the first.
function binsAcross(score, first) {
  const magnitude = 2 * Math.log2(Math.abs(score)) - first;
  return Math.sign(score) * (0.5 + Math.max(magnitude, 0));
}

function roundCount(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((factor) => factor * power).find((value) => value <= most);
}

function ticksOf(first, last) {
  const powers = [];
  const from = Math.ceil(first / 2 * Math.log10(2) - 1e-9);
  const to = Math.floor((last + 1) / 2 * Math.log10(2) + 1e-9);
  const step = Math.max(1, Math.ceil((to - from + 1) / 3));
  for (let power = to; power >= from; power -= step) powers.push(10 ** power);
  return powers.length ? powers : [2 ** (last / 2)];
}

function tickText(score) {
  const size = Math.abs(score);
  const plain = size >= 1e-4 && size < 1e6 ? String(Number(size.toPrecision(3)))
    : size.toExponential(0).replace("e+", "e");
  return `${score > 0 ? "+" : MINUS}${size >= 1000 && size < 1e6 ? count(size) : plain}`;
}

// The frame of the plot: which score lies where, and how high a count is.
function plotFrame(bins) {
  const { width, height, left, right, top, bottom } = PLOT;
  const unit = (width - left - right) / (2 * (bins.last - bins.first + 1.5));
  const center = (left + width - right) / 2;
  const floor = height - bottom;
  // Where most scores are next to nothing, their column is cut: the others show how they spread.
  const most = Math.max(...bins.sides.positive.values(), ...bins.sides.negative.values());
  return {
    ...PLOT, unit, center, floor, most,
    across: (score) => center + unit * binsAcross(score, bins.first),
    down: (amount) => floor - (floor - top) * Math.min(amount / most, 1),
  };
}

function plotText(x, y, text, properties) {
  return drawn("text", { class: "quiet", x, y, "text-anchor": "middle", ...properties }, text);
}

function plotLine(kind, x1, x2, y1, y2) {
  return drawn("line", { class: kind, x1, x2, y1, y2 });
}

function plotAxes(frame, bins) {
  const { left, right, width, height, floor, center, across, down } = frame;
  const line = roundCount(frame.most);
  const ticks = ticksOf(bins.first, bins.last).flatMap((value) => [-value, value])
    .filter((score) => Math.abs(across(score) - center) >= TICK_ROOM);
  return [
    plotLine("grid", left, width - right, down(line), down(line)),
    plotText(left - 6, down(line), count(line), { dy: ".35em", "text-anchor": "end" }),
    plotLine("axis", left, width - right, floor, floor),
    ticks.map((score) => [plotLine("axis", across(score), across(score), floor, floor + 4),
      plotText(across(score), floor + 16, tickText(score))]),
    plotText(center, floor + 16, "0"),
    plotText(center, height - 3, "score, logarithmic to both sides"),
  ];
}

function plotColumns({ unit, center, floor, most, top, down }, { first, sides, middle }) {
  const column = (kind, x, amount) => drawn("rect", { class: `column ${kind}`, x: x + 0.5,
    y: Math.min(down(amount), floor - 1), width: Math.max(unit - 1, 1),
    height: Math.max(floor - down(amount), 1) });
  const cut = middle > most ? [plotLine("break", center - unit, center + unit, top + 12, top + 7),
    plotText(center, top - 2, `${count(middle)} near 0`)] : null;
  return [
    middle ? column("middle", center - unit / 2, middle) : null,
    cut,
    [...sides.positive].map(([bin, amount]) =>
      column("helpful", center + unit * (0.5 + bin - first), amount)),
    [...sides.negative].map(([bin, amount]) =>
      column("harmful", center - unit * (1.5 + bin - first), amount)),
  ];
}

// Where the lists of this page begin: the last score of each, if it is on its side of zero.
function listEdges(helpful, harmful) {
  return [[helpful, 1], [harmful, -1]].map(([list, side]) => [list.at(-1)?.[1], side])
    .filter(([edge, side]) => typeof edge === "number" && edge * side > 0)
    .map(([edge]) => edge);
}

function distributionInWords({ count: all, histogram }, edges) {
  const total = (side) => Object.values(histogram[side] ?? {})
    .reduce((sum, amount) => sum + amount, 0);
  const zero = histogram.zero ? `, ${count(histogram.zero)} have a score of zero` : "";
  const beyond = edges.map(signed).join(" and ");
  return `${count(total("positive"))} of ${counted(all, "training example")} help, ` +
    `${count(total("negative"))} harm${zero}.` +
    (beyond ? ` The lists below hold what lies beyond ${beyond} (dashed).` : "");
}

function distribution(scores, helpful, harmful) {
  const bins = scores?.histogram ? histogramBins(scores.histogram) : null;
  if (bins === null) return null;
  const frame = plotFrame(bins);
  const edges = listEdges(helpful, harmful);
  const words = distributionInWords(scores, edges);
  return element("figure", { class: "distribution" },
    element("figcaption", {}, "All scores of this query"),
    drawn("svg", { viewBox: `0 0 ${frame.width} ${frame.height}`, role: "img",
      "aria-label": `Histogram of all scores. ${words}` }, hatching(), plotAxes(frame, bins),
    plotColumns(frame, bins), edges.map((edge) =>
      plotLine("cut", frame.across(edge), frame.across(edge), frame.top, frame.floor))),
    element("p", { class: "small quiet" }, words));
}

function hatching() {
  return drawn("defs", {}, drawn("pattern", { id: "hatching", width: 4, height: 4,
    patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
  drawn("rect", { class: "under", width: 4, height: 4 }),
  drawn("rect", { class: "over", width: 2, height: 4 })));
}
