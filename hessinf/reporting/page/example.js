// An example as a person sees it: image, text or row of a table, and whatever else is known of it.
const SHOWN_APART = ["image", "text", "tokens", "row", "label", "target", "flipped_from"];
const LONG_TEXT = 420;

function hasPicture(display) {
  return typeof display.image === "number" && report.images !== null;
}

function hasText(display) {
  return typeof display.text === "string" || Array.isArray(display.tokens);
}

function longText(text, lines) {
  if (text.textContent.length <= LONG_TEXT) return text;
  text.classList.add("cut");
  text.style.setProperty("--lines", lines);
  const toggle = button("Whole text", () => {
    const open = text.classList.toggle("cut") === false;
    toggle.setAttribute("aria-expanded", open);
  }, { class: "link", "aria-expanded": "false" });
  return [text, toggle];
}

function plainText(display) {
  return element("p", { class: "text", dir: "auto" },
    String(display.text ?? display.tokens.join(" ")));
}

// `beside`: {row, spread} of the query for a table, {influence} for a text, {size} for an image.
function example(display, description, beside = {}) {
  const parts = [];
  if (hasPicture(display)) parts.push(picture(display.image, beside.size ?? 96, description));
  if (hasText(display)) {
    const influence = Array.isArray(display.tokens) ? beside.influence ?? null : null;
    const text = influence === null ? plainText(display)
      : tokenText(display, influence, largestOf(influence));
    parts.push(longText(text, beside.lines ?? 7));
    if (influence !== null) parts.push(tokenTable(display, influence));
  }
  if (display.row && typeof display.row === "object") {
    parts.push(beside.row ? comparedTable(display.row, beside.row, beside.spread)
      : rowTable(display.row));
  }
  const further = Object.entries(display).filter(([key]) => !SHOWN_APART.includes(key));
  parts.push(facts(further.map(([key, value]) => [isolated(key),
    isolated(typeof value === "object" ? JSON.stringify(value) : measured(value))])));
  return element("div", { class: "example" }, parts);
}

// An example beside what is known of it; what is not a small picture takes the whole width.
function exampleHead(display, description, name, ...others) {
  const wide = display.row || hasText(display);
  const bare = !wide && !hasPicture(display);
  return element("div", { class: wide || bare ? "head wide" : "head" },
    element("section", { class: "what", "aria-label": name },
      bare ? element("p", { class: "small quiet" },
        "There is no image, text or row of it to look at.") : null,
      example(display, description, { size: 168, lines: 14 })), others);
}

function labelName() {
  return hasLabels() ? "label" : "target";
}

// A target that a reader has scaled is shown as it was, with what the model sees beside it.
function scaled(value, display) {
  const { target } = display ?? {};
  const seen = named(value);
  if (hasLabels() || typeof target !== "number" || measured(target) === seen) return null;
  return [isolated(measured(target), { class: "label" }),
    element("span", { class: "quiet small" }, ` (to the model ${seen})`)];
}

// The label that an example has, and the one that it had before it was changed on purpose.
function labelOf(place, display) {
  const both = scaled(known("train", "target", place), display);
  if (both !== null) return both;
  const before = known("train", "flipped_from", place);
  const label = trainingLabel(place);
  const whole = label.length > 20 ? label : null;
  return [isolated(label, { class: "label", title: whole }), before === null ? null
    : [" ", element("span", { class: "was", title: "This label was changed on purpose." },
      "was ", isolated(before))]];
}

function outcome(place) {
  const { target, prediction } = report.queries;
  const arrow = element("span", { class: "quiet", "aria-hidden": "true" }, " \u2192 ");
  return [spoken("target "), isolated(named(target[place]), { class: "label" }), arrow,
    spoken(" predicted "), isolated(named(prediction[place]), { class: "label" }),
    isWrong(place) ? [" ", wrongMark()] : null];
}

function wrongMark() {
  return element("span", { class: "wrong" },
    element("span", { "aria-hidden": "true" }, "\u2717 "), "wrong");
}
