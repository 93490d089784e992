"use strict";
// The report's charts and its player of rollouts. Needs Plotly, and the page's data in script elements of type
// application/json. Makes no network request.
(() => {
  // Buttons are listed one by one, because the default set has one that sends the chart's data to a server.
  const CONFIG = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  };
  const MILLISECONDS_PER_FRAME = 120;
  const CIRCLE = Array.from({ length: 33 }, (_, k) => [Math.cos((k * Math.PI) / 16), Math.sin((k * Math.PI) / 16)]);
  const read = (element) => JSON.parse(element.textContent);

  for (const script of document.querySelectorAll("script.figure")) {
    const { data, layout } = read(script);
    Plotly.newPlot(script.previousElementSibling, data, layout, CONFIG);
  }

  const script = document.getElementById("player-data");
  if (!script) return;
  const { axes, colors, windows } = read(script);
  const [plot, windowChoice, predictorChoice, slider, step, play, ellipses] = [
    "plot", "window", "predictor", "frame", "step", "play", "ellipses",
  ].map((name) => document.getElementById(`player-${name}`));
  let timer = null;

  // One path per particle through all frames, separated by null, and broken where it leaves a periodic box.
  function pathsOf(frames) {
    const x = [], y = [];
    for (let i = 0; frames.length > 1 && i < frames[0].x.length; i++) {
      frames.forEach((frame, k) => {
        if (k > 0 && frame.breaks?.includes(i)) x.push(null), y.push(null);
        x.push(frame.x[i]), y.push(frame.y[i]);
      });
      x.push(null), y.push(null);
    }
    return { x, y };
  }

  function outlinesOf(mean, [l11, l21, l22]) {
    const x = [], y = [];
    mean.x.forEach((center, i) => {
      if (center === null || l11[i] === null) return; // a prediction that diverged
      for (const [c, s] of CIRCLE) x.push(center + l11[i] * c), y.push(mean.y[i] + l21[i] * c + l22[i] * s);
      x.push(null), y.push(null);
    });
    return { x, y };
  }

  function edgesOf(edges) {
    const x = [null], y = [null];
    for (const [first, second] of edges) x.push(first[0], second[0], null), y.push(first[1], second[1], null);
    return { x, y };
  }

  const frameOf = (frames, index) => ({ x: frames.x[index], y: frames.y[index], breaks: frames.breaks?.[index] });
  const framesUpTo = (frames, index) => frames.x.slice(0, index + 1).map((_, k) => frameOf(frames, k));

  // The traces of a frame; the index counts all frames, observed ones first.
  function traces(shown, prediction, index) {
    const last = shown.observed.x.length - 1;
    const ahead = index - last - 1; // index among the predicted frames, negative while observing
    const nothing = { x: [null], y: [null] };
    const start = frameOf(shown.observed, last);
    const dots = (at, name, marker) => ({
      ...at, name, marker, mode: "markers", text: shown.particles.map((i) => `particle ${i}`),
      hovertemplate: "%{text}: %{x:.4~g}, %{y:.4~g}",
    });
    const path = (at, name, color) => ({
      ...at, name, mode: "lines", line: { color, width: 1.6 }, hoverinfo: "skip", showlegend: false,
    });
    const soFar = (frames) => (ahead < 0 ? nothing : pathsOf([start, ...framesUpTo(frames, ahead)]));
    const outline = ahead < 0 || !ellipses.checked
      ? nothing
      : outlinesOf(frameOf(prediction.mean, ahead), prediction.ellipse.map((entry) => entry[ahead]));
    const box = path(edgesOf(shown.box), "box", colors.observed);
    return [
      { ...box, line: { color: colors.observed, width: 1, dash: "dot" } },
      path(pathsOf(framesUpTo(shown.observed, Math.min(index, last))), "observed path", colors.observed),
      path(soFar(shown.truth), "true path", colors.true),
      path(soFar(prediction.mean), "predicted path", colors.predicted),
      { ...path(outline, "90 % region", colors.predicted), fill: "toself", fillcolor: "rgba(255,80,64,0.14)",
        line: { color: colors.predicted, width: 0.8 }, showlegend: true },
      dots(ahead < 0 ? frameOf(shown.observed, index) : nothing, "observed", { color: colors.observed, size: 8 }),
      dots(ahead < 0 ? nothing : frameOf(shown.truth, ahead), "true",
        { color: colors.true, size: 11, symbol: "circle-open", line: { width: 2 } }),
      dots(ahead < 0 ? nothing : frameOf(prediction.mean, ahead), "predicted", { color: colors.predicted, size: 6 }),
    ];
  }

  function layout(shown) {
    const axis = { showgrid: false, zeroline: false, constrain: "domain", ticks: "outside", automargin: true };
    return {
      xaxis: { ...axis, title: { text: axes[0] }, range: [...shown.range[0]] },
      yaxis: { ...axis, title: { text: axes[1] }, range: [...shown.range[1]], scaleanchor: "x" },
      plot_bgcolor: colors.background, hovermode: "closest", uirevision: windowChoice.value,
      font: { family: "system-ui, sans-serif", size: 13 }, margin: { l: 60, r: 15, t: 10, b: 50 },
      legend: { orientation: "h", y: 1.01, yanchor: "bottom", x: 0, bgcolor: colors.background, borderwidth: 4,
        font: { color: "white" } },
    };
  }

  function draw() {
    const shown = windows[windowChoice.value];
    const prediction = shown.predictions[predictorChoice.value];
    const index = Number(slider.value), number = shown.steps[index];
    const text = number > 0 ? `predicted step ${number} of ${shown.steps.at(-1)}` : `observed frame ${number}`;
    step.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    Plotly.react(plot, traces(shown, prediction, index), layout(shown), CONFIG);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ Play";
  }

  function toggle() {
    if (timer !== null) return stop();
    if (slider.value === slider.max) slider.value = 0;
    play.textContent = "❚❚ Pause";
    draw();
    timer = setInterval(() => {
      slider.stepUp();
      draw();
      if (slider.value === slider.max) stop();
    }, MILLISECONDS_PER_FRAME);
  }

  function chooseWindow() {
    const shown = windows[windowChoice.value];
    const before = Math.max(predictorChoice.selectedIndex, 0);
    predictorChoice.replaceChildren(...shown.predictions.map(({ name }, index) => new Option(name, index)));
    predictorChoice.selectedIndex = before;
    slider.max = shown.steps.length - 1; // which also limits the slider's value
    draw();
  }

  windowChoice.replaceChildren(...windows.map(({ label }, index) => new Option(label, index)));
  windowChoice.addEventListener("change", chooseWindow);
  predictorChoice.addEventListener("change", draw);
  slider.addEventListener("input", draw);
  ellipses.addEventListener("change", draw);
  play.addEventListener("click", toggle);
  slider.max = slider.value = Number.MAX_SAFE_INTEGER; // start at the last frame, where all paths are visible
  chooseWindow();
})();
