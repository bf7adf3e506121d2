/* The mathematics of the latent explorer: encoder, decoder, bound, and the exact posterior by
 * quadrature.
 *
 * `vaePlay.explorer()` returns the functions. It uses nothing outside itself, so that its text makes
 * a worker, too (explorer_worker.js). Log densities are in nats.
 */
(globalThis.vaePlay ??= {}).explorer = function () {
  "use strict";

  const LOG_2PI = Math.log(2 * Math.PI);
  const PER_AXIS = 80, HALF_WIDTH = 6; // the first lattice, as in vae_core's quadrature
  const NEGLIGIBLE = 12; // nats below the highest density: such a cell is not cut again
  const LARGEST_SHARE = 1 / 30; // of the mass in one cell, so that cells are finer than the posterior
  const MOST_LEVELS = 7, MOST_POINTS = 6000;
  const RULE = Array.from({ length: 11 }, (_, i) => i - 5); // standard deviations, under q

  /* ---- numbers ---- */

  function bytes(base64) {
    const text = atob(base64);
    const out = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
    return out;
  }

  /* Finite float16 as float32: the same bits further left, whose exponent then counts from another
   * origin. Exact, and the smallest are right, too. */
  function floats(base64) {
    const text = atob(base64);
    const out = new Float32Array(text.length / 2), bits = new Uint32Array(out.buffer);
    for (let i = 0; i < out.length; i++) {
      const half = text.charCodeAt(2 * i) | text.charCodeAt(2 * i + 1) << 8;
      bits[i] = (half & 0x8000) << 16 | (half & 0x7fff) << 13;
      out[i] *= 2 ** 112;
    }
    return out;
  }

  const softplus = (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));
  const sigmoid = (a) => 1 / (1 + Math.exp(-a));

  function logSumExp(values) {
    let most = -Infinity, sum = 0;
    for (const value of values) most = Math.max(most, value);
    if (most === -Infinity) return most;
    for (const value of values) sum += Math.exp(value - most);
    return most + Math.log(sum);
  }

  /* The product of one row of a matrix, which begins at `at`, with a vector; four sums at a time
   * are twice as fast as one. */
  function dot(matrix, at, vector) {
    const n = vector.length;
    let a = 0, b = 0, c = 0, d = 0, i = 0;
    for (; i + 3 < n; i += 4) {
      a += matrix[at + i] * vector[i];
      b += matrix[at + i + 1] * vector[i + 1];
      c += matrix[at + i + 2] * vector[i + 2];
      d += matrix[at + i + 3] * vector[i + 3];
    }
    for (; i < n; i++) a += matrix[at + i] * vector[i];
    return a + b + c + d;
  }

  /* weight input + bias; the weight lies row by row, (out, in). */
  function affine({ weight, bias }, input) {
    const out = new Float32Array(bias.length);
    for (let row = 0; row < out.length; row++) {
      out[row] = bias[row] + dot(weight, row * input.length, input);
    }
    return out;
  }

  const tanh = (values) => values.map(Math.tanh);
  const unpack = ({ weight, bias }) => ({ weight: floats(weight), bias: floats(bias) });

  /* ---- the model ---- */

  /* `packed` is an entry of latentExplorerModels; it decodes. */
  class Model {
    constructor(packed) {
      const layers = packed.layers.map(unpack);
      this.head = layers.pop();
      this.hiddenLayers = layers;
      this.isSigmoid = packed.likelihood !== "gaussian";
    }

    /* `more` is an entry of latentExplorerEncoders: from then on it does all the rest. */
    addEncoder(more) {
      this.encoder = more.layers.map(unpack);
      this.logVarHead = more.logVar && unpack(more.logVar);
    }

    hidden(z) {
      return this.hiddenLayers.reduce((input, layer) => tanh(affine(layer, input)), Float32Array.from(z));
    }

    /* Pixel means of p(x|z). */
    decode(z) {
      const out = affine(this.head, this.hidden(z));
      return this.isSigmoid ? out.map(sigmoid) : out;
    }

    /* Mean and standard deviation of q(z|x). */
    encode(x) {
      const [head, ...rest] = [...this.encoder].reverse();
      const input = rest.reverse().reduce((input, layer) => tanh(affine(layer, input)), x);
      const [m1, m2, v1, v2] = affine(head, input);
      return { mean: [m1, m2], sd: [Math.exp(v1 / 2), Math.exp(v2 / 2)] };
    }

    /* What log p(x|z) needs of z, whatever x is. Of Bernoulli pixels that is little: x times the
     * logits is linear in the hidden units, and the normalising sum does not hold x. */
    features(z) {
      const hidden = this.hidden(z);
      const out = affine(this.head, hidden);
      if (!this.logVarHead) return { hidden, total: out.reduce((sum, a) => sum + softplus(a), 0) };
      const logVar = affine(this.logVarHead, hidden);
      return {
        mean: this.isSigmoid ? out.map(sigmoid) : out,
        precision: logVar.map((v) => Math.exp(-v)),
        total: logVar.reduce((sum, v) => sum + v + LOG_2PI, 0),
      };
    }

    /* What log p(x|z) needs of x, whatever z is. */
    statistics(x) {
      if (this.logVarHead) return { x };
      const { weight, bias } = this.head;
      const width = weight.length / bias.length;
      const byHidden = new Float64Array(width);
      for (let row = 0; row < bias.length; row++) {
        if (x[row]) for (let i = 0; i < width; i++) byHidden[i] += x[row] * weight[row * width + i];
      }
      return { byHidden, constant: dot(bias, 0, x) };
    }

    /* log p(x|z) from statistics(x) and features(z). */
    logLikelihood(statistics, features) {
      const { x, byHidden, constant } = statistics;
      if (byHidden) return dot(features.hidden, 0, byHidden) + constant - features.total;
      let sum = features.total;
      for (let i = 0; i < x.length; i++) sum += features.precision[i] * (x[i] - features.mean[i]) ** 2;
      return -sum / 2;
    }
  }

  const logPrior = ([z1, z2]) => -LOG_2PI - (z1 * z1 + z2 * z2) / 2;

  /* The bound of one x, {bound, reconstruction, kl}: the KL term in closed form, the expectation
   * under q by a sum over equal steps of one standard deviation, exact to rounding where log p(x|z)
   * is smooth. */
  function bound(model, statistics, { mean, sd }) {
    let reconstruction = 0, mass = 0;
    for (const e1 of RULE) {
      for (const e2 of RULE) {
        const weight = Math.exp(-(e1 * e1 + e2 * e2) / 2);
        const features = model.features([mean[0] + sd[0] * e1, mean[1] + sd[1] * e2]);
        reconstruction += weight * model.logLikelihood(statistics, features);
        mass += weight;
      }
    }
    reconstruction /= mass;
    const kl = [0, 1].reduce((sum, k) =>
      sum + (mean[k] ** 2 + sd[k] ** 2 - 1) / 2 - Math.log(sd[k]), 0);
    return { bound: reconstruction - kl, reconstruction, kl };
  }

  /* ---- quadrature over the plane ---- */

  const centre = (index, width) => (index + 0.5) * width - HALF_WIDTH;
  const cellAt = (model, i, j, width) => {
    const z = [centre(i, width), centre(j, width)];
    return { i, j, z, features: model.features(z) };
  };

  /* The first lattice over [-HALF_WIDTH, HALF_WIDTH]^2: a generator that makes one column of cells
   * at a time and yields the share that is done. */
  function* lattice(model, cells) {
    const width = 2 * HALF_WIDTH / PER_AXIS;
    for (let i = 0; i < PER_AXIS; i++) {
      for (let j = 0; j < PER_AXIS; j++) cells.push(cellAt(model, i, j, width));
      yield (i + 1) / PER_AXIS;
    }
  }

  /* What the density may gain within half a cell, from the neighbours of the same level. */
  function gains(cells, values) {
    const key = (i, j) => i * 65536 + j;
    const at = new Map(cells.map((cell, n) => [key(cell.i, cell.j), values[n]]));
    return cells.map(({ i, j }, n) => {
      const slope = (di, dj) => Math.max(0, ...[1, -1].map((side) =>
        Math.abs((at.get(key(i + side * di, j + side * dj)) ?? values[n]) - values[n])));
      return (slope(1, 0) + slope(0, 1)) / 2;
    });
  }

  /* p(z|x) as cells, {logEvidence, leaves, width}: cells where the density may be large are cut into
   * four until none holds much of the mass. `cells` is the first lattice; `width` that of the
   * finest leaves, each {z, width, logDensity} with the density normalised. */
  function posterior(model, statistics, cells) {
    let width = 2 * HALF_WIDTH / PER_AXIS, nPoints = 0;
    const leaves = [];
    for (let level = 0; ; level++) {
      const values = cells.map(({ z, features }) =>
        logPrior(z) + model.logLikelihood(statistics, features));
      const highest = values.reduce((a, b) => Math.max(a, b), -Infinity);
      const masses = [...leaves.map((leaf) => leaf.logDensity + 2 * Math.log(leaf.width)),
        ...values.map((value) => value + 2 * Math.log(width))];
      const logEvidence = logSumExp(masses);
      const isResolved = highest + 2 * Math.log(width) - logEvidence < Math.log(LARGEST_SHARE);
      const gain = isResolved ? [] : gains(cells, values);
      const isCut = (n) => !isResolved && values[n] + gain[n] > highest - NEGLIGIBLE;
      const cut = cells.filter((_, n) => isCut(n));
      const isLast = isResolved || level === MOST_LEVELS || nPoints + 4 * cut.length > MOST_POINTS;
      cells.forEach(({ z }, n) => {
        if (isLast || !isCut(n)) leaves.push({ z, width, logDensity: values[n] });
      });
      if (isLast) {
        leaves.forEach((leaf) => { leaf.logDensity -= logEvidence; });
        return { logEvidence, leaves, width, isResolved };
      }
      width /= 2;
      nPoints += 4 * cut.length;
      cells = cut.flatMap(({ i, j }) => [[0, 0], [0, 1], [1, 0], [1, 1]].map(([a, b]) =>
        cellAt(model, 2 * i + a, 2 * j + b, width)));
    }
  }

  /* Mean and standard deviations of a posterior's leaves. */
  function moments(leaves) {
    const average = (f) => leaves.reduce((sum, leaf) =>
      sum + Math.exp(leaf.logDensity) * leaf.width ** 2 * f(leaf.z), 0);
    const mean = [0, 1].map((k) => average((z) => z[k]));
    return { mean, sd: [0, 1].map((k) => Math.sqrt(average((z) => (z[k] - mean[k]) ** 2))) };
  }

  /* ---- drawings ---- */

  /* Average grey of blocks: a picture (n factor, n factor) as (n, n). */
  function shrink(pixels, n, factor) {
    const out = new Float32Array(n * n), side = n * factor;
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        out[Math.floor(y / factor) * n + Math.floor(x / factor)] += pixels[y * side + x] / factor ** 2;
      }
    }
    return out;
  }

  /* The centre of mass of a square picture, (x, y) in units of its side. */
  function centreOfMass(pixels) {
    const side = Math.sqrt(pixels.length);
    let mass = 0, x = 0, y = 0;
    pixels.forEach((value, i) => {
      mass += value;
      x += value * (i % side + 0.5);
      y += value * (Math.floor(i / side) + 0.5);
    });
    return mass ? [x / mass / side, y / mass / side] : [0.5, 0.5];
  }

  return { Model, bytes, floats, bound, lattice, posterior, moments, shrink, centreOfMass };
};
