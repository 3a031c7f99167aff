// Cards of images: the worst and the best, and those that the filters let through.

const CARD_TARGET = 160;  // pixels of a card's picture

// Images shown as the worst, and as the best: a row of cards on a wide screen.
const EXTREMES = Math.max(2, 5 - page.runs.length);

const chosen = (id) => document.getElementById(id).value;
const checkedKinds = () =>
  [...document.querySelectorAll("#kinds input:checked")].map((box) => Number(box.value));

// Cards are painted when they come into view.
const painter = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((seen) => seen.isIntersecting)) {
    painter.unobserve(entry.target);
    paintCard(entry.target);
  }
}, { rootMargin: "200px" });

function paintCard(card) {
  const image = page.images[card.dataset.number];
  for (const canvas of card.querySelectorAll("canvas")) {
    const run = image.runs[canvas.dataset.run];
    const layers = run
      ? foundLayers(run, run.masks.length)
      : trueLayers(image, image.runs.find(Boolean), Infinity);
    paint(canvas, image, layers, null, CARD_TARGET);
  }
}

// How bad a run's result on an image is by the metric that is chosen; what is undefined comes last.
function badness(image) {
  const run = image.runs[chosen("rank-run")];
  const metric = page.metrics.find((one) => one.key === chosen("metric"));
  const value = run && metric ? run.numbers[metric.key] : null;
  if (value === null || value === undefined) return -Infinity;
  return { high: -value, low: value, zero: Math.abs(value) }[metric.best];
}

function figureOf(image, number, run) {
  const part = image.runs[number];
  const key = page.metrics.length ? chosen("metric") : null;
  const text = part ? plural(part.masks.length, "object") : "no prediction";
  const caption = element("figcaption", {}, text);
  if (part && key) caption.append(element("br"), `${key} ${format(part.numbers[key])}`);
  if (page.runs.length > 1) {
    const dot = element("i", { class: "dot", style: `background:${run.color}` });
    caption.prepend(dot, element("b", { title: run.label }, run.label), element("br"));
  }
  const shown = part
    ? element("canvas", { "data-run": number })
    : element("div", { class: "nothing" });
  return element("figure", {}, shown, caption);
}

function cardOf(number) {
  const image = page.images[number];
  const figures = page.runs.map((run, k) => figureOf(image, k, run));
  if (image.truth) {
    const text = `truth: ${plural(image.truth.masks.length, "object")}`;
    figures.unshift(element("figure", {}, element("canvas"), element("figcaption", {}, text)));
  }
  const row = element("div", { class: "pictures" }, ...figures);
  const card = element(
    "button",
    { type: "button", class: "card", "data-number": number, title: image.name },
    row,
    element("span", { class: "name" }, image.name),
  );
  card.addEventListener("click", () => openViewer(number, shownNumbers));
  painter.observe(card);
  return card;
}

function passes(image) {
  if (!image.name.toLowerCase().includes(chosen("name").toLowerCase())) return false;
  const kinds = checkedKinds();
  const size = chosen("size");
  if (!kinds.length && size === "") return true;
  const asked = chosen("filter-run");
  return image.runs.some((run, k) =>
    run && (asked === "" || Number(asked) === k) &&
    filterable(image, run).some(({ kind, area }) =>
      (!kinds.length || kinds.includes(kind)) && (size === "" || sizeClass(area) === Number(size))));
}

let shownNumbers = [];

const SORTS = {
  worst: (a, b) => badness(page.images[b]) - badness(page.images[a]),
  best: (a, b) => rising(badness(page.images[a]), badness(page.images[b])),
  objects: (a, b) => objectCount(b) - objectCount(a),
  name: (a, b) => page.images[a].name.localeCompare(page.images[b].name, "en", { numeric: true }),
};
const rising = (a, b) => (Number.isFinite(a) ? a : Infinity) - (Number.isFinite(b) ? b : Infinity);
const objectCount = (number) => page.images[number].runs[chosen("rank-run")]?.masks.length ?? -1;

// Numbers of images in an order of SORTS; ties, and what has no score, stay in the runs' order.
function sorted(numbers, order) {
  return [...numbers].sort((a, b) => SORTS[order](a, b) || a - b);
}

function showGallery() {
  const all = page.images.map((_, number) => number);
  shownNumbers = sorted(all.filter((number) => passes(page.images[number])), chosen("order"));
  document.getElementById("gallery").replaceChildren(...shownNumbers.map(cardOf));
  document.getElementById("count").textContent =
    `${shownNumbers.length} of ${plural(page.images.length, "image")}`;
}

function showExtremes() {
  const all = page.images.map((_, number) => number)
    .filter((number) => Number.isFinite(badness(page.images[number])));
  for (const order of ["worst", "best"]) {
    const numbers = sorted(all, order).slice(0, EXTREMES);
    document.getElementById(order).replaceChildren(...numbers.map(cardOf));
  }
}

function showAll() {
  if (page.metrics.length) showExtremes();
  showGallery();
}

document.getElementById("name").addEventListener("input", showGallery);
document.getElementById("filters").addEventListener("change", showGallery);
document.getElementById("ranking").addEventListener("change", showAll);
document.getElementById("color-by").addEventListener("change", () => {
  if (viewer.open) showStep(Number(slider.value));
});
showAll();
