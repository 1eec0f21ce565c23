// The choice between light and dark, kept where the browser allows it.
const stored = new Map();

function readStored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return stored.get(key) ?? null;
  }
}

function store(key, value) {
  stored.set(key, value);
  try {
    localStorage.setItem(key, value);
  } catch {
    // A browser may forbid storage to files: then it is kept until the page is closed.
  }
}

function currentTheme() {
  return document.documentElement.dataset.theme ??
    (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function themeButton() {
  const name = () => `${currentTheme() === "dark" ? "Light" : "Dark"} theme`;
  const node = button("", () => {
    const theme = currentTheme() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    store("hessinf-theme", theme);
    draw();
  }, { class: "button", id: "theme" });
  const draw = () => node.replaceChildren(element("span", { "aria-hidden": "true" },
    currentTheme() === "dark" ? "\u2600" : "\u263e"), element("span", { class: "word" }, name()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  return node;
}
