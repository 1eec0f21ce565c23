// A score as a bar. Helpful bars are solid and their numbers have a plus, harmful ones are hatched.
function scoreBar(score, largest) {
  return barWith(Math.abs(score), largest, signed(score), score >= 0 ? "helpful" : "harmful");
}

// A bar with what is written beside it; null for nothing.
function barWith(length, largest, written, kind = "") {
  const share = largest > 0 && typeof length === "number" ? Math.max(length, 0) / largest : 0;
  return element("span", { class: "score" },
    element("span", { class: "bar", "aria-hidden": "true" },
      element("span", { class: `fill ${kind}`, "--share": `${(100 * share).toFixed(1)}%` })),
    written === null ? null : element("span", { class: "number" }, written));
}

function largestOf(scores) {
  return scores.reduce((most, score) => Math.max(most, Math.abs(score ?? 0)), 0);
}

const LEVELS = { high: 3, medium: 2, low: 1 };

// How sure: three dots for the eye, the words for all.
function sureness(sure) {
  if (!sure?.text) return null;
  const dots = LEVELS[sure.level];
  return element("p", { class: "sure" }, dots === undefined ? null
    : [element("span", { class: "dots", "aria-hidden": "true" },
      "\u25cf".repeat(dots), element("span", { class: "off" }, "\u25cf".repeat(3 - dots))),
    spoken(`${sure.level}: `)], sure.text);
}

const TRUST_WORDS = { good: "Good: ", note: "Note: ", warning: "Warning: " };

function trustList(statements) {
  if (!statements?.length) return null;
  return element("ul", { class: "trust" }, statements.map(([level, sentence]) =>
    element("li", { class: level in TRUST_WORDS ? level : "note" },
      element("span", { class: "mark" }, TRUST_WORDS[level] ?? TRUST_WORDS.note), sentence)));
}
