/* The latent explorer: drag over the latent plane, and the decoder draws what lies there.
 *
 * <div class="latent-explorer" data-model="mnist"></div> becomes a plane with the encoded test set
 * and a picture. The models are in explorer_<name>.js, written by `vae-core explorer`. No library,
 * no request: works from file:// and http:// alike.
 */
(function () {
  "use strict";

  const PLANE = 320; // CSS pixels of the plane before it is fitted to the page
  const STEP = 0.1; // one press of an arrow key, in latent units; ten times that with Shift
  const CLASS_COLORS = ["#CC6677", "#5B4FC9", "#C9B04A", "#117733", "#56B4E9",
    "#B0356F", "#44AA99", "#999933", "#AA4499", "#8c8c8c"]; // as in vae_core/plots/style.py

  /* ---- numbers ---- */

  function bytes(base64) {
    const text = atob(base64);
    const out = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
    return out;
  }

  let halfTable = null; // every float16 as a float32, filled once

  function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }

  function floats(base64) {
    if (!halfTable) {
      halfTable = new Float32Array(65536);
      for (let i = 0; i < 65536; i++) halfTable[i] = half(i);
    }
    const source = new Uint16Array(bytes(base64).buffer);
    const out = new Float32Array(source.length);
    for (let i = 0; i < source.length; i++) out[i] = halfTable[source[i]];
    return out;
  }

  /* One model, unpacked: decode(z) gives the pixel means, the same array each time. */
  class Decoder {
    constructor(packed) {
      this.layers = packed.layers.map((layer) => ({
        weight: floats(layer.weight), // row by row, (out, in)
        bias: floats(layer.bias),
        out: new Float32Array(layer.out),
      }));
      this.sigmoid = packed.output === "sigmoid";
    }

    decode(z) {
      let input = Float32Array.from(z);
      this.layers.forEach(({ weight, bias, out }, depth) => {
        const isLast = depth === this.layers.length - 1;
        const n = input.length;
        for (let row = 0, at = 0; row < out.length; row++) {
          let sum = bias[row];
          for (let column = 0; column < n; column++) sum += weight[at++] * input[column];
          if (!isLast) sum = Math.tanh(sum);
          else if (this.sigmoid) sum = 1 / (1 + Math.exp(-sum));
          out[row] = sum;
        }
        input = out;
      });
      return input;
    }
  }

  /* The class of most of the encoded test images nearest to z, and how many of k agree. */
  function nearestClass(latents, labels, z, k = 15) {
    const distance = (i) => (latents[2 * i] - z[0]) ** 2 + (latents[2 * i + 1] - z[1]) ** 2;
    const near = [];
    for (let i = 0; i < labels.length; i++) {
      const d = distance(i);
      if (near.length < k || d < near[near.length - 1].d) {
        near.push({ d, label: labels[i] });
        near.sort((a, b) => a.d - b.d);
        if (near.length > k) near.pop();
      }
    }
    const votes = new Map();
    near.forEach(({ label }) => votes.set(label, (votes.get(label) || 0) + 1));
    const [label, count] = [...votes].sort((a, b) => b[1] - a[1])[0];
    return { label, count, k: near.length };
  }

  /* ---- page ---- */

  function element(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  const signed = (value) => (value < 0 ? "−" : "") + Math.abs(value).toFixed(2);

  class Explorer {
    constructor(root, packed) {
      this.packed = packed;
      this.decoder = new Decoder(packed);
      this.latents = floats(packed.latents);
      this.labels = packed.labels && bytes(packed.labels);
      this.reach = packed.reach;
      this.z = [0, 0];
      this.build(root);
      this.listen();
      this.drawPoints();
      this.draw();
      this.say();
    }

    build(root) {
      const [height, width] = this.packed.shape;
      const name = this.packed.title;
      const id = `latent-explorer-${root.dataset.model}`;
      this.plane = element("canvas", {
        class: "le-plane", tabindex: "0", role: "application", id: `${id}-plane`,
        "aria-label": `Latent plane of the ${name} model. Arrow keys move the point, with Shift ` +
          "in larger steps; Home goes to the centre.",
        "aria-describedby": `${id}-text`,
      });
      this.points = document.createElement("canvas");
      this.picture = element("canvas", {
        class: "le-picture", width, height, role: "img",
        "aria-label": `What the decoder of the ${name} model draws at the point`,
      });
      this.image = this.picture.getContext("2d").createImageData(width, height);
      this.text = element("p", { class: "le-text", id: `${id}-text`, "aria-live": "polite" });
      this.examples = element("div", { class: "le-examples", role: "group",
        "aria-label": "Go to a test image" });
      this.addExamples(width, height);
      const side = element("div", { class: "le-side" }, this.picture, this.text, this.examples);
      root.replaceChildren(element("div", { class: "le-row" }, this.plane, side));
    }

    /* Buttons with test images; one that is pressed moves the point to the image's code. */
    addExamples(width, height) {
      const pixels = bytes(this.packed.examples);
      this.packed.exampleRows.slice(0, 10).forEach((row, i) => {
        const canvas = element("canvas", { width, height, "aria-hidden": "true" });
        const context = canvas.getContext("2d");
        const image = context.createImageData(width, height);
        for (let p = 0; p < width * height; p++) {
          const level = (255 * pixels[i * width * height + p]) / this.packed.levels;
          image.data.set([level, level, level, 255], 4 * p);
        }
        context.putImageData(image, 0, 0);
        const what = this.labels ? `a ${this.labels[row]}` : i + 1;
        const button = element("button", { type: "button",
          "aria-label": `Test image: ${what}` }, canvas);
        button.addEventListener("click", () =>
          this.moveTo([this.latents[2 * row], this.latents[2 * row + 1]]));
        this.examples.append(button);
      });
    }

    listen() {
      this.plane.addEventListener("pointerdown", (event) => {
        this.plane.setPointerCapture(event.pointerId);
        this.plane.focus({ preventScroll: true });
        this.moveToPointer(event);
        event.preventDefault();
      });
      this.plane.addEventListener("pointermove", (event) => {
        if (event.pointerType === "mouse" ? true : event.pressure > 0 || event.buttons) {
          this.moveToPointer(event);
        }
      });
      this.plane.addEventListener("keydown", (event) => this.onKey(event));
      const restyle = () => { this.drawPoints(); this.draw(); };
      new MutationObserver(restyle).observe(document.documentElement,
        { attributes: true, attributeFilter: ["data-theme", "data-mode", "class"] });
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
      new ResizeObserver(restyle).observe(this.plane);
    }

    moveToPointer(event) {
      const box = this.plane.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width;
      const y = (event.clientY - box.top) / box.height;
      this.moveTo([(2 * x - 1) * this.reach, (1 - 2 * y) * this.reach]);
    }

    onKey(event) {
      const step = event.shiftKey ? 10 * STEP : STEP;
      const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step],
        ArrowDown: [0, -step] };
      if (event.key === "Home") this.moveTo([0, 0]);
      else if (moves[event.key]) this.moveTo(this.z.map((v, i) => v + moves[event.key][i]));
      else return;
      event.preventDefault();
    }

    /* Puts the point at z, inside the plane; drawn with the next frame. */
    moveTo(z) {
      this.z = z.map((value) => Math.min(this.reach, Math.max(-this.reach, value)));
      if (this.frame) return;
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.draw();
      });
      clearTimeout(this.saying); // a screen reader hears of the point once it rests
      this.saying = setTimeout(() => this.say(), 250);
    }

    draw() {
      const means = this.decoder.decode(this.z);
      const data = this.image.data;
      for (let i = 0; i < means.length; i++) {
        data[4 * i] = data[4 * i + 1] = data[4 * i + 2] = 255 * means[i];
        data[4 * i + 3] = 255;
      }
      this.picture.getContext("2d").putImageData(this.image, 0, 0);
      this.drawPlane();
    }

    /* Pixels of the plane's canvas at latent coordinates. */
    place(z1, z2) {
      const half = this.points.width / 2;
      return [half * (1 + z1 / this.reach), half * (1 - z2 / this.reach)];
    }

    /* The encoded test set and the circles of the prior, once for each size and theme. */
    drawPoints() {
      const scale = window.devicePixelRatio || 1;
      const size = Math.round((this.plane.clientWidth || PLANE) * scale);
      this.points.width = this.points.height = this.plane.width = this.plane.height = size;
      const context = this.points.getContext("2d");
      this.ink = getComputedStyle(this.plane).color;
      context.strokeStyle = this.ink;
      context.globalAlpha = 0.25;
      for (let radius = 1; radius <= this.reach; radius++) {
        context.beginPath();
        context.arc(...this.place(0, 0), (radius * size) / (2 * this.reach), 0, 2 * Math.PI);
        context.stroke();
      }
      context.globalAlpha = 0.8;
      const dot = (this.latents.length > 2000 ? 1.3 : 3) * scale;
      for (let i = 0; i < this.latents.length / 2; i++) {
        const [x, y] = this.place(this.latents[2 * i], this.latents[2 * i + 1]);
        context.fillStyle = this.labels ? CLASS_COLORS[this.labels[i] % 10] : "#0072B2";
        context.fillRect(x - dot / 2, y - dot / 2, dot, dot);
      }
    }

    drawPlane() {
      const context = this.plane.getContext("2d");
      const size = this.plane.width;
      const [x, y] = this.place(...this.z);
      const radius = size / 40;
      context.clearRect(0, 0, size, size);
      context.drawImage(this.points, 0, 0);
      context.strokeStyle = this.ink;
      context.lineWidth = Math.max(1, size / 200);
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + dx * radius, y + dy * radius);
        context.lineTo(x + dx * radius * 1.8, y + dy * radius * 1.8);
      }
      context.stroke();
    }

    say() {
      let text = `z = (${signed(this.z[0])}, ${signed(this.z[1])})`;
      if (this.labels) {
        const { label, count, k } = nearestClass(this.latents, this.labels, this.z);
        text += `: of the ${k} nearest test images, ${count} show a ${label}`;
      }
      this.text.textContent = `${text}.`;
    }
  }

  function start() {
    const models = window.latentExplorerModels || {};
    document.querySelectorAll(".latent-explorer").forEach((root) => {
      const packed = models[root.dataset.model];
      if (packed && !root.explorer) root.explorer = new Explorer(root, packed);
    });
    performance.mark("latent-explorer-ready");
  }

  if (typeof module !== "undefined") module.exports = { Decoder, floats, bytes, nearestClass };
  if (typeof document === "undefined") return;
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
