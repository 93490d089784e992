// Where positions are on a canvas: turned (in three dimensions), moved and magnified by the reader.
const TURN_PER_PIXEL = 0.008, ZOOM_STEP = 1.25;
const MARGIN = 12, STRIP = 56; // pixels: around the picture, and below it for the scale
const FIRST_TURN = [-0.45, -1.1]; // radians about the vertical and the horizontal axis of the screen

class View {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.pointers = new Map(); // of the mouse or of fingers that are down: where they are
    canvas.addEventListener("pointerdown", (event) => event.button === 0 && this.hold(event));
    canvas.addEventListener("pointermove", (event) => this.pointers.has(event.pointerId) && this.follow(event));
    canvas.addEventListener("lostpointercapture", (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("touchmove", (event) => event.touches.length > 1 && event.preventDefault(), { passive: false });
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

  hold(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
  }

  // One pointer turns or moves the picture; two fingers move it, and magnify it about their middle.
  follow(event) {
    const before = this.fingers(), [x, y] = this.pointers.get(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (!before) return this.drag(event.offsetX - x, event.offsetY - y, event.shiftKey);
    const { middle, apart } = this.fingers();
    this.moved = this.moved.map((value, k) => value + middle[k] - before.middle[k]);
    this.magnify(apart / before.apart, middle);
  }

  // The middle of two fingers, from the centre of the picture, and the distance between them; nothing for one.
  fingers() {
    if (this.pointers.size < 2) return null;
    const [[x, y], [otherX, otherY]] = this.pointers.values();
    const middle = [(x + otherX - this.width) / 2, (y + otherY - this.height) / 2];
    return { middle, apart: Math.max(1, Math.hypot(x - otherX, y - otherY)) };
  }

  drag(right, down, isShifted) {
    if (this.isDeep && !isShifted) this.turn(right * TURN_PER_PIXEL, -down * TURN_PER_PIXEL);
    else this.moved = [this.moved[0] + right, this.moved[1] + down];
    this.changed();
  }

  // Magnify about a pixel, counted from the centre of the picture.
  magnify(factor, about = [0, 0]) {
    this.zoom *= factor;
    this.moved = this.moved.map((value, k) => about[k] + (value - about[k]) * factor);
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
      const [right, down] = arrows[event.key].map((value) => 15 * value);
      this.drag(right, down, event.shiftKey);
    } else if (event.key in zooms) this.magnify(zooms[event.key]);
    else if (event.key === "0") this.reset();
    else return;
    event.preventDefault();
  }

  // Fit the canvas to its place on the page.
  fit() {
    const ratio = devicePixelRatio || 1, { clientWidth, clientHeight } = this.canvas;
    [this.width, this.height] = [clientWidth, Math.max(clientHeight - STRIP, 1)];
    const [width, height] = [clientWidth * ratio, clientHeight * ratio].map(Math.round);
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  // Pixels per unit of length; a turned cube needs more room than its side.
  get scale() {
    const room = Math.min(this.width, this.height) - 2 * MARGIN;
    return (this.zoom * room) / (this.size * (this.isDeep ? 1.6 : 1));
  }

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
