/* The drawing pad of the latent explorer: a pen by mouse, finger or keyboard, and the drawing as
 * MNIST's digits are: fitted into 20 of 28 pixels and centred by its mass.
 */
(globalThis.vaePlay ??= {}).Pad = (function () {
  "use strict";

  const { shrink, centreOfMass } = globalThis.vaePlay.explorer();
  const SIDE = 28, BOX = 20, PEN = 2.4; // of MNIST's pictures, in pixels
  const FINER = 10; // the pen draws on a canvas this much finer
  const MOST_SCALE = 3; // a dot is not blown up to a digit
  const STEP = 0.05; // one press of an arrow key, of the pad's side

  function drawStrokes(context, strokes, place, width, color) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of strokes) {
      context.beginPath();
      const [x, y] = place(stroke[0]);
      context.moveTo(x - 0.01, y); // a line of no length would not be drawn
      stroke.forEach((point) => context.lineTo(...place(point)));
      context.stroke();
    }
  }

  /* Strokes, lists of points (x, y) in [0, 1], as grey levels (28 x 28) from 0 to 1. */
  function rasterise(strokes) {
    const side = SIDE * FINER;
    const context = new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true });
    const points = strokes.flat();
    const [low, high] = [Math.min, Math.max].map((f) =>
      [0, 1].map((k) => f(...points.map((point) => point[k]))));
    const extent = Math.max(high[0] - low[0], high[1] - low[1], 1e-6);
    const scale = Math.min((BOX - PEN) / SIDE / extent, MOST_SCALE);
    const middle = [0, 1].map((k) => (low[k] + high[k]) / 2);
    const pixelsAround = ([x, y]) => {
      context.fillStyle = "#000";
      context.fillRect(0, 0, side, side);
      const place = (p) => [0, 1].map((k) => side * (scale * (p[k] - middle[k]) + [x, y][k]));
      drawStrokes(context, strokes, place, PEN * FINER, "#fff");
      const { data } = context.getImageData(0, 0, side, side);
      return Float32Array.from({ length: side * side }, (_, i) => data[4 * i] / 255);
    };
    const [x, y] = centreOfMass(pixelsAround([0.5, 0.5]));
    return shrink(pixelsAround([1 - x, 1 - y]), SIDE, FINER);
  }

  class Pad {
    /* Calls `onDrawn` with the picture after each piece of a stroke, with null once it is cleared. */
    constructor(root, onDrawn) {
      Object.assign(this, { onDrawn, strokes: [], cursor: [0.5, 0.5], isDown: false });
      root.hidden = false;
      root.innerHTML = `<p>Draw a digit:</p><canvas class="le-pad" width="${SIDE * FINER}" height="${SIDE * FINER}"
        tabindex="0" role="application" aria-label="Drawing pad: draw a digit with mouse or finger.
        With the keyboard, arrow keys move the pen and the space bar lowers or lifts it."></canvas>
        <button type="button">Clear the pad</button>`;
      [, this.canvas, this.button] = root.children;
      this.button.addEventListener("click", () => this.clear());
      this.listen();
      this.draw();
    }

    listen() {
      const { canvas } = this;
      canvas.addEventListener("pointerdown", (event) => {
        canvas.setPointerCapture(event.pointerId);
        this.isDown = true;
        this.strokes.push([]);
        this.extend(this.at(event));
      });
      canvas.addEventListener("pointermove", (event) => this.isDown && event.buttons &&
        (event.getCoalescedEvents?.() ?? []).concat(event).forEach((e) => this.extend(this.at(e))));
      for (const name of ["pointerup", "pointercancel"]) {
        canvas.addEventListener(name, () => { this.isDown = false; });
      }
      canvas.addEventListener("keydown", (event) => this.onKey(event));
      for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => this.draw());
    }

    at(event) {
      const box = this.canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    }

    onKey(event) {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      const move = moves[event.key];
      if (event.key === " ") {
        this.isDown = !this.isDown;
        if (this.isDown) this.strokes.push([]);
      } else if (!move) return;
      event.preventDefault();
      const to = this.cursor.map((v, k) => Math.min(1, Math.max(0, v + STEP * (move?.[k] ?? 0))));
      if (this.isDown) this.extend(to);
      this.cursor = to;
      this.draw();
    }

    extend(point) {
      this.cursor = point;
      this.strokes.at(-1).push(point);
      this.draw();
      this.changed ||= requestAnimationFrame(() => {
        this.changed = 0;
        if (this.strokes.length) this.onDrawn(rasterise(this.strokes));
      });
    }

    clear() {
      this.strokes = [];
      this.isDown = false;
      this.draw();
      this.onDrawn(null);
    }

    /* White on black, as MNIST; where the keyboard is at work, with the pen. */
    draw() {
      const context = this.canvas.getContext("2d"), side = this.canvas.width;
      context.fillStyle = "#000";
      context.fillRect(0, 0, side, side);
      const place = (point) => point.map((v) => v * side);
      drawStrokes(context, this.strokes, place, PEN * FINER, "#fff");
      if (!this.canvas.matches(":focus-visible")) return;
      context.fillStyle = this.isDown ? "#D55E00" : "#56B4E9";
      context.beginPath();
      context.arc(...place(this.cursor), 8, 0, 2 * Math.PI);
      context.fill();
    }
  }

  return Object.assign(Pad, { SIDE, rasterise });
})();
