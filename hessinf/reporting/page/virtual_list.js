// A list of any length: only the rows that are seen are there. All rows have the same height, so
// that nothing moves when they come; the one that has the focus always stays.
const ROWS_AROUND = 8;

class VirtualList {
  // `makeRow(item)` returns an <a>; `row` is its height in rem.
  constructor(label, row, makeRow) {
    this.row = row;
    this.makeRow = makeRow;
    this.items = [];
    this.active = 0;
    this.scrolling = false;
    this.rows = new Map();
    this.list = element("ol", { "aria-label": label });
    this.node = element("div", { class: "virtual" }, this.list);
    this.node.addEventListener("scroll", () => this.later(), { passive: true });
    this.node.addEventListener("keydown", (event) => this.pressed(event));
    new ResizeObserver(() => this.later()).observe(this.node);
  }

  get height() {
    return this.row * parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  show(items, active) {
    this.items = items;
    this.active = Math.max(active, 0);
    this.rows.clear();
    this.list.replaceChildren();
    this.list.style.setProperty("height", `${items.length * this.row}rem`);
    this.draw();
  }

  later() {
    this.planned ??= requestAnimationFrame(() => {
      this.planned = undefined;
      this.scrolling = true;
      this.draw();
      this.scrolling = false;
    });
  }

  draw() {
    const { height } = this;
    const first = Math.floor(this.node.scrollTop / height) - ROWS_AROUND;
    const last = Math.ceil((this.node.scrollTop + this.node.clientHeight) / height) + ROWS_AROUND;
    const wanted = new Set([this.active]);
    for (let place = Math.max(first, 0); place <= last; place += 1) wanted.add(place);
    for (const [place, row] of this.rows) {
      if (wanted.has(place)) continue;
      row.remove();
      this.rows.delete(place);
    }
    for (const place of [...wanted].sort((one, other) => one - other)) {
      if (place < this.items.length && !this.rows.has(place)) this.add(place);
    }
  }

  add(place) {
    const link = this.makeRow(this.items[place]);
    link.tabIndex = place === this.active ? 0 : -1;
    const row = element("li", { "aria-setsize": this.items.length, "aria-posinset": place + 1,
      "--top": `${place * this.row}rem` }, link);
    // The rows stand in the document as they stand on the screen.
    const following = [...this.rows].filter(([other]) => other > place)
      .reduce((least, one) => (least === null || one[0] < least[0] ? one : least), null);
    this.list.insertBefore(row, following?.[1] ?? null);
    this.rows.set(place, row);
  }

  linkAt(place) {
    return this.rows.get(place)?.querySelector("a") ?? null;
  }

  activate(place, focus = false) {
    if (!this.items.length) return;
    const before = this.linkAt(this.active);
    if (before) before.tabIndex = -1;
    this.active = Math.max(0, Math.min(place, this.items.length - 1));
    this.reveal();
    const link = this.linkAt(this.active);
    if (link) link.tabIndex = 0;
    if (focus) link?.focus({ preventScroll: true });
  }

  reveal() {
    const { height, node } = this;
    const top = this.active * height;
    // What is near is moved to by as little as possible, what is far away stands in the middle.
    if (Math.abs(top - node.scrollTop) > 2 * node.clientHeight) {
      node.scrollTop = top - node.clientHeight / 2;
    } else if (top < node.scrollTop) node.scrollTop = top;
    else if (top + height > node.scrollTop + node.clientHeight) {
      node.scrollTop = top + height - node.clientHeight;
    }
    this.draw();
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(Math.floor(this.node.clientHeight / this.height) - 1, 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity,
      End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.activate(this.active + step, true);
  }
}
