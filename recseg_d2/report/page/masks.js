// Masks as COCO's compressed run lengths, and pictures with masks over them.

const FILL = 0.55;     // of an object's colour inside its mask, the rest is the image in grey
const WHITE = 0.35;    // white in an outline's colour, so that dark colours show on dark images
const BOX_WIDTH = 2;   // pixels of the canvas
const HEAT = [255, 120, 0];

const rgbOf = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// The lengths of background, object, background, ... down the columns. A length is written in
// digits of 5 bits, the lowest first; from the fourth on as its difference to the last but one.
function runLengths(counts) {
  const runs = [];
  let value = 0;
  let shift = 0;
  for (let at = 0; at < counts.length; at++) {
    const digit = counts.charCodeAt(at) - 48;
    value |= (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    if (digit & 16 && shift < 32) value |= -1 << shift;
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
    value = 0;
    shift = 0;
  }
  return runs;
}

// One byte a pixel, row by row: 1 inside.
function decodeMask(counts, [height, width]) {
  const mask = new Uint8Array(height * width);
  let at = 0;
  runLengths(counts).forEach((length, number) => {
    for (let k = at; number % 2 && k < at + length; k++) {
      mask[(k % height) * width + Math.floor(k / height)] = 1;
    }
    at += length;
  });
  return mask;
}

const pictures = new Map();

// The decoded picture of a data URI; each is decoded once.
function loadPicture(uri) {
  if (!pictures.has(uri)) {
    const picture = new Image();
    picture.src = uri;
    pictures.set(uri, picture.decode().then(() => picture));
  }
  return pictures.get(uri);
}

// Draw an image and masks over it.
//   layers: [{counts, color, filled}], later ones over earlier ones, outlines over all fills
//   look: null, or {box: [x, y, width, height] as shares, heat: data URI, color}
//   target: pixels that the longer side has at least; small images grow in whole steps, so that
//           outlines stay thin
async function paint(canvas, image, layers, look, target) {
  const ticket = (canvas.ticket = (canvas.ticket ?? 0) + 1);
  const [picture, heat] = await Promise.all(
    [image.picture, look?.heat].map((uri) => uri && loadPicture(uri)),
  );
  if (ticket !== canvas.ticket) return; // something newer is to be drawn
  const [height, width] = image.size;
  const zoom = Math.max(1, Math.ceil(target / Math.max(height, width)));
  canvas.width = width * zoom;
  canvas.height = height * zoom;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  if (heat) paintHeat(context, heat);
  if (layers.length) paintMasks(context, image.size, zoom, layers);
  if (look) paintBox(context, look);
  canvas.dataset.layers = layers.length;
}

function paintMasks(context, [height, width], zoom, layers) {
  const shown = context.getImageData(0, 0, width * zoom, height * zoom);
  const pixels = shown.data;
  const masks = layers.map((layer) => decodeMask(layer.counts, [height, width]));
  const eachPixel = (mask, visit) => {
    for (let y = 0; y < height * zoom; y++) {
      const row = Math.floor(y / zoom) * width;
      for (let x = 0; x < width * zoom; x++) {
        if (mask[row + Math.floor(x / zoom)]) visit(x, y);
      }
    }
  };
  const set = (x, y, color, share) => {
    const at = (y * width * zoom + x) * 4;
    const base = share < 1
      ? 0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2] : 0;
    for (let c = 0; c < 3; c++) pixels[at + c] = base * (1 - share) + color[c] * share;
  };
  layers.forEach((layer, k) => {
    if (layer.filled) eachPixel(masks[k], (x, y) => set(x, y, rgbOf(layer.color), FILL));
  });
  layers.forEach((layer, k) => {
    const white = layer.filled ? WHITE : 0;
    const color = rgbOf(layer.color).map((c) => c * (1 - white) + 255 * white);
    const outside = (x, y) =>
      x >= 0 && y >= 0 && x < width * zoom && y < height * zoom &&
      !masks[k][Math.floor(y / zoom) * width + Math.floor(x / zoom)];
    eachPixel(masks[k], (x, y) => {
      const edge = outside(x - 1, y) || outside(x + 1, y) || outside(x, y - 1) || outside(x, y + 1);
      if (edge) set(x, y, color, 1);
    });
  });
  context.putImageData(shown, 0, 0);
}

// The image in grey, and orange where the model's attention was.
function paintHeat(context, heat) {
  const { width, height } = context.canvas;
  const image = context.getImageData(0, 0, width, height);
  context.imageSmoothingEnabled = true;
  context.drawImage(heat, 0, 0, width, height);
  const attention = context.getImageData(0, 0, width, height).data;
  for (let at = 0; at < image.data.length; at += 4) {
    const [r, g, b] = image.data.subarray(at, at + 3);
    const share = attention[at] / 255;
    const grey = (0.299 * r + 0.587 * g + 0.114 * b) * (0.75 + 0.25 * share);
    for (let c = 0; c < 3; c++) image.data[at + c] = grey * (1 - 0.6 * share) + HEAT[c] * 0.6 * share;
  }
  context.putImageData(image, 0, 0);
}

function paintBox(context, { box: [x, y, width, height], color }) {
  const { width: right, height: bottom } = context.canvas;
  context.strokeStyle = color;
  context.lineWidth = BOX_WIDTH;
  context.strokeRect(x * right, y * bottom, width * right, height * bottom);
}
