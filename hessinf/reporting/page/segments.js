// The data lie in the page as compressed texts; each is unpacked when it is first asked for.
const unpacked = new Map();

class Unreadable extends Error {}

function packedBytes(name) {
  const packed = document.getElementById(`segment-${name}`);
  if (packed === null) {
    throw new Unreadable(`This file is not whole: its part "${name}" is missing. ` +
      "Copy it again, or write it again with: hessinf report DIRECTORY");
  }
  const text = atob(packed.textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place += 1) bytes[place] = text.charCodeAt(place);
  return bytes;
}

async function unpack(name) {
  if (typeof DecompressionStream === "undefined") {
    throw new Unreadable("This browser cannot unpack the data in this page (it has no " +
      "DecompressionStream). Chrome and Edge 80, Safari 16.4, Firefox 113 and later can.");
  }
  const packed = packedBytes(name);
  try {
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return await new Response(stream).arrayBuffer();
  } catch (error) {
    throw new Unreadable(`This file is damaged: its part "${name}" cannot be unpacked ` +
      `(${error.message}). Copy it again, or write it again with: hessinf report DIRECTORY`);
  }
}

function once(name, read) {
  if (!unpacked.has(name)) unpacked.set(name, unpack(name).then(read));
  return unpacked.get(name);
}

function recordsOf(name) {
  return once(name, (buffer) => JSON.parse(new TextDecoder().decode(buffer)));
}

function bytesOf(name) {
  return once(name, (buffer) => buffer);
}
