// Numbers as people read them, by the rules of hessinf.display.numbers, with a true minus sign.
const MINUS = "\u2212";
const NOTHING = "\u2013";

function number(value) {
  if (value === null || value === undefined) return NOTHING;
  if (typeof value !== "number") return String(value);
  if (value === 0) return "0";
  const digits = Math.abs(value) >= 1 ? 4 : 3;
  const power = Number(value.toExponential(digits - 1).split("e")[1]);
  if (power < -3 || power > 5) {
    const [mantissa, exponent] = value.toExponential(2).split("e");
    return `${mantissa}e${Number(exponent)}`.replace(/^-/, MINUS);
  }
  const places = Math.max((power >= 0 ? 4 : digits) - 1 - power, 0);
  return grouped(value, places).replace("-", MINUS);
}

function signed(value) {
  return typeof value === "number" && value > 0 ? `+${number(value)}` : number(value);
}

function count(value) {
  return grouped(value, 0);
}

function counted(value, one, several = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : several}`;
}

function grouped(value, places) {
  const [whole, rest] = value.toFixed(places).split(".");
  const apart = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return rest === undefined ? apart : `${apart}.${rest}`;
}

// All and none are written so only where they are exactly that.
function percent(share) {
  if (typeof share !== "number") return NOTHING;
  if (share === 0 || share === 1) return `${100 * share}\u00a0%`;
  if (share > 0.9995) return ">\u00a099.9\u00a0%";
  if (share < 0.0005) return "<\u00a00.1\u00a0%";
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

// Numbers in a table of measured values: whole ones stay whole.
function measured(value) {
  if (typeof value !== "number") return value === null ? NOTHING : String(value);
  return Number.isInteger(value) && Math.abs(value) < 1e9 ? count(value).replace("-", MINUS)
    : number(value);
}
