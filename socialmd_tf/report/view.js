// Where positions are on a canvas: turned (in three dimensions), moved and magnified by the reader.
const TURN_PER_PIXEL = 0.008, ZOOM_STEP = 1.25;
const FIRST_TURN = [-0.45, -1.1]; // radians about the vertical and the horizontal axis of the screen

class View {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => event.buttons & 1 && this.drag(event));
    canvas.addEventListener("dblclick", () => this.reset());
    canvas.addEventListener("keydown", (event) => this.press(event));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  // Show what lies around a center, in D dimensions, within a square (cube) of a given size.
  show(center, size) {
    [this.center, this.size] = [center, size];
    this.reset();
  }

  get isDeep() { return this.center.length === 3; }

  reset() {
    [this.zoom, this.moved, this.axes] = [1, [0, 0], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]];
    if (this.isDeep) this.turn(...FIRST_TURN);
    this.changed();
  }

  // Turn about the vertical axis of the screen by a, then about the horizontal one by b.
  turn(a, b) {
    const mix = (u, v, angle) => [
      u.map((value, k) => value * Math.cos(angle) + v[k] * Math.sin(angle)),
      v.map((value, k) => value * Math.cos(angle) - u[k] * Math.sin(angle)),
    ];
    let [x, y, z] = this.axes;
    [x, z] = mix(x, z, a);
    [y, z] = mix(y, z, b);
    this.axes = [x, y, z];
  }

  drag(event) {
    if (this.isDeep && !event.shiftKey) this.turn(event.movementX * TURN_PER_PIXEL, -event.movementY * TURN_PER_PIXEL);
    else this.moved = [this.moved[0] + event.movementX, this.moved[1] + event.movementY];
    this.changed();
  }

  magnify(factor) {
    this.zoom *= factor;
    this.moved = this.moved.map((value) => value * factor);
    this.changed();
  }

  // The wheel scrolls the page, unless the reader has clicked into the picture.
  wheel(event) {
    if (!event.ctrlKey && document.activeElement !== this.canvas) return;
    event.preventDefault();
    this.magnify(ZOOM_STEP ** (-event.deltaY / 100));
  }

  press(event) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const zooms = { "+": ZOOM_STEP, "-": 1 / ZOOM_STEP };
    if (event.key in arrows) {
      const [movementX, movementY] = arrows[event.key].map((value) => 15 * value);
      this.drag({ movementX, movementY, shiftKey: event.shiftKey });
    } else if (event.key in zooms) this.magnify(zooms[event.key]);
    else if (event.key === "0") this.reset();
    else return;
    event.preventDefault();
  }

  // Fit the canvas to its place on the page.
  fit() {
    const ratio = devicePixelRatio || 1, { clientWidth, clientHeight } = this.canvas;
    [this.width, this.height] = [clientWidth, clientHeight];
    const [width, height] = [clientWidth * ratio, clientHeight * ratio].map(Math.round);
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  // Pixels per unit of length; a turned cube needs more room than its side.
  get scale() { return (this.zoom * Math.min(this.width, this.height)) / (this.size * (this.isDeep ? 1.6 : 1)); }

  // Pixel of a position.
  at(position) {
    const { center, axes: [x, y], moved, scale } = this;
    let right = 0, up = 0;
    for (let k = 0; k < center.length; k++) {
      right += x[k] * (position[k] - center[k]);
      up += y[k] * (position[k] - center[k]);
    }
    return [this.width / 2 + moved[0] + scale * right, this.height / 2 + moved[1] - scale * up];
  }

  // The outline of center + L (unit sphere) on the screen: half axes in pixels and the angle of the first.
  // L is a lower triangle, row after row.
  outline(triangle) {
    let [xx, xy, yy] = [0, 0, 0];
    for (let column = 0; column < this.center.length; column++) {
      let [right, up] = [0, 0];
      for (let row = column; row < this.center.length; row++) {
        const entry = triangle[(row * (row + 1)) / 2 + column];
        right += this.axes[0][row] * entry;
        up += this.axes[1][row] * entry;
      }
      [xx, xy, yy] = [xx + right * right, xy + right * up, yy + up * up];
    }
    const middle = (xx + yy) / 2, apart = Math.hypot((xx - yy) / 2, xy);
    return {
      long: this.scale * Math.sqrt(middle + apart),
      short: this.scale * Math.sqrt(Math.max(middle - apart, 0)),
      angle: -Math.atan2(2 * xy, xx - yy) / 2,
    };
  }
}
