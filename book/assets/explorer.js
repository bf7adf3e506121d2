/* The latent explorer: point at the latent plane and the decoder draws what lies there; choose or
 * draw an image and see where the encoder puts it, beside the exact posterior.
 *
 * <div class="latent-explorer" data-model="mnist"></div> becomes the instrument. The models are in
 * explorer_<name>.js; with explorer_<name>_encoder.js on the page it encodes, too. Both are written
 * by `vae-core explorer`. No library, no request: works from file:// and http:// alike.
 *
 * Every instrument of the book tells in data-first-frame how many milliseconds passed from the start
 * of its script to its first frame: drawn, taken up by the browser, and a task later.
 */
(function () {
  "use strict";

  const STARTED = performance.now();
  const { explorer, explorerViews: views, explorerWorkerSource, Pad } = globalThis.vaePlay;
  const { Model, floats, bytes } = explorer();
  const STEP = 0.1; // one press of an arrow key, in latent units; ten times that with Shift
  const TILES = 18; // of the ground, in each row
  const N_EXAMPLES = 10;
  const OFF = 128; // of 255: from there on a point is said to be off the data

  const MARKUP = `
    <div class="le-row">
      <div class="le-map">
        <canvas class="le-plane" tabindex="0" role="application"></canvas>
        <p class="le-legend"></p>
        <p class="le-layers"><label><input type="checkbox" name="ground" autocomplete="off" checked> decoded pictures</label>
          <label><input type="checkbox" name="codes" autocomplete="off" checked> codes of test images</label></p>
      </div>
      <div class="le-side">
        <div class="le-pictures">
          <figure><canvas class="le-original" role="img"></canvas><figcaption>image</figcaption></figure>
          <figure><canvas class="le-picture" role="img"></canvas>
            <figcaption class="le-what"></figcaption></figure>
        </div>
        <p class="le-text" aria-live="polite"></p>
        <div class="le-examples" role="group" aria-label="Choose a test image"></div>
      </div>
      <div class="le-encoding">
        <figure><canvas class="le-window" role="img"
          aria-label="q(z|x) over the exact posterior, once it is computed"></canvas><figcaption><span class="le-q">q(z|x)</span>
          <span class="le-posterior">exact posterior</span></figcaption></figure>
        <dl class="le-numbers"></dl>
        <p class="le-told" role="status"></p>
        <div class="le-drawing" hidden></div>
      </div>
    </div>`;

  const signed = (value) => value.toFixed(2).replace("-", "−");
  const point = (z) => `(${z.map(signed).join(", ")})`;

  /* The class of most of the encoded test images nearest to z, and how many of k agree. */
  function nearestClass(latents, labels, z, k = 15) {
    const near = Array.from(labels, (label, i) =>
      ({ label, d: (latents[2 * i] - z[0]) ** 2 + (latents[2 * i + 1] - z[1]) ** 2 }))
      .sort((a, b) => a.d - b.d).slice(0, k);
    const votes = new Map();
    near.forEach(({ label }) => votes.set(label, (votes.get(label) || 0) + 1));
    const [label, count] = [...votes].sort((a, b) => b[1] - a[1])[0];
    return { label, count, k: near.length };
  }

  class Explorer {
    constructor(root, packed, more) {
      Object.assign(this, { root, packed, reach: packed.reach, hover: null, id: 0 });
      this.model = new Model(packed);
      this.latents = floats(packed.latents);
      this.labels = packed.labels && bytes(packed.labels);
      this.off = bytes(packed.off);
      this.layers = { reach: this.reach, latents: this.latents, labels: this.labels, off: this.off,
        isInk: packed.likelihood === "bernoulli", ground: null };
      this.build(more);
      this.listen();
      this.choose(0);
      this.restyle();
    }

    afterFirstFrame(more) {
      this.startWorker(more);
      if (!more) return;
      this.model.addEncoder(more);
      this.encode(this.x);
    }

    part(name) { return this.root.querySelector(`.le-${name}`); }

    build(more) {
      const { title, shape: [height, width] } = this.packed;
      this.root.innerHTML = MARKUP;
      this.root.classList.add("le-ready");
      this.plane = this.part("plane");
      this.plane.setAttribute("aria-label", `Latent plane of the ${title} model. Arrow keys move the ` +
        "point, with Shift in larger steps; Home goes to the centre, End to the image's code.");
      for (const name of ["original", "picture"]) Object.assign(this.part(name), { width, height });
      this.part("original").setAttribute("aria-label", "The image that is encoded");
      this.part("picture").setAttribute("aria-label", `What the decoder of the ${title} model draws`);
      this.addExamples();
      this.addLegend();
      if (!more) this.part("encoding").remove();
      else if (width === Pad.SIDE && height === Pad.SIDE) this.pad = new Pad(this.part("drawing"), (x) => this.onDrawn(x));
    }

    addLegend() {
      const swatch = (color, text) => `<span style="--le-color:${color}">${text}</span>`;
      const classes = this.labels ? [...new Set(this.labels)].sort((a, b) => a - b) : [];
      this.part("legend").innerHTML = (classes.map((label) =>
        swatch(views.CLASS_COLORS[label % 10], label)).join("") || swatch(views.Q_COLOR, "test image")) +
        '<span class="le-off">off the data</span>';
    }

    /* Buttons with test images; one that is pressed is encoded. */
    addExamples() {
      const { examples, exampleRows, levels, shape } = this.packed;
      const size = shape[0] * shape[1], all = bytes(examples);
      this.examples = exampleRows.slice(0, N_EXAMPLES).map((row, i) => {
        const x = Float32Array.from(all.subarray(i * size, (i + 1) * size), (v) => v / levels);
        const button = document.createElement("button");
        button.type = "button";
        button.setAttribute("aria-label", `Test image: ${this.labels ? `a ${this.labels[row]}` : i + 1}`);
        button.append(views.picture(x, shape));
        button.addEventListener("click", () => this.choose(i));
        this.part("examples").append(button);
        return { x, button, code: [this.latents[2 * row], this.latents[2 * row + 1]] };
      });
    }

    startWorker(more) {
      const url = URL.createObjectURL(new Blob([explorerWorkerSource()], { type: "text/javascript" }));
      this.worker = new Worker(url);
      URL.revokeObjectURL(url);
      this.worker.onmessage = ({ data }) => this[`on_${data.kind}`](data);
      this.worker.postMessage({ kind: "model", packed: this.packed, more, columns: TILES });
    }

    /* ---- what the worker tells ---- */

    on_ground(ground) {
      this.layers.ground = ground;
      this.restyle();
    }

    on_progress({ share }) {
      if (share < 1) this.part("told").textContent = `Measuring the plane: ${Math.round(100 * share)}%`;
    }

    on_posterior(answer) {
      if (answer.id !== this.id) return; // of an image that has gone
      this.answer = answer;
      this.view = views.windowAround(answer);
      this.tellEncoding();
      this.draw();
    }

    /* ---- choosing images and points ---- */

    choose(i) {
      this.examples.forEach(({ button }, k) => button.setAttribute("aria-pressed", k === i));
      this.encode(this.examples[i].x, this.examples[i].code);
    }

    onDrawn(x) {
      if (!x) return this.choose(0);
      this.examples.forEach(({ button }) => button.setAttribute("aria-pressed", false));
      this.encode(x);
    }

    /* Puts the point on the code of an image and asks for its posterior; without an encoder and a
     * known code, it stays. */
    encode(x, code = this.code) {
      this.x = x;
      this.q = this.model.encoder ? this.model.encode(x) : null;
      this.code = this.q ? this.q.mean : code;
      if (this.answer) this.part("encoding").classList.add("le-stale"); // until this one is measured
      this.view = this.answer = null;
      this.id += 1;
      if (this.q) this.worker.postMessage({ kind: "image", id: this.id, x });
      this.part("original").getContext("2d").drawImage(views.picture(x, this.packed.shape), 0, 0);
      this.moveTo(this.code);
    }

    /* Pins the point at z, inside the plane; drawn with the next frame. */
    moveTo(z) {
      this.z = z.map((value) => Math.min(this.reach, Math.max(-this.reach, value)));
      this.preview(null);
      clearTimeout(this.saying); // a screen reader hears of the point once it rests
      this.saying = setTimeout(() => this.say(), 250);
    }

    preview(z) {
      this.hover = z;
      this.frame ||= requestAnimationFrame(() => {
        this.frame = 0;
        this.draw();
      });
    }

    /* ---- input ---- */

    listen() {
      const { plane } = this;
      plane.addEventListener("pointermove", (event) => this.preview(this.pointerZ(event)));
      for (const name of ["pointerleave", "pointercancel"]) {
        plane.addEventListener(name, () => this.preview(null));
      }
      plane.addEventListener("pointerup", (event) => this.moveTo(this.pointerZ(event)));
      plane.addEventListener("keydown", (event) => this.onKey(event));
      this.part("layers").addEventListener("change", () => this.restyle());
      const restyle = () => { if (this.ink !== getComputedStyle(plane).color) this.restyle(); };
      new MutationObserver(restyle).observe(document.documentElement,
        { attributes: true, attributeFilter: ["data-theme", "data-mode", "class"] });
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
      new ResizeObserver(() => { if (plane.width !== this.side(plane)) this.restyle(); }).observe(plane);
    }

    pointerZ(event) {
      const box = this.plane.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
      return [(2 * x - 1) * this.reach, (1 - 2 * y) * this.reach];
    }

    onKey(event) {
      const step = event.shiftKey ? 10 * STEP : STEP;
      const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step],
        ArrowDown: [0, -step] };
      if (event.key === "Home") this.moveTo([0, 0]);
      else if (event.key === "End") this.moveTo(this.code);
      else if (moves[event.key]) this.moveTo(this.z.map((v, i) => v + moves[event.key][i]));
      else return;
      event.preventDefault();
    }

    /* ---- drawing ---- */

    /* Device pixels along the side of a canvas as it is laid out. */
    side(canvas) {
      return Math.round((canvas.clientWidth || 320) * (window.devicePixelRatio || 1));
    }

    /* Fits the canvases to the page and its theme, and draws all of it. */
    restyle() {
      for (const canvas of this.root.querySelectorAll(".le-plane, .le-window")) {
        canvas.width = canvas.height = this.side(canvas);
      }
      const [ground, codes] = [...this.part("layers").querySelectorAll("input")].map((i) => i.checked);
      this.ink = getComputedStyle(this.plane).color;
      this.base = views.drawBase(this.plane, this.layers, { ground, codes }, this.ink);
      this.draw();
    }

    draw() {
      const z = this.hover ?? this.z, isCode = z.every((v, k) => Math.abs(v - this.code[k]) < 1e-6);
      views.drawPlane(this.plane, this.base, this, this.ink);
      const picture = views.picture(this.model.decode(z), this.packed.shape);
      this.part("picture").getContext("2d").drawImage(picture, 0, 0);
      this.part("what").textContent = isCode ? "reconstruction" : `decoded at ${point(z)}`;
      if (this.view) views.drawWindow(this.part("window"), this.view, this.q, z, this.ink);
    }

    isOff([z1, z2]) {
      const n = Math.sqrt(this.off.length);
      const cell = (v) => Math.min(n - 1, Math.floor(n * (v / this.reach + 1) / 2));
      return this.off[cell(-z2) * n + cell(z1)] >= OFF;
    }

    say() {
      let text = `z = ${point(this.z)}`;
      if (this.labels) {
        const { label, count, k } = nearestClass(this.latents, this.labels, this.z);
        text += `: of the ${k} nearest test images, ${count} show a ${label}`;
      }
      this.part("text").textContent = `${text}.${this.isOff(this.z) ? " This is off the data." : ""}`;
    }

    /* Evidence, bound and gap, rounded so that what is shown adds up to the last digit. */
    tellEncoding() {
      this.part("encoding").classList.remove("le-stale");
      const { q, logEvidence, bound, mean, sd, isResolved } = this.answer;
      const round = (v) => Math.round(100 * v) / 100;
      const gap = round(logEvidence) - round(bound);
      const rows = [["log p(x)", logEvidence], ["bound", bound], ["gap, KL(q ‖ p(z|x))", gap]];
      this.part("numbers").innerHTML = rows.map(([name, value]) =>
        `<div><dt>${name}</dt><dd>${signed(round(value))} nats</dd></div>`).join("");
      this.part("told").textContent = `q has its mean at ${point(q.mean)} and standard deviations ` +
        `${point(q.sd)}; the exact posterior ${point(mean)} and ${point(sd)}.` +
        (isResolved ? "" : " The posterior is too narrow to be measured well.");
      this.part("window").setAttribute("aria-label",
        `q(z|x) as ellipses over the exact posterior, ${signed(gap)} nats apart`);
    }
  }

  /* Of several on a page all are drawn before any unpacks its encoder. */
  function start() {
    for (const root of document.querySelectorAll(".latent-explorer")) {
      const { model } = root.dataset;
      const packed = (window.latentExplorerModels || {})[model];
      const more = (window.latentExplorerEncoders || {})[model];
      if (!packed || root.explorer) continue;
      root.explorer = new Explorer(root, packed, more);
      requestAnimationFrame(() => setTimeout(() => {
        root.dataset.firstFrame = Math.round(performance.now() - STARTED);
        setTimeout(() => root.explorer.afterFirstFrame(more));
      }));
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
