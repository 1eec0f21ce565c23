// What the keys do, and how the numbers are read.
const KEYS = [
  ["/", "search"],
  ["j, k or \u2192, \u2190", "next and previous query"],
  ["\u2193, \u2191", "move in the list, when it has the focus"],
  ["Enter", "open what has the focus"],
  ["Escape", "back to the list"],
  ["?", "this help"],
];

const READING = [
  ["Score", "How much training more on an example would improve the model on the query. Above " +
    "zero it helps, below zero it harms. Scores of one query can be compared with each other; " +
    "bars have the same scale on both sides."],
  ["Loss change if removed", "What the query's loss is expected to change by when the example is " +
    "left out of training: a first-order estimate, not a retraining."],
  ["How sure", "How far a score stands out from all scores of the query. A score in the crowd " +
    "may change places with the next."],
  ["Difference", "In tables: how far a value lies from the query's, to the right where it is " +
    "higher. The bar is full at two standard deviations of the column, over the query and its examples."],
  ["Self-influence", "What training more on an example would change about the example itself. " +
    "Mislabelled, rare and hard examples have much of it."],
  ["Was \u2026", "Known only where labels were changed on purpose, to see whether they are found."],
];

function shortcutsOn() {
  return readStored("hessinf-shortcuts") !== "off";
}

function helpDialog() {
  const dialog = element("dialog", { id: "help", "aria-labelledby": "help-title" },
    element("div", { class: "dialog-head" }, element("h2", { id: "help-title" }, "Help"),
      button("Close", () => dialog.close(), { class: "button" })),
    element("h3", {}, "Keys"),
    element("dl", { class: "keys" }, KEYS.map(([key, what]) => element("div", {},
      element("dt", {}, key), element("dd", {}, what)))),
    element("label", { class: "check" }, element("input", { type: "checkbox",
      checked: shortcutsOn(), onchange: (event) =>
        store("hessinf-shortcuts", event.target.checked ? "on" : "off") }),
    element("span", {}, "Use keys of a single letter")),
    element("h3", {}, "How to read it"),
    element("dl", { class: "reading" }, READING.map(([name, text]) => element("div", {},
      element("dt", {}, name), element("dd", {}, text)))));
  return dialog;
}
