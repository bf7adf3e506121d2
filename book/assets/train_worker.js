/* The worker of the page "Train it yourself": trains AEVB, alone or beside wake-sleep, and posts
 * what the page draws.
 *
 * `vaePlay.worker(core)` returns the Trainer. With a worker's scope as second argument it also
 * answers the messages of the page: `vaePlay.workerSource()` is the text of that worker.
 */
(globalThis.vaePlay ??= {}).worker = function (core, scope) {
  "use strict";

  const SIZES = { pixels: 64, hidden: 100, latent: 2, batch: 100 };
  const INIT_SD = 0.01;
  const MOST_SAMPLES = 1_000_000; // where training ends by itself
  const EVALUATIONS_PER_DECADE = 16;
  const N_PRIOR = 36; // samples that are shown
  const BURST_MS = 40; // of training between two looks at the messages

  const { Random, Vae } = core;

  /* One training under way. Data: train and test, bytes (n, 64) from 0 to `levels`, and probits,
   * the coordinates of the manifold's grid. Settings: algorithms, seed, estimator, withKl, nMc,
   * stepSize; all but the first two may change on the way. */
  class Trainer {
    constructor(data, settings) {
      this.data = data;
      this.settings = settings;
      this.samples = 0;
      this.x = new Float32Array(SIZES.batch * SIZES.pixels);
      this.random = new Random(settings.seed);
      this.dreams = new Random(settings.seed + 1e6); // apart, so that AEVB is the same without them
      this.buildModels();
      this.buildFixedPoints();
      this.noise = {
        dreamZ: new Float32Array(SIZES.batch * SIZES.latent),
        dreamX: new Float32Array(SIZES.batch * SIZES.pixels),
      };
    }

    /* All algorithms start from the same weights. */
    buildModels() {
      const first = new Vae(SIZES);
      first.initialise(this.random, INIT_SD);
      this.models = {};
      for (const name of this.settings.algorithms) {
        this.models[name] = new Vae(SIZES);
        this.models[name].params.set(first.params);
      }
    }

    /* What stays the same throughout: noise of the evaluations, grid of the plane, prior draws. */
    buildFixedPoints() {
      const random = new Random(this.settings.seed + 2e6);
      const { train, test, probits } = this.data;
      const draws = (rows) => random.normals(rows * SIZES.latent);
      this.evaluationNoise = {
        train: draws(train.length / SIZES.pixels), test: draws(test.length / SIZES.pixels),
      };
      const down = [...probits].reverse();
      this.grid = Float32Array.from(down.flatMap((z2) => probits.flatMap((z1) => [z1, z2])));
      this.prior = draws(N_PRIOR);
    }

    /* Copies pixels of the rows that `row` names into the batch x; rows beyond `n` keep theirs. */
    gather(bytes, n, row) {
      const { pixels } = SIZES;
      for (let i = 0; i < n; i++) {
        const from = row(i) * pixels;
        for (let k = 0; k < pixels; k++) this.x[i * pixels + k] = bytes[from + k] / this.data.levels;
      }
      return this.x;
    }

    /* One minibatch, drawn with replacement, for every algorithm. */
    step() {
      const { settings, noise, random, data: { train } } = this;
      const n = train.length / SIZES.pixels;
      const x = this.gather(train, SIZES.batch, () => Math.floor(n * random.uniform()));
      const size = SIZES.batch * SIZES.latent;
      noise.epsilons = Array.from({ length: settings.nMc }, () => random.normals(size));
      const precision = SIZES.batch / n;
      for (const [name, model] of Object.entries(this.models)) {
        if (name === "wake_sleep") {
          this.dreams.fillNormals(noise.dreamZ);
          this.dreams.fillUniforms(noise.dreamX);
          model.wakeSleepStep(x, noise, settings, precision);
        } else model.aevbStep(x, noise, settings, precision);
      }
      this.samples += SIZES.batch;
    }

    /* Whether the step just made crossed a point of the log-spaced schedule. */
    isDue() {
      const index = (n) => Math.floor(EVALUATIONS_PER_DECADE * Math.log10(n) + 1e-9);
      return this.samples === SIZES.batch || index(this.samples - SIZES.batch) < index(this.samples);
    }

    /* For each algorithm {samples, train, test}, the last two {bound, reconstruction, kl}: means
     * per image of the estimate of eq. 7 with one draw, the same at every call. */
    evaluate() {
      const ofModel = (model) => ({
        samples: this.samples, train: this.means(model, "train"), test: this.means(model, "test"),
      });
      return this.forEachModel(ofModel);
    }

    means(model, split) {
      const bytes = this.data[split], n = bytes.length / SIZES.pixels;
      let reconstruction = 0, kl = 0;
      this.inBatches(n, (first, count) => {
        const x = this.gather(bytes, count, (i) => first + i);
        model.encoder.forward(x);
        model.decoder.forward(model.reparameterise(this.batchOf(this.evaluationNoise[split], first)));
        for (let i = 0; i < count; i++) {
          reconstruction += model.logLikelihood(x, i) / n;
          kl += model.kl(i) / n;
        }
      });
      return { bound: reconstruction - kl, reconstruction, kl };
    }

    /* Calls `use(first, count)` for one batch of rows after the other. */
    inBatches(n, use) {
      for (let first = 0; first < n; first += SIZES.batch) {
        use(first, Math.min(SIZES.batch, n - first));
      }
    }

    /* A whole batch of latent rows from `first` on; zeros beyond the end. */
    batchOf(z, first) {
      const out = new Float32Array(SIZES.batch * SIZES.latent);
      out.set(z.subarray(first * SIZES.latent, first * SIZES.latent + out.length));
      return out;
    }

    /* For each algorithm what its pictures show: codes (n_test, 2), the means of q(z|x); manifold
     * and samples, bytes (n, 64). */
    pictures() {
      return this.forEachModel((model) => ({
        codes: this.codes(model),
        manifold: this.decode(model, this.grid),
        samples: this.decode(model, this.prior),
      }));
    }

    codes(model) {
      const { test } = this.data, { pixels, latent } = SIZES, n = test.length / pixels;
      const codes = new Float32Array(n * latent);
      this.inBatches(n, (first, count) => {
        const out = model.encoder.forward(this.gather(test, count, (i) => first + i));
        for (let i = 0; i < count; i++) {
          for (let k = 0; k < latent; k++) codes[(first + i) * latent + k] = out[2 * i * latent + k];
        }
      });
      return codes;
    }

    /* Pixel means at z, as bytes from 0 to 255. */
    decode(model, z) {
      const { pixels, latent } = SIZES, n = z.length / latent;
      const means = new Uint8ClampedArray(n * pixels);
      this.inBatches(n, (first, count) => {
        const logits = model.decoder.forward(this.batchOf(z, first));
        for (let i = 0; i < count * pixels; i++) {
          means[first * pixels + i] = 255 / (1 + Math.exp(-logits[i]));
        }
      });
      return means;
    }

    forEachModel(use) {
      return Object.fromEntries(Object.entries(this.models).map(([k, model]) => [k, use(model)]));
    }
  }

  /* ---- messages ---- */

  /* Answers {type: "reset", data, settings, training} | "settings" | "run" with stepsPerSecond |
   * "pause" | "step" | "drawn" with {type: "frame", training, ...}; never more frames than the page
   * has drawn. */
  class Loop {
    constructor(post) {
      Object.assign(this, { post, rows: [], running: false, mayPost: true, seconds: 0, timer: 0 });
    }

    receive(message) {
      if (message.type === "drawn") this.mayPost = true;
      else this[message.type](message);
    }

    reset({ data, settings, training }) {
      this.pause();
      this.data = data ?? this.data;
      this.trainer = new Trainer(this.data, settings);
      Object.assign(this, { rows: [], seconds: 0, training });
      this.frame("reset");
    }

    settings({ settings }) {
      this.trainer.settings = settings;
    }

    run({ stepsPerSecond }) {
      clearTimeout(this.timer);
      Object.assign(this, { stepsPerSecond, running: true });
      this.work();
    }

    pause() {
      clearTimeout(this.timer);
      if (this.running) {
        this.running = false;
        this.frame("pause");
      }
    }

    step() {
      this.pause();
      this.advance();
      this.frame("step");
    }

    advance() {
      const started = performance.now();
      this.trainer.step();
      if (this.trainer.isDue()) this.rows.push(this.trainer.evaluate());
      this.seconds += (performance.now() - started) / 1000;
    }

    work() {
      const until = performance.now() + BURST_MS;
      const isOver = () => this.trainer.samples >= MOST_SAMPLES;
      do this.advance();
      while (!this.stepsPerSecond && performance.now() < until && !isOver());
      if (isOver()) return this.pause();
      if (this.mayPost) this.frame("run");
      this.timer = setTimeout(() => this.work(), this.stepsPerSecond ? 1000 / this.stepsPerSecond : 0);
    }

    frame(why) {
      const { trainer: { samples }, rows, seconds, running, training } = this;
      const pictures = this.trainer.pictures();
      this.rows = [];
      this.mayPost = false;
      this.post({ type: "frame", why, samples, rows, seconds, running, training, pictures });
    }
  }

  if (scope) {
    const loop = new Loop((message) => scope.postMessage(message));
    scope.onmessage = ({ data }) => loop.receive(data);
  }
  return { Trainer, MOST_SAMPLES };
};

/* A script that needs no file: started from a Blob, it works where a worker's own file may not. */
globalThis.vaePlay.workerSource = () =>
  `(${globalThis.vaePlay.worker})((${globalThis.vaePlay.core})(), self);`;
