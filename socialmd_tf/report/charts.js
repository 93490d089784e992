// The charts: plotly.js is unpacked once the first screen stands, and each chart is drawn when it comes near.
const NEAR = "800px";
// Buttons are listed one by one, because the default set has one that sends the chart's data to a server.
const CHART_CONFIG = {
  responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
  displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
  modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
};

async function loadLibrary() {
  const library = document.createElement("script");
  library.textContent = await unpack(document.getElementById("library"));
  document.head.append(library); // its hash is in the content security policy
}

function drawChart(element) {
  const { data, layout } = JSON.parse(element.nextElementSibling.textContent);
  element.replaceChildren();
  Plotly.newPlot(element, data, layout, CHART_CONFIG);
}

async function startCharts() {
  const waiting = new Set(document.querySelectorAll(".chart, .picture"));
  if (waiting.size === 0) return;
  await loadLibrary();
  const draw = (element) => {
    observer.unobserve(element);
    if (waiting.delete(element)) drawChart(element);
  };
  const observer = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: NEAR },
  );
  waiting.forEach((element) => observer.observe(element));
  addEventListener("beforeprint", () => [...waiting].forEach(draw));
}
