// What the page knows of an image's objects, and the layers that are drawn of them.

const page = JSON.parse(document.getElementById("page-data").textContent);
const MISSED = page.kinds.findIndex((kind) => kind.name === "missed");

const colorsByKind = () => document.getElementById("color-by").value === "kind";
const colorOf = (number) => page.colors[number % page.colors.length];

// The first `count` objects of a run, or with `first` those from there on.
function foundLayers(run, count, first = 0) {
  return run.masks.slice(first, count).map((counts, k) => {
    const byKind = run.kinds && colorsByKind();
    const color = byKind ? page.kinds[run.kinds[first + k]].color : colorOf(first + k);
    return { counts, color, filled: true };
  });
}

// The true objects, in the colours of those that overlap them; filled where one of the first
// `count` objects of the run does.
function trueLayers(image, run, count) {
  if (!image.truth) return [];
  let missed = run ? run.masks.length : 0;
  return image.truth.masks.map((counts, n) => {
    const partner = run?.partners ? run.partners[n] : -1;
    const byKind = run?.found && colorsByKind();
    const kind = run?.found?.[n] ? 0 : MISSED;
    const color = byKind ? page.kinds[kind].color : colorOf(partner < 0 ? missed++ : partner);
    return { counts, color, filled: !run || (partner >= 0 && partner < count) };
  });
}

// Kind and area of everything in an image that a filter can ask for: what a run found, and missed.
function filterable(image, run) {
  const found = run.areas.map((area, k) => ({ kind: run.kinds?.[k], area }));
  const missed = (image.truth?.areas ?? [])
    .filter((_, n) => run.found && !run.found[n])
    .map((area) => ({ kind: MISSED, area }));
  return [...found, ...missed];
}

const sizeClass = (area) => page.sizeLimits.filter((limit) => area > limit).length;

function format(value) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// An element with attributes and children; texts are texts, never HTML.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
