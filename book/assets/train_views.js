/* What the page "Train it yourself" draws: the curves, the grids of pictures and the latent plane.
 * Each view is told what to show and keeps nothing but its element.
 */
(globalThis.vaePlay ??= {}).views = (function () {
  "use strict";

  const COLORS = { aevb: "#0072B2", wake_sleep: "#D55E00", stored: "#8c8c8c" }; // as in the plots
  const CLASS_COLORS = ["#CC6677", "#5B4FC9", "#C9B04A", "#117733", "#56B4E9",
    "#B0356F", "#44AA99", "#999933", "#AA4499", "#8c8c8c"];
  const DASHES = { train: "", test: "6 3" };
  const HEIGHT = 250, MARGIN = { left: 34, right: 12, top: 10, bottom: 36 };
  const FIRST = 100, LAST = 1_000_000; // samples on the axis
  const TOP = -23, BOTTOM = -36, LOWEST = -120; // nats on the axis: its usual and its longest extent
  const SETTLED = 2000; // samples; Adagrad's first steps throw the bound far below any useful axis

  const SEAM = 80; // grey between two pictures

  const minus = (text) => text.replace("-", "−");
  const nats = (value) => minus(value.toFixed(2));

  /* ---- the bound against the samples, as SVG ---- */

  class Curves {
    constructor(svg) {
      this.svg = svg;
    }

    /* lines: [{samples, values, color, split: "train" | "test", faint}]. Draws all of them afresh. */
    draw(lines) {
      const width = this.svg.clientWidth || 640;
      const settled = ({ samples, values }) => values.filter((_, i) => samples[i] > SETTLED);
      const lowest = Math.min(BOTTOM, ...lines.filter((line) => !line.faint).flatMap(settled));
      const bottom = Math.max(LOWEST, lowest < BOTTOM ? 10 * Math.floor(lowest / 10) : BOTTOM);
      const { left, right, top } = MARGIN;
      const x = (n) => left + (width - left - right) * Math.log(n / FIRST) / Math.log(LAST / FIRST);
      const y = (v) => top + (HEIGHT - top - MARGIN.bottom) * (TOP - v) / (TOP - bottom);
      this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      this.svg.innerHTML = axes(x, y, width, bottom)
        + `<clipPath id="vt-clip"><rect x="${left}" y="${top}" width="${width - left - right}" `
        + `height="${HEIGHT - top - MARGIN.bottom}"/></clipPath><g clip-path="url(#vt-clip)">`
        + lines.map((line) => path(line, x, y)).join("") + "</g>";
    }
  }

  function axes(x, y, width, bottom) {
    const at = width < 480 ? { 100: "100", 1e4: "10⁴", 1e6: "10⁶" }
      : { 100: "100", 1000: "1,000", 1e4: "10,000", 1e5: "100,000", 1e6: "1,000,000" };
    const floor = HEIGHT - MARGIN.bottom;
    const rows = [];
    const step = bottom < -70 ? 20 : bottom < BOTTOM ? 5 : 2;
    for (let v = Math.ceil(bottom / step) * step; v <= TOP; v += step) {
      rows.push(`<path class="vt-grid" d="M${MARGIN.left} ${y(v)}H${width - MARGIN.right}"/>`
        + `<text x="${MARGIN.left - 5}" y="${y(v) + 4}" text-anchor="end">${minus(String(v))}</text>`);
    }
    for (const [n, label] of Object.entries(at)) {
      const anchor = n === "1000000" ? "end" : "middle";
      rows.push(`<path class="vt-grid" d="M${x(n)} ${MARGIN.top}V${floor}"/>`
        + `<text x="${x(n)}" y="${floor + 15}" text-anchor="${anchor}">${label}</text>`);
    }
    rows.push(`<text x="${width / 2}" y="${HEIGHT - 4}" text-anchor="middle">training samples `
      + "(the bound is in nats)</text>");
    return rows.join("");
  }

  function path({ samples, values, color, split, faint }, x, y) {
    const points = samples.map((n, i) => `${x(n).toFixed(1)},${y(values[i]).toFixed(1)}`);
    const style = `stroke="${color}" stroke-dasharray="${DASHES[split]}"`
      + (faint ? ' stroke-opacity="0.45" stroke-width="1.3"' : "");
    return `<polyline fill="none" points="${points.join(" ")}" ${style}/>`;
  }

  /* ---- pictures ---- */

  /* Pictures of 8 x 8 bytes, `columns` in a row, a pixel of grey between them. */
  function drawTiles(canvas, bytes, columns) {
    const side = 8, cell = side + 1, n = bytes.length / side ** 2;
    const size = columns * cell - 1;
    canvas.width = size;
    canvas.height = Math.ceil(n / columns) * cell - 1;
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    image.data.fill(SEAM);
    for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255;
    for (let i = 0; i < bytes.length; i++) {
      const tile = Math.floor(i / side ** 2), pixel = i % side ** 2;
      const row = Math.floor(tile / columns) * cell + Math.floor(pixel / side);
      const at = 4 * (row * size + (tile % columns) * cell + (pixel % side));
      image.data[at] = image.data[at + 1] = image.data[at + 2] = bytes[i];
    }
    context.putImageData(image, 0, 0);
  }

  /* The codes (n, 2) of test images, each as the numeral of its class; circles at 1, 2, ... sd of
   * the prior. Returns the half width of the plane that is shown. */
  function drawCodes(canvas, codes, labels) {
    const scale = window.devicePixelRatio || 1;
    const size = Math.round((canvas.clientWidth || 200) * scale);
    canvas.width = canvas.height = size;
    const reach = Math.max(3, Math.min(12, Math.ceil(Math.max(...codes.map(Math.abs)))));
    const place = (v) => (size / 2) * (1 + v / reach);
    const context = canvas.getContext("2d");
    context.strokeStyle = getComputedStyle(canvas).color;
    context.globalAlpha = 0.3;
    for (let radius = 1; radius <= reach; radius++) {
      context.beginPath();
      context.arc(size / 2, size / 2, (radius * size) / (2 * reach), 0, 2 * Math.PI);
      context.stroke();
    }
    context.globalAlpha = 1;
    context.font = `600 ${Math.max(8, size / scale / 22) * scale}px sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (let i = 0; i < labels.length; i++) {
      context.fillStyle = CLASS_COLORS[labels[i]];
      context.fillText(labels[i], place(codes[2 * i]), place(-codes[2 * i + 1]));
    }
    return reach;
  }

  return { COLORS, CLASS_COLORS, FIRST, Curves, drawTiles, drawCodes, minus, nats };
})();
