// Elements are made here and nowhere else. What comes from data becomes text nodes and attributes,
// never HTML: no file of this page sets innerHTML.
const SVG = "http://www.w3.org/2000/svg";

// element("p", { class: "quiet", onclick: f, "--share": "12%" }, "text", other, [more], null)
function element(name, properties, ...children) {
  return filled(document.createElement(name), properties, children);
}

function drawn(name, properties, ...children) {
  return filled(document.createElementNS(SVG, name), properties, children);
}

function filled(node, properties, children) {
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("--")) node.style.setProperty(key, value);
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

// What a screen reader says, and nobody sees.
function spoken(text) {
  return element("span", { class: "hidden" }, text);
}

// A name and what it is; a fact without a value is left out.
function facts(pairs, properties) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  if (!shown.length) return null;
  return element("dl", { class: "facts", ...properties }, shown.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

// Text from data stands for itself, whichever way it is written.
function isolated(text, properties) {
  return element("bdi", properties, String(text));
}

// The head of a table: names of columns, each alone or with its class; null for one left out.
function tableHead(columns) {
  return element("thead", {}, element("tr", {}, columns.filter(Boolean).map((column) => {
    const [name, kind] = Array.isArray(column) ? column : [column, null];
    return element("th", { scope: "col", class: kind }, name);
  })));
}

// What is wide scrolls by itself, also with the keyboard.
function scrolled(name, content) {
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": name },
    content);
}

function button(text, onclick, properties) {
  return element("button", { type: "button", onclick, ...properties }, text);
}
