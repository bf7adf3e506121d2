/* The bound laboratory: drag q(z), and see evidence, bound, gap, reconstruction and KL add up, and
 * what the two gradient estimators make of the gradient.
 *
 * <div class="bound-lab"></div> becomes the instrument; the numbers come from vaePlay.lab
 * (lab_core.js). No library, no request: works from file:// and http:// alike.
 */
(function () {
  "use strict";

  const STARTED = performance.now();
  const { lab } = globalThis.vaePlay;
  const LIMITS = { mean: [-4, 4], sd: [0.1, 2] };
  const START = { x: 0.5, mean: -0.5, sd: 0.8 };
  const PLANE = { height: 210, reach: 4.5, bottom: 22 }; // z from -reach to reach
  const TALLEST = 1.5; // density at the top of the plane
  const ROW = 50; // pixels of a bar with its label
  const N_ARROWS = 60;
  const COLORS = { bound: "#0072B2", gap: "#E69F00", evidence: "#767676", reconstruction: "#56B4E9",
    kl: "#CC79A7", path: "#0072B2", score: "#D55E00" };
  const ESTIMATORS = { path: "reparameterised", score: "score function" };

  const CONTROLS = `
    <div class="bl-live">
    <svg class="bl-plane" role="img"></svg>
    <p class="bl-key"><span class="bl-prior">prior</span> <span class="bl-posterior">exact
      posterior</span> <span class="bl-q"><i>q</i>: drag its top or its right flank</span></p>
    <form class="bl-controls" autocomplete="off" aria-label="Settings" onsubmit="return false">
      <label>mean of <i>q</i> <input type="range" name="mean" min="-4" max="4" step="0.05">
        <output name="meanText"></output></label>
      <label>width of <i>q</i> <input type="range" name="sd" min="0.1" max="2" step="0.02">
        <output name="sdText"></output></label>
      <label>observation <i>x</i> <input type="range" name="x" min="-0.5" max="3" step="0.05">
        <output name="xText"></output></label>
      <button type="button" name="climb">Climb the bound</button>
    </form>
    <svg class="bl-bars" role="img"></svg>
    <p class="bl-text" role="status"></p>
    <div class="bl-arrows"></div>
    <form class="bl-controls" autocomplete="off" aria-label="Estimators" onsubmit="return false">
      <label>draws <i>L</i> of each estimate <select name="nMc">
        <option>1</option><option>10</option><option>100</option></select></label>
      <label>the rest of the picture: log density <select name="rest">
        <option value="0">0, there is none</option>
        <option value="-25" selected>−25, as of the small digits</option>
        <option value="-100">−100, as of MNIST</option></select></label>
      <button type="button" name="draw">New draws</button>
    </form>
    </div>`;

  const minus = (text) => text.replace("-", "−");
  const nats = (value) => minus(value.toFixed(2));

  /* The terms rounded so that what is shown adds up to the last digit: the gap and the
   * reconstruction are those of the rounded others. */
  function rounded({ evidence, bound, kl }) {
    const round = (v) => Math.round(100 * v) / 100;
    const [e, b, k] = [evidence, bound, kl].map(round);
    return { evidence: e, bound: b, gap: e - b, kl: k, reconstruction: b + k };
  }

  /* The next of 1, 1.5, 2, 3, 5, 7, 10, ... at or above `value`. */
  function roundUp(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 1.5, 2, 3, 5, 7, 10].map((m) => m * power).find((v) => v >= value);
  }

  class BoundLab {
    constructor(root) {
      Object.assign(this, START);
      root.insertAdjacentHTML("beforeend", CONTROLS);
      this.part = (name) => root.querySelector(`.bl-${name}`);
      [this.form, this.estimators] = root.querySelectorAll("form");
      this.listen();
      this.drawNoise();
      const bars = this.part("bars");
      new ResizeObserver(() => { if (bars.clientWidth !== this.width) this.draw(); }).observe(bars);
      this.draw();
      requestAnimationFrame(() => setTimeout(() => {
        root.dataset.firstFrame = Math.round(performance.now() - STARTED); // as in explorer.js
      }));
    }

    listen() {
      const { climb } = this.form.elements;
      const { nMc, rest, draw } = this.estimators.elements;
      this.form.addEventListener("input", ({ target }) => this.set({ [target.name]: +target.value }));
      climb.addEventListener("click", () => this.set(lab.climb(this.x, this.mean, this.sd, LIMITS)));
      for (const [control, event] of [[draw, "click"], [nMc, "change"]]) {
        control.addEventListener(event, () => { this.drawNoise(); this.draw(); });
      }
      rest.addEventListener("change", () => this.draw());
      const plane = this.part("plane");
      plane.addEventListener("pointerdown", (event) => {
        const z = this.pointerZ(event);
        this.grip = Math.abs(z - this.mean) <= Math.abs(z - this.mean - this.sd) ? "mean" : "sd";
        plane.setPointerCapture(event.pointerId);
        this.drag(z);
      });
      plane.addEventListener("pointermove", (event) => this.grip && this.drag(this.pointerZ(event)));
      for (const event of ["pointerup", "pointercancel"]) {
        plane.addEventListener(event, () => { this.grip = null; });
      }
    }

    pointerZ(event) {
      const box = this.part("plane").getBoundingClientRect();
      return PLANE.reach * (2 * (event.clientX - box.left) / box.width - 1);
    }

    drag(z) {
      this.set(this.grip === "mean" ? { mean: z } : { sd: z - this.mean });
    }

    set(values) {
      for (const [name, value] of Object.entries(values)) {
        const [low, high] = LIMITS[name] ?? [-Infinity, Infinity];
        this[name] = Math.min(high, Math.max(low, value));
      }
      this.draw();
    }

    /* Standard normal noise for all arrows, by Box and Muller. */
    drawNoise() {
      const nMc = +this.estimators.elements.nMc.value;
      const normal = () =>
        Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
      this.noise = Array.from({ length: N_ARROWS }, () => Array.from({ length: nMc }, normal));
    }

    draw() {
      const { x, mean, sd } = this;
      this.width = this.part("bars").clientWidth;
      for (const name of ["x", "mean", "sd"]) {
        this.form.elements[name].value = this[name];
        this.form.elements[`${name}Text`].textContent = nats(this[name]);
      }
      this.terms = lab.terms(x, mean, sd);
      this.drawPlane();
      this.drawBars(rounded(this.terms));
      this.drawArrows();
    }

    /* ---- the densities ---- */

    drawPlane() {
      const { height, reach, bottom } = PLANE;
      const svg = this.part("plane"), width = svg.clientWidth || 640;
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const logEvidence = this.terms.evidence;
      const px = (z) => width * (z / reach + 1) / 2;
      const py = (p) => (height - bottom) * (1 - Math.min(p, 1.05 * TALLEST) / TALLEST);
      const curve = (density) => {
        const points = [];
        for (let z = -reach; z <= reach + 1e-9; z += 0.03) {
          points.push(`${px(z).toFixed(1)},${py(density(z)).toFixed(1)}`);
        }
        return points.join(" ");
      };
      const q = (z) => Math.exp(lab.logNormal(z, this.mean, this.sd));
      const posterior = curve((z) => Math.exp(lab.logJoint(this.x, z) - logEvidence));
      const floor = height - bottom;
      const grip = (z) => `<circle class="bl-grip" cx="${px(z)}" cy="${Math.max(10, py(q(z)))}" r="8"/>`;
      const ticks = [-4, -2, 0, 2, 4].map((z) =>
        `<text x="${px(z)}" y="${height - 5}" text-anchor="middle">${minus(String(z))}</text>`);
      svg.innerHTML = `<path class="bl-axis" d="M0 ${floor}H${width}"/>
        ${ticks.join("")}<text x="${px(3)}" y="${height - 5}" text-anchor="middle">z</text>
        <polygon class="bl-posterior" points="0,${floor} ${posterior} ${width},${floor}"/>
        <polyline class="bl-prior" points="${curve((z) => Math.exp(lab.logNormal(z, 0, 1)))}"/>
        <polyline class="bl-q" points="${curve(q)}"/>${grip(this.mean)}${grip(this.mean + this.sd)}`;
      svg.setAttribute("aria-label", "Prior, exact posterior and q over z: q has mean "
        + `${nats(this.mean)} and width ${nats(this.sd)}, for the observation ${nats(this.x)}.`);
    }

    /* ---- the bars: three rows that end at the same place ---- */

    drawBars({ evidence, bound, gap, reconstruction, kl }) {
      const svg = this.part("bars");
      const width = svg.clientWidth || 600, height = 3 * ROW + 22;
      const range = roundUp(-1.05 * Math.min(bound, evidence, reconstruction));
      const px = (v) => 8 + (width - 16) * (1 + v / range);
      const bar = (row, from, to, name) => `<rect x="${px(from)}" y="${row * ROW + 20}"
        width="${Math.max(0, px(to) - px(from))}" height="20" fill="${COLORS[name]}"/>`;
      const term = (name, value) =>
        `<tspan fill="${COLORS[name]}">■</tspan> ${name === "kl" ? "KL" : name} ${nats(value)}`;
      const label = (row, ...terms) =>
        `<text x="${width - 8}" y="${row * ROW + 14}" text-anchor="end">${terms.join(" less ")}</text>`;
      const anchors = { [-range]: "start", 0: "end" };
      const tick = (v) => `<path class="bl-axis" d="M${px(v)} ${3 * ROW}v5"/><text x="${px(v)}"
        y="${height - 3}" text-anchor="${anchors[v] ?? "middle"}">${minus(String(v))}</text>`;
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.innerHTML = label(0, term("bound", bound)) + bar(0, bound, 0, "bound")
        + label(1, term("evidence", evidence), term("gap", gap))
        + bar(1, evidence, 0, "evidence") + bar(1, bound, evidence, "gap")
        + label(2, term("reconstruction", reconstruction), term("kl", kl))
        + bar(2, reconstruction, 0, "reconstruction") + bar(2, bound, reconstruction, "kl")
        + `<path class="bl-end" d="M${px(bound)} 18V${3 * ROW}"/>`
        + [-range, -range / 2, 0].map(tick).join("");
      this.tell(`Bound ${nats(bound)} = evidence ${nats(evidence)} − gap ${nats(gap)} = `
        + `reconstruction ${nats(reconstruction)} − KL ${nats(kl)}, in nats.`);
    }

    tell(words) {
      this.part("bars").setAttribute("aria-label", words);
      clearTimeout(this.saying); // a screen reader hears of it once q rests
      this.saying = setTimeout(() => { this.part("text").textContent = words; }, 250);
    }

    /* ---- the estimators ---- */

    drawArrows() {
      const { x, mean, sd, noise } = this;
      const rest = +this.estimators.elements.rest.value;
      const exact = lab.gradient(x, mean, sd);
      const scatter = lab.scatter(x, mean, sd, noise[0].length, rest);
      const estimates = noise.map((draws) => lab.estimate(x, mean, sd, draws, rest));
      const sizes = estimates.flatMap(({ path, score }) => [...path, ...score]).map(Math.abs);
      const most = sizes.sort((a, b) => a - b)[Math.floor(0.95 * sizes.length)];
      const reach = Math.max(most, ...exact.map((v) => 1.2 * Math.abs(v)), 0.1); // the same for both
      this.part("arrows").innerHTML = Object.entries(ESTIMATORS).map(([name, label]) => {
        const arrows = estimates.map((one) => one[name]);
        const [byMean, byWidth] = scatter[name].map(nats);
        const words = `${label}: scatter ${byMean} in the mean, ${byWidth} in log width`;
        return `<div><svg viewBox="-110 -110 220 220" role="img" aria-label="${words}">
          ${fan(arrows, exact, reach, name)}</svg><p><b>${label}</b><br>scatter ${byMean} in the
          mean,<br>${byWidth} in the log width</p></div>`;
      }).join("");
    }
  }

  /* Arrows from the origin, thin for the estimates and bold for the exact gradient. */
  function fan(arrows, exact, reach, name) {
    const at = ([a, b]) => [100 * a / reach, -100 * b / reach].map((v) => v.toFixed(1));
    const thin = arrows.map(at).map(([a, b]) =>
      `<path d="M0 0L${a} ${b}"/><circle cx="${a}" cy="${b}" r="1.8"/>`).join("");
    return `<clipPath id="bl-clip-${name}"><path d="M-108-108H108V108H-108Z"/></clipPath>
      <path class="bl-axis" d="M-108 0H108M0-108V108"/><text x="106" y="-5" text-anchor="end">mean</text>
      <text x="5" y="-97">log width</text><g clip-path="url(#bl-clip-${name})">
      <g stroke="${COLORS[name]}" fill="${COLORS[name]}" class="bl-thin">${thin}</g>
      <path class="bl-exact" d="M0 0L${at(exact).join(" ")}"/></g>`;
  }

  function start() {
    document.querySelectorAll(".bound-lab").forEach((root) => {
      root.boundLab ??= new BoundLab(root);
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
