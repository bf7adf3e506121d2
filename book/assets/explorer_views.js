/* What the latent explorer draws: the plane with its layers, and the window around q(z|x). */
(globalThis.vaePlay ??= {}).explorerViews = (function () {
  "use strict";

  const CLASS_COLORS = ["#CC6677", "#5B4FC9", "#C9B04A", "#117733", "#56B4E9",
    "#B0356F", "#44AA99", "#999933", "#AA4499", "#8c8c8c"]; // as in vae_book/plots/style.py
  const Q_COLOR = "#0072B2", POSTERIOR_COLOR = [213, 94, 0]; // each reads on white and on black
  const MOST_DOTS = 1500; // more would hide the ground
  const SMALLEST = 6; // nats below the peak at which the window leaves the posterior out

  /* Sets pixel i; a list for each of so many pixels would take several times as long. */
  function put(data, i, r, g, b, alpha) {
    data[4 * i] = r;
    data[4 * i + 1] = g;
    data[4 * i + 2] = b;
    data[4 * i + 3] = alpha;
  }

  /* A canvas of its own with `paint(data, i)` for each pixel i. */
  function painted(width, height, paint) {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) paint(image.data, i);
    context.putImageData(image, 0, 0);
    return canvas;
  }

  /* Grey levels in [0, 1] as a picture. */
  const picture = (values, [height, width]) => painted(width, height, (data, i) => {
    const level = 255 * values[i];
    put(data, i, level, level, level, 255);
  });

  /* A picture in the colour of the text, transparent where it is black: it reads on any page. */
  const inkPicture = (bytes, [height, width], [r, g, b]) =>
    painted(width, height, (data, i) => put(data, i, r, g, b, bytes[i]));

  const rgb = (color) => color.match(/[\d.]+/g).slice(0, 3).map(Number);

  /* Draws in latent coordinates: `box` {left, bottom, size} fills a square canvas. */
  class Chart {
    constructor(canvas, box) {
      this.context = canvas.getContext("2d");
      this.side = canvas.width;
      this.box = box;
      this.unit = this.side / box.size; // pixels of one latent unit
      this.dot = this.side / (canvas.clientWidth || this.side); // pixels of one on the page
    }

    place([z1, z2]) {
      const { left, bottom, size } = this.box;
      return [(z1 - left) * this.unit, (bottom + size - z2) * this.unit];
    }

    clear() { this.context.clearRect(0, 0, this.side, this.side); }

    line(color, width, dash = []) {
      Object.assign(this.context, { strokeStyle: color, lineWidth: width * this.dot });
      this.context.setLineDash(dash.map((v) => v * this.dot));
    }

    ellipse(mean, sd, times) {
      this.context.beginPath();
      this.context.ellipse(...this.place(mean), ...sd.map((v) => times * v * this.unit), 0, 0, 2 * Math.PI);
      this.context.stroke();
    }

    /* A picture over the square of latent space that `box` is. */
    image(picture, box) {
      const [x, y] = this.place([box.left, box.bottom + box.size]);
      this.context.imageSmoothingQuality = "high";
      this.context.drawImage(picture, x, y, box.size * this.unit, box.size * this.unit);
    }

    cross(z, radius) {
      const [x, y] = this.place(z), r = radius * this.dot, { context } = this;
      context.beginPath();
      context.arc(x, y, r, 0, 2 * Math.PI);
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + dx * r, y + dy * r);
        context.lineTo(x + dx * r * 1.8, y + dy * r * 1.8);
      }
      context.stroke();
    }

    /* One or two standard deviations of q, solid and thin. */
    q({ mean, sd }) {
      this.line(Q_COLOR, 2);
      [1, 2].forEach((times) => this.ellipse(mean, sd, times));
    }

    priorCircles(ink, reach) {
      this.context.globalAlpha = 0.35;
      this.line(ink, 1);
      for (let radius = 1; radius <= reach; radius++) this.ellipse([0, 0], [1, 1], radius);
      this.context.globalAlpha = 1;
    }

    codes(latents, labels) {
      const n = latents.length / 2, every = Math.max(1, Math.floor(n / MOST_DOTS));
      const radius = (n > 1000 ? 2.2 : 3) * this.dot;
      this.context.globalAlpha = 0.85;
      for (let i = 0; i < n; i += every) {
        this.context.beginPath();
        this.context.arc(...this.place([latents[2 * i], latents[2 * i + 1]]), radius, 0, 2 * Math.PI);
        this.context.fillStyle = labels ? CLASS_COLORS[labels[i] % 10] : Q_COLOR;
        this.context.fill();
      }
      this.context.globalAlpha = 1;
    }
  }

  /* The square that holds q to three standard deviations, and the posterior's leaves but the
   * faintest; each with the posterior as a picture over a square of its own. */
  function windowAround({ q, leaves, width }) {
    const peak = leaves.reduce((most, leaf) => Math.max(most, leaf.logDensity), -Infinity);
    const seen = leaves.filter((leaf) => leaf.logDensity > peak - SMALLEST);
    const [low, high] = [[-1, Math.min], [1, Math.max]].map(([sign, most]) => [0, 1].map((k) =>
      seen.reduce((edge, { z, width }) => most(edge, z[k] + sign * width / 2),
        q.mean[k] + sign * 3 * q.sd[k])));
    const size = 1.1 * Math.max(high[0] - low[0], high[1] - low[1]);
    const [left, bottom] = [0, 1].map((k) => (low[k] + high[k] - size) / 2);
    return { left, bottom, size, posterior: posteriorPicture(leaves, width, peak, { left, bottom, size }) };
  }

  /* Leaves as a picture with one pixel for each finest leaf, so that the browser smooths it. */
  function posteriorPicture(leaves, width, peak, box) {
    const [i0, j0] = [box.left, box.bottom].map((edge) => Math.floor(edge / width));
    const n = Math.ceil(box.size / width) + 1;
    const density = new Float32Array(n * n);
    for (const { z, width: own, logDensity } of leaves) {
      const [i, j] = z.map((v) => Math.round((v - own / 2) / width));
      const span = Math.round(own / width);
      for (let a = Math.max(i - i0, 0); a < Math.min(i - i0 + span, n); a++) {
        for (let b = Math.max(j - j0, 0); b < Math.min(j - j0 + span, n); b++) {
          density[(n - 1 - b) * n + a] = Math.exp(logDensity - peak);
        }
      }
    }
    const canvas = painted(n, n, (data, i) =>
      put(data, i, ...POSTERIOR_COLOR, 255 * Math.sqrt(density[i])));
    return { canvas, left: i0 * width, bottom: j0 * width, size: n * width };
  }

  /* The window: the posterior, q over it, and a bar that gives the scale. */
  function drawWindow(canvas, view, q, point, ink) {
    const chart = new Chart(canvas, view);
    chart.clear();
    chart.image(view.posterior.canvas, view.posterior);
    chart.q(q);
    chart.line(ink, 1.5);
    chart.cross(point, 5);
    const length = 10 ** Math.floor(Math.log10(view.size / 2));
    const { context, side, dot } = chart;
    context.beginPath();
    context.moveTo(8 * dot, side - 8 * dot);
    context.lineTo(8 * dot + length * chart.unit, side - 8 * dot);
    context.stroke();
    context.fillStyle = ink;
    context.font = `${12 * dot}px sans-serif`;
    context.fillText(String(+length.toPrecision(1)), 8 * dot, side - 13 * dot);
  }

  /* The layers of the plane that stay while the point moves, on a canvas as large as `plane`. */
  function drawBase(plane, { reach, ground, isInk, off, latents, labels }, shown, ink) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = plane.width;
    const box = { left: -reach, bottom: -reach, size: 2 * reach };
    const chart = new Chart(canvas, box);
    chart.dot = plane.width / (plane.clientWidth || plane.width);
    if (shown.ground && ground) {
      const { pixels, size } = ground;
      chart.context.globalAlpha = isInk ? 0.55 : 0.8;
      chart.image(isInk ? inkPicture(pixels, size, rgb(ink)) :
        picture(Float32Array.from(pixels, (v) => v / 255), size), box);
      chart.context.globalAlpha = 1;
    }
    const n = Math.sqrt(off.length), shade = isInk ? 0.5 : 0.65;
    chart.image(painted(n, n, (data, i) => put(data, i, 128, 128, 128, shade * off[i])), box);
    chart.priorCircles(ink, reach);
    if (shown.codes) chart.codes(latents, labels);
    return canvas;
  }

  /* The plane: its layers, q and posterior of the image, the pinned point, and the previewed one. */
  function drawPlane(plane, base, { reach, z, hover, q, view }, ink) {
    const chart = new Chart(plane, { left: -reach, bottom: -reach, size: 2 * reach });
    chart.clear();
    chart.context.drawImage(base, 0, 0);
    if (view) chart.image(view.posterior.canvas, view.posterior);
    if (q) chart.q(q);
    chart.line(ink, 2);
    chart.cross(z, 8);
    if (!hover) return;
    chart.line(ink, 1.5, [3, 3]);
    chart.cross(hover, 8);
  }

  return { CLASS_COLORS, Q_COLOR, picture, windowAround, drawWindow, drawBase, drawPlane };
})();
