/* The page "Train it yourself": controls, values and pictures around the worker that trains.
 *
 * <div class="vae-train"></div> becomes the instrument, from vaePlay.digits (train_digits.js),
 * .core, .worker and .views. No library, no request: works from file:// and http:// alike. The
 * still picture of the page is hidden once the first frame is drawn.
 */
(function () {
  "use strict";

  const STARTED = performance.now();
  const { core, digits, views, worker, workerSource } = globalThis.vaePlay;
  const NAMES = { aevb: "AEVB", wake_sleep: "Wake-sleep" };
  const CALM_MS = 1000; // between two frames for readers who ask for reduced motion
  const PANELS = {
    manifold: "What the decoder draws over the latent plane",
    codes: "Codes of the test digits",
    samples: "Samples: decoded draws from the prior",
  };

  const CONTROLS = `
    <form class="vt-controls" autocomplete="off" aria-label="Training" onsubmit="return false">
      <div class="vt-buttons">
        <button type="button" name="run" class="vt-run">Start</button>
        <button type="button" name="step">Step</button>
        <button type="button" name="reset">Reset</button>
        <label>Speed <select name="speed">
          <option value="0">full</option><option value="60">60 steps/s</option>
          <option value="10">10 steps/s</option><option value="1">1 step/s</option>
        </select></label>
        <label>Seed <input name="seed" type="number" min="0" max="999999" step="1" value="0"></label>
      </div>
      <div class="vt-switches">
        <label>Algorithm <select name="algorithms">
          <option value="aevb">AEVB</option>
          <option value="aevb,wake_sleep">AEVB and wake-sleep</option>
        </select></label>
        <label>Gradient <select name="estimator">
          <option value="sgvb_b">reparameterised</option>
          <option value="score_function">score function</option>
        </select></label>
        <label>Draws <i>L</i> <select name="nMc">
          <option>1</option><option>2</option><option>5</option><option>10</option>
        </select></label>
        <label>Step size <select name="stepSize">
          <option>0.01</option><option>0.02</option><option selected>0.05</option><option>0.1</option>
        </select></label>
        <label><input name="withKl" type="checkbox" checked> KL term</label>
      </div>
    </form>
    <p class="vt-status" role="status">Starting the worker …</p>
    <div class="vt-legend"></div>
    <svg class="vt-curves" role="img"></svg>
    <div class="vt-scroll" tabindex="0" role="region" aria-label="Present values">
    <table class="vt-values"><thead><tr><td class="vt-samples-now"></td>
      <th scope="col">Train<br>bound</th><th scope="col">Test<br>bound</th>
      <th scope="col">Recon-<br>struction</th><th scope="col">KL</th></tr></thead><tbody></tbody></table>
    </div>
    <div class="vt-models"></div>`;

  /* A loop, and no Intl: what starts slowly would be half of the first frame. */
  function bytes(base64) {
    const text = atob(base64);
    const out = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
    return out;
  }

  const count = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

  class TrainPage {
    constructor(root) {
      this.root = root;
      this.labels = bytes(digits.labels);
      this.data = { ...digits, train: bytes(digits.train), test: bytes(digits.test) };
      this.running = false;
      this.last = []; // the curves before the last reset, drawn faint
      this.training = 0; // counts the resets
      this.rows = {}; // for each algorithm, the evaluations so far
      this.calm = matchMedia("(prefers-reduced-motion: reduce)");
      this.narrow = matchMedia("(max-width: 44rem)"); // as in train.css
      this.build();
      this.startWorker();
      this.reset();
      this.drawFirst();
    }

    build() {
      const live = document.createElement("div");
      live.className = "vt-live";
      live.innerHTML = CONTROLS;
      this.root.append(live);
      this.form = live.querySelector("form");
      this.part = (name) => live.querySelector(`.vt-${name}`);
      this.curves = new views.Curves(this.part("curves"));
      const { run, step, reset, seed, algorithms } = this.form.elements;
      run.addEventListener("click", () => (this.running ? this.send("pause") : this.run()));
      step.addEventListener("click", () => this.send("step"));
      reset.addEventListener("click", () => this.reset());
      for (const control of [seed, algorithms]) {
        control.addEventListener("change", () => this.reset());
      }
      this.form.addEventListener("change", ({ target }) => this.onSwitch(target));
      const curves = this.part("curves");
      new ResizeObserver(() => { if (curves.clientWidth !== this.width) this.redraw(); }).observe(curves);
      new MutationObserver(() => this.redraw()).observe(document.documentElement,
        { attributes: true, attributeFilter: ["data-theme"] });
    }

    startWorker() {
      const url = URL.createObjectURL(new Blob([workerSource()], { type: "text/javascript" }));
      this.worker = new Worker(url);
      this.worker.onmessage = ({ data }) => this.receive(data);
      this.worker.onerror = ({ message }) => this.say(`The worker failed: ${message}`);
    }

    send(type, more = {}) {
      this.worker.postMessage({ type, ...more });
    }

    /* What the controls say; a seed that is no number counts as zero. */
    settings() {
      const { algorithms, seed, estimator, withKl, nMc, stepSize } = this.form.elements;
      return {
        algorithms: algorithms.value.split(","), seed: Math.abs(Math.trunc(+seed.value)) || 0,
        estimator: estimator.value, withKl: withKl.checked, nMc: +nMc.value,
        stepSize: +stepSize.value,
      };
    }

    run() {
      this.setRunning(true);
      this.say("Training.");
      this.send("run", { stepsPerSecond: +this.form.elements.speed.value });
    }

    /* Gradient, L, step size and KL act from the next step on, the speed at once. */
    onSwitch(control) {
      if (control.name === "speed" && this.running) this.run();
      else if (["estimator", "nMc", "stepSize", "withKl"].includes(control.name)) {
        this.send("settings", { settings: this.settings() });
      }
    }

    /* Back to the untrained model of this seed; the curves so far stay, faint, to compare with. */
    reset() {
      const lines = this.lines().filter((line) => line.samples.length > 1);
      if (lines.length) this.last = lines.map((line) => ({ ...line, faint: true }));
      const settings = this.settings();
      this.rows = Object.fromEntries(settings.algorithms.map((name) => [name, []]));
      this.buildModels(settings.algorithms);
      this.buildLegend(settings.algorithms);
      this.send("reset", { settings, data: this.data, training: ++this.training });
    }

    /* The worker's first frame, made here: a worker takes a while to start. */
    drawFirst() {
      const { Trainer } = worker(core());
      const pictures = new Trainer(this.data, this.settings()).pictures();
      this.frame = { samples: 0, rows: [], pictures };
      this.root.classList.add("vt-ready");
      this.redraw();
      this.tell(this.frame);
      requestAnimationFrame(() => setTimeout(() => {
        this.root.dataset.firstFrame = Math.round(performance.now() - STARTED); // as in explorer.js
      }));
    }

    buildModels(algorithms) {
      const panel = (name, kind) => `<div class="vt-panel"><canvas class="vt-${kind}" role="img"
        aria-label="${PANELS[kind]}, ${NAMES[name]}"></canvas><p>${PANELS[kind]}</p></div>`;
      this.part("models").innerHTML = algorithms.map((name) => `
        <section class="vt-model" data-algorithm="${name}" aria-label="${NAMES[name]}">
          <p class="vt-name"><span style="background:${views.COLORS[name]}"></span>${NAMES[name]}</p>
          <div class="vt-panels">${Object.keys(PANELS).map((k) => panel(name, k)).join("")}</div>
        </section>`).join("");
    }

    buildLegend(algorithms) {
      const swatch = (color, split, label) => `<span><svg viewBox="0 0 30 8" aria-hidden="true">
        <path d="M1 4H29" stroke="${color}" stroke-dasharray="${split === "test" ? "7 4" : ""}"/>
        </svg>${label}</span>`;
      this.part("legend").innerHTML = algorithms.flatMap((name) => ["train", "test"].map((split) =>
        swatch(views.COLORS[name], split, `${NAMES[name]}, ${split}`))).join("")
        + swatch(views.COLORS.stored, "test", "stored run, test")
        + (this.last.length ? "<span>faint: before the last reset</span>" : "");
    }

    /* ---- frames ---- */

    receive(frame) {
      // it was on its way when all began again
      if (frame.training !== this.training) return this.send("drawn");
      for (const row of frame.rows) {
        for (const [name, values] of Object.entries(row)) this.rows[name].push(values);
      }
      this.frame = frame;
      this.setRunning(frame.running);
      requestAnimationFrame(() => {
        this.redraw();
        setTimeout(() => this.send("drawn"), this.calm.matches ? CALM_MS : 0);
      });
      this.tell(frame);
    }

    setRunning(running) {
      this.running = running;
      this.form.elements.run.textContent = running ? "Pause" : this.frame?.samples ? "Go on" : "Start";
    }

    redraw() {
      if (!this.frame) return;
      this.width = this.part("curves").clientWidth;
      this.curves.draw([this.stored(), ...this.last, ...this.lines()]);
      this.fillTable();
      for (const [name, pictures] of Object.entries(this.frame.pictures)) {
        const canvas = (kind) =>
          this.root.querySelector(`[data-algorithm=${name}] .vt-${kind}`);
        if (!canvas("codes")) continue; // of an algorithm that was just taken away
        views.drawTiles(canvas("manifold"), pictures.manifold, digits.probits.length);
        views.drawTiles(canvas("samples"), pictures.samples, this.narrow.matches ? 12 : 6);
        views.drawCodes(canvas("codes"), pictures.codes, this.labels);
      }
    }

    /* Its first row, after one step, is far before the second. */
    stored() {
      const [samples, values] = [digits.stored.samples, digits.stored.test_bound].map((c) => c.slice(1));
      return { samples, values, color: views.COLORS.stored, split: "test" };
    }

    lines() {
      return Object.entries(this.rows).flatMap(([name, rows]) => {
        const drawn = rows.filter((row) => row.samples >= views.FIRST);
        return ["train", "test"].map((split) => ({
          samples: drawn.map((row) => row.samples), values: drawn.map((row) => row[split].bound),
          color: views.COLORS[name], split,
        }));
      });
    }

    fillTable() {
      const { samples, train_bound, test_bound } = digits.stored;
      const last = samples.length - 1;
      const rows = Object.entries(this.rows).filter(([, all]) => all.length).map(([name, all]) => {
        const { train, test } = all[all.length - 1];
        return [NAMES[name], ...[train.bound, test.bound, test.reconstruction,
          test.kl].map(views.nats)];
      });
      rows.push([`Stored run at ${count(samples[last])}`, views.nats(train_bound[last]),
        views.nats(test_bound[last]), "", ""]);
      this.part("samples-now").textContent = `${count(this.frame.samples)} samples`;
      this.part("values").tBodies[0].innerHTML = rows.map(([name, ...cells]) =>
        `<tr><th scope="row">${name}</th>${cells.map((c) => `<td>${c}</td>`).join("")}</tr>`).join("");
    }

    /* ---- words, for those who listen: at each factor of ten and whenever training stops ---- */

    tell({ why, samples, seconds, rows }) {
      if (!samples) {
        this.part("curves").setAttribute("aria-label", "The lower bound against training samples.");
        return this.say("Not trained yet: press Start.");
      }
      const bounds = Object.entries(this.rows).map(([name, all]) =>
        `${NAMES[name]} ${views.nats(all[all.length - 1].test.bound)}`).join(", ");
      const values = `the bound on the test set is ${bounds} nats`;
      this.part("curves").setAttribute("aria-label",
        `The lower bound against training samples. At ${count(samples)} samples ${values}.`);
      const decade = rows.some((row) => Number.isInteger(Math.log10(Object.values(row)[0].samples)));
      const speed = ` ${count(100 * Math.round(samples / seconds / 100))} samples a second.`;
      if (why !== "run") this.say(`Paused at ${count(samples)} samples: ${values}.${speed}`);
      else if (decade) this.say(`After ${count(samples)} samples ${values}.${speed}`);
    }

    say(text) {
      this.part("status").textContent = text;
    }
  }

  function start() {
    document.querySelectorAll(".vae-train").forEach((root) => {
      root.trainPage ??= new TrainPage(root);
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
