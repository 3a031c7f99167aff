// Charts are drawn when they come into view. plotly takes a second or two to start, for which the
// page does not wait: it starts with the first of them.

function startPlotly() {
  if (window.Plotly) return;
  const source = document.getElementById("plotly-source").textContent;
  document.head.append(element("script", {}, source));
}

const charts = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter((seen) => seen.isIntersecting)) {
    charts.unobserve(target);
    startPlotly();
    const { data, layout } = page.figures[target.dataset.figure];
    Plotly.newPlot(target, data, layout, { displayModeBar: false, responsive: true });
  }
}, { rootMargin: "200px" });
document.querySelectorAll(".chart").forEach((place) => charts.observe(place));
