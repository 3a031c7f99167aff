// Charts are drawn when they come into view.

const charts = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter((seen) => seen.isIntersecting)) {
    charts.unobserve(target);
    const { data, layout } = page.figures[target.dataset.figure];
    Plotly.newPlot(target, data, layout, { displayModeBar: false, responsive: true });
  }
}, { rootMargin: "200px" });
document.querySelectorAll(".chart").forEach((place) => charts.observe(place));
