// The player of rollouts, on a canvas.
const MILLISECONDS_PER_FRAME = 120, REACH = 14, REACH_OF_FINGER = 24, MOST_KINDS = 6, LINE = 12, AXES = "xyz";
const DRAWN = "#e69f00", REGION = "rgba(255, 80, 64, 0.14)";

// A length of 1, 2 or 5 times a power of ten.
function roundLength(length) {
  const power = 10 ** Math.floor(Math.log10(length));
  return power * [5, 2, 1].find((factor) => factor * power <= length);
}

function overlap(label, other) {
  const isBeside = label.x + label.width < other.x || other.x + other.width < label.x;
  return !isBeside && Math.abs(label.y - other.y) < LINE;
}

async function startPlayer() {
  const script = document.getElementById("player-data");
  if (!script) return;
  const { colors, unit, time, windows } = JSON.parse(await unpack(script));
  const names = "plot window predictor frame step play speed regions samples labels info closer farther reset";
  const [canvas, windowChoice, predictorChoice, slider, step, play, speed, regions, samples, labels, info, ...views] =
    names.split(" ").map((name) => document.getElementById(`player-${name}`));
  const context = canvas.getContext("2d");
  let timer = null, pointed = null;
  const view = new View(canvas, () => view.center && draw());

  const number = (value) => String(Number(value.toPrecision(4)));
  const positionOf = (frames, index, i) => AXES.slice(0, view.center.length).split("").map((axis) => frames[axis][index][i]);
  const isThere = (position) => position.every((value) => value !== null);

  function stroke(color, width, dash = []) {
    Object.assign(context, { strokeStyle: color, lineWidth: width });
    context.setLineDash(dash);
    context.stroke();
  }

  // Lines through frames up to an index, from a start if one is given; broken where a particle leaves a periodic box.
  function drawPaths(frames, upTo, color, width, start = null) {
    context.beginPath();
    for (let i = 0; i < frames.x[0].length; i++) {
      let isOn = false;
      if (start) context.moveTo(...view.at(start(i))), (isOn = true);
      for (let k = 0; k <= upTo; k++) {
        const position = positionOf(frames, k, i);
        if (!isThere(position)) break; // a prediction that diverged
        const goesOn = isOn && !frames.breaks?.[k].includes(i);
        context[goesOn ? "lineTo" : "moveTo"](...view.at(position));
        isOn = true;
      }
    }
    stroke(color, width);
  }

  // One frame of a kind of dots; what is drawn is remembered for the reader who points at it.
  function drawDots(kind, frames, index, particles, radius, color, isOpen = false) {
    particles.forEach((particle, i) => {
      const position = positionOf(frames, index, i);
      if (!isThere(position)) return;
      const pixel = view.at(position);
      context.beginPath();
      context.arc(...pixel, radius, 0, 2 * Math.PI);
      context.fillStyle = color;
      isOpen ? stroke(color, 2) : context.fill();
      canvas.drawn.push({ kind, particle, i, position, pixel });
    });
  }

  function drawRegions(prediction, index) {
    context.beginPath();
    for (let i = 0; i < prediction.mean.x[0].length; i++) {
      const center = positionOf(prediction.mean, index, i), triangle = prediction.region.map((entry) => entry[index][i]);
      if (!isThere(center) || !isThere(triangle)) continue;
      const { long, short, angle } = view.outline(triangle), [x, y] = view.at(center);
      context.moveTo(x + long * Math.cos(angle), y + long * Math.sin(angle));
      context.ellipse(x, y, long, short, angle, 0, 2 * Math.PI);
      canvas.outlines.push({ i, long, short, angle });
    }
    context.fillStyle = REGION;
    context.fill();
    stroke(colors.predicted, 0.8);
  }

  function drawBox(edges) {
    context.beginPath();
    for (const [first, second] of edges) context.moveTo(...view.at(first)), context.lineTo(...view.at(second));
    stroke(colors.observed, 1, [2, 4]);
  }

  // Labels to the right of their dots, or to the left where the picture ends; left out where they would overlap earlier ones.
  function drawLabels(shown) {
    const kinds = new Set(shown.kinds ?? []), isShort = kinds.size > 0 && kinds.size <= MOST_KINDS;
    Object.assign(context, { fillStyle: "white", font: "11px system-ui, sans-serif", textAlign: "left" });
    for (const { kind, particle, i, pixel } of canvas.drawn) {
      if (kind !== "observed" && kind !== "true") continue;
      const text = isShort ? `${particle} ${shown.kinds[i]}` : String(particle), { width } = context.measureText(text);
      const isInside = pixel[0] + 8 + width < view.width;
      const label = { text, width, x: isInside ? pixel[0] + 8 : pixel[0] - 8 - width, y: pixel[1] - 6 };
      if (canvas.labels.some((other) => overlap(label, other))) continue;
      context.fillText(text, label.x, label.y);
      canvas.labels.push(label);
    }
  }

  // A bar of a round length, and the directions of the axes, in a strip of their own.
  function drawScale() {
    context.fillStyle = colors.background;
    context.fillRect(0, view.height, view.width, STRIP);
    const length = roundLength((0.25 * view.width) / view.scale), bottom = view.height + STRIP - 16;
    Object.assign(context, { fillStyle: "white", font: "12px system-ui, sans-serif", textAlign: "left" });
    context.beginPath();
    context.moveTo(14, bottom);
    context.lineTo(14 + length * view.scale, bottom);
    stroke("white", 2);
    context.fillText(unit === "1" ? number(length) : `${number(length)} ${unit}`, 14, bottom - 8);
    const corner = [view.width - 40, view.height + STRIP / 2];
    context.textAlign = "center";
    for (let k = 0; k < view.center.length; k++) {
      const [right, up] = [view.axes[0][k], view.axes[1][k]];
      context.beginPath();
      context.moveTo(...corner);
      context.lineTo(corner[0] + 14 * right, corner[1] - 14 * up);
      stroke("white", 1);
      context.fillText(AXES[k], corner[0] + 21 * right, corner[1] - 21 * up + 4);
    }
  }

  function draw() {
    const shown = windows[windowChoice.value], prediction = shown.predictions[predictorChoice.value];
    const index = Number(slider.value), last = shown.observed.x.length - 1, ahead = index - last - 1;
    const { particles } = shown, start = (i) => positionOf(shown.observed, last, i);
    Object.assign(canvas, { drawn: [], outlines: [], labels: [] });
    view.fit();
    context.fillStyle = colors.background;
    context.fillRect(0, 0, view.width, view.height + STRIP);
    drawBox(shown.box);
    drawPaths(shown.observed, Math.min(index, last), colors.observed, 1.4);
    if (ahead < 0) drawDots("observed", shown.observed, index, particles, 4, colors.observed);
    else {
      const drawn = samples.checked ? prediction.samples ?? [] : [];
      if (regions.checked) drawRegions(prediction, ahead);
      for (const path of drawn) drawPaths(path, ahead, DRAWN, 0.8, start);
      drawPaths(prediction.mean, ahead, colors.predicted, 3.2, start);
      drawPaths(shown.truth, ahead, colors.true, 1.2, start); // thin and on top: neither hides the other
      for (const path of drawn) drawDots("drawn", path, ahead, particles, 2, DRAWN);
      drawDots("predicted", prediction.mean, ahead, particles, 3.5, colors.predicted);
      drawDots("true", shown.truth, ahead, particles, 6, colors.true, true);
    }
    if (labels.checked) drawLabels(shown);
    drawScale();
    say(shown, index);
    read(shown);
  }

  function say(shown, index) {
    const place = shown.steps[index];
    const text = place > 0 ? `predicted step ${place} of ${shown.steps.at(-1)}` : `observed frame ${place}`;
    step.textContent = time ? `${text}, t = ${number(place * time.step)}${time.unit ? ` ${time.unit}` : ""}` : text;
    slider.setAttribute("aria-valuetext", step.textContent);
  }

  function point(event) {
    const { left, top } = canvas.getBoundingClientRect();
    const reach = event.pointerType === "touch" ? REACH_OF_FINGER : REACH;
    pointed = { x: event.clientX - left, y: event.clientY - top, reach };
    read(windows[windowChoice.value]);
  }

  // Say what is nearest to where the reader has pointed or tapped.
  function read({ kinds }) {
    if (!pointed) return;
    const apart = ({ pixel }) => Math.hypot(pixel[0] - pointed.x, pixel[1] - pointed.y);
    const near = canvas.drawn.filter((dot) => apart(dot) <= pointed.reach).sort((a, b) => apart(a) - apart(b))[0];
    const name = near && `particle ${near.particle}${kinds ? ` (${kinds[near.i]})` : ""}`;
    info.textContent = near ? `${name}, ${near.kind}: ${near.position.map(number).join(", ")}` : info.dataset.empty;
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ Play";
  }

  function run() {
    timer = setInterval(() => {
      slider.stepUp();
      draw();
      if (slider.value === slider.max) stop();
    }, MILLISECONDS_PER_FRAME / speed.value);
  }

  function toggle() {
    if (timer !== null) return stop();
    if (slider.value === slider.max) slider.value = 0;
    play.textContent = "❚❚ Pause";
    draw();
    run();
  }

  function pressSpace(event) {
    if (event.key !== " ") return;
    event.preventDefault(); // which would scroll the page
    toggle();
  }

  function changeSpeed() {
    if (timer === null) return;
    clearInterval(timer);
    run();
  }

  function choosePredictor() {
    const { samples: drawn } = windows[windowChoice.value].predictions[predictorChoice.value];
    samples.disabled = !drawn;
    samples.parentElement.title = drawn ? "" : "only exported models draw paths";
    draw();
  }

  function chooseWindow() {
    const shown = windows[windowChoice.value], before = Math.max(predictorChoice.selectedIndex, 0);
    predictorChoice.replaceChildren(...shown.predictions.map(({ name }, index) => new Option(name, index)));
    predictorChoice.selectedIndex = before;
    slider.max = shown.steps.length - 1; // which also limits the slider's value
    view.show(shown.center, shown.size);
    choosePredictor();
  }

  windowChoice.replaceChildren(...windows.map(({ label }, index) => new Option(label, index)));
  windowChoice.addEventListener("change", chooseWindow);
  predictorChoice.addEventListener("change", choosePredictor);
  slider.addEventListener("input", draw);
  for (const box of [regions, samples, labels]) box.addEventListener("change", draw);
  play.addEventListener("click", toggle);
  speed.addEventListener("change", changeSpeed);
  [() => view.magnify(ZOOM_STEP), () => view.magnify(1 / ZOOM_STEP), () => view.reset()].forEach((act, k) =>
    views[k].addEventListener("click", act));
  for (const kind of ["pointermove", "pointerdown"]) canvas.addEventListener(kind, point);
  for (const element of [canvas, slider]) element.addEventListener("keydown", pressSpace);
  slider.max = slider.value = Number.MAX_SAFE_INTEGER; // start at the last frame, where all paths are visible
  chooseWindow();
  new ResizeObserver(draw).observe(canvas);
}
