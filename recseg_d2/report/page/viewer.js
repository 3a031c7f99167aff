// The viewer: an image's objects in the order in which they were found, by keys and a slider.

const VIEWER_TARGET = 360; // pixels of a picture

const viewer = document.getElementById("viewer");
const slider = document.getElementById("step");
const KEYS = {
  ArrowRight: () => moveStep(1),
  ArrowLeft: () => moveStep(-1),
  ArrowDown: () => moveImage(1),
  ArrowUp: () => moveImage(-1),
  Home: () => showStep(0),
  End: () => showStep(lastStep()),
};

let numbers = []; // of the images that the viewer goes through
let current = 0;  // the number of the image that is shown

const lastStep = () => Number(slider.max);

function openViewer(number, among) {
  numbers = among.includes(number) ? among : page.images.map((_, k) => k);
  viewer.showModal();
  showImage(number);
}

// Show an image with all that was found, or with nothing yet if that is how the last one stood.
function showImage(number) {
  const atStart = slider.value === "0" && lastStep() > 0;
  current = number;
  const image = page.images[number];
  slider.max = Math.max(0, ...image.runs.map((run) => run?.masks.length ?? 0));
  slider.disabled = lastStep() === 0;
  document.getElementById("viewer-name").textContent = image.name;
  const place = numbers.indexOf(number) + 1;
  document.getElementById("viewer-place").textContent = `${place} of ${numbers.length}`;
  document.getElementById("rows").replaceChildren(
    ...image.runs.map((run, k) => rowOf(image, run, page.runs[k])).filter(Boolean),
  );
  showStep(atStart ? 0 : lastStep());
}

function rowOf(image, run, { label, color }) {
  if (!run) return null;
  const panels = [["mask", "this object"], ["so-far", "all so far"]];
  if (run.windows) panels.unshift(["look", "where it looked"]);
  if (image.truth) panels.push(["truth", `truth: ${plural(image.truth.masks.length, "object")}`]);
  const figures = panels.map(([name, text]) =>
    element("figure", {}, element("canvas", { class: name }), element("figcaption", {}, text)));
  const title = element("h3", {}, element("i", { class: "dot", style: `background:${color}` }), label);
  const row = element("section", {}, title, element("p", { class: "told" }),
    element("div", { class: "panels" }, ...figures));
  row.run = run;
  return row;
}

function showStep(step) {
  slider.value = step;
  const last = lastStep();
  document.getElementById("step-text").textContent = last ? `${step} of ${last}` : "nothing found";
  const image = page.images[current];
  for (const row of document.querySelectorAll("#rows > section")) showRow(row, image, step);
}

function showRow(row, image, step) {
  const run = row.run;
  const count = Math.min(step, run.masks.length);
  const here = step > 0 && step <= run.masks.length; // a shorter sequence has ended before
  const own = here ? foundLayers(run, step, step - 1) : [];
  const draw = (name, layers, look = null) => {
    const canvas = row.querySelector(`canvas.${name}`);
    if (canvas) paint(canvas, image, layers, look, VIEWER_TARGET);
  };
  draw("so-far", foundLayers(run, count));
  draw("mask", own);
  draw("look", [], here && run.windows ? lookOf(run, step - 1, own[0].color) : null);
  draw("truth", trueLayers(image, run, count));
  row.querySelector(".told").textContent = told(run, step);
}

function lookOf(run, k, color) {
  const [x, y, width, height, heat] = run.windows[k];
  return { box: [x, y, width, height], heat: run.heats[heat], color };
}

// A step in words.
function told(run, step) {
  const total = run.masks.length;
  if (!total) return "nothing found";
  if (step === 0) return `nothing yet, ${plural(total, "object")} to come`;
  if (step > total) return `ended after ${plural(total, "object")}`;
  const k = step - 1;
  const parts = [run.steps[k] < 0 ? `object ${step}` : `step ${run.steps[k] + 1}`];
  if (page.classes.length > 1) parts.push(page.classes[run.classes[k]] ?? `class ${run.classes[k]}`);
  parts.push(`score ${run.scores[k].toFixed(2)}`, `${run.areas[k]} pixels`);
  if (run.kinds) {
    const { name, meaning } = page.kinds[run.kinds[k]];
    parts.push(`IoU ${run.iou[k].toFixed(2)}`, `${name} (${meaning})`);
  }
  return parts.join(" · ");
}

// After the last object the sequence begins again.
function moveStep(by) {
  const states = lastStep() + 1;
  showStep((Number(slider.value) + by + states) % states);
}

function moveImage(by) {
  const place = numbers.indexOf(current) + by;
  if (numbers[place] !== undefined) showImage(numbers[place]);
}

viewer.addEventListener("keydown", (event) => {
  if (!KEYS[event.key] || event.target.tagName === "SELECT") return;
  event.preventDefault(); // the slider would move as well
  KEYS[event.key]();
});
slider.addEventListener("input", () => showStep(Number(slider.value)));
for (const button of viewer.querySelectorAll("[data-key]")) {
  button.addEventListener("click", () => KEYS[button.dataset.key]());
}
document.getElementById("close").addEventListener("click", () => viewer.close());
