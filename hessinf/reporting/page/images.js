// Images are drawn from their bytes, pixel by pixel, at a whole multiple of their size.
const HEADER = 5;
const imageStarts = new Map();

async function imageBytes(number) {
  const part = Math.floor(number / report.images.chunk);
  const buffer = await bytesOf(`images-${part}`);
  if (!imageStarts.has(part)) imageStarts.set(part, startsOf(new DataView(buffer)));
  const start = imageStarts.get(part)[number % report.images.chunk];
  const view = new DataView(buffer, start);
  const [height, width, channels] = [view.getUint16(0, true), view.getUint16(2, true),
    view.getUint8(4)];
  const pixels = new Uint8Array(buffer, start + HEADER, height * width * channels);
  return { height, width, channels, pixels };
}

function startsOf(view) {
  const starts = [];
  for (let start = 0; start < view.byteLength;) {
    starts.push(start);
    const size = view.getUint16(start, true) * view.getUint16(start + 2, true);
    start += HEADER + size * view.getUint8(start + 4);
  }
  return starts;
}

function paint(canvas, { height, width, channels, pixels }) {
  canvas.width = width;
  canvas.height = height;
  const painted = new ImageData(width, height);
  for (let from = 0, to = 0; to < painted.data.length; from += channels, to += 4) {
    painted.data[to] = pixels[from];
    painted.data[to + 1] = pixels[channels === 3 ? from + 1 : from];
    painted.data[to + 2] = pixels[channels === 3 ? from + 2 : from];
    painted.data[to + 3] = 255;
  }
  canvas.getContext("2d").putImageData(painted, 0, 0);
}

// What is being drawn; a view is on the screen when nothing is.
const drawing = new Set();

// A box of `size` pixels at most; it has its size before the image is there.
function picture(number, size, description) {
  const canvas = element("canvas", { role: "img", "aria-label": description, width: 1, height: 1 });
  const box = element("span", { class: "picture", "--size": `${size / 16}rem` }, canvas);
  const work = imageBytes(number).then((image) => {
    const scale = size / Math.max(image.height, image.width);
    const whole = scale >= 1 ? Math.floor(scale) : scale;
    paint(canvas, image);
    canvas.style.setProperty("width", `${image.width * whole / 16}rem`);
    canvas.style.setProperty("height", `${image.height * whole / 16}rem`);
    canvas.classList.toggle("enlarged", whole > 1);
  }).catch((error) => {
    box.replaceChildren(element("span", { class: "quiet", role: "img",
      "aria-label": `${description}: ${error.message}`, title: error.message }, "?"));
  });
  tracked(work);
  return box;
}

// `work` never fails: what goes wrong in it, it says itself.
function tracked(work) {
  drawing.add(work);
  work.then(() => drawing.delete(work));
}

async function everythingDrawn() {
  while (drawing.size) await Promise.all(drawing);
}
