/* The mathematics of the page "Train it yourself": a VAE with one tanh layer in each network, its
 * gradients, Adagrad and wake-sleep. What vae_core does in PyTorch, in plain loops.
 *
 * `vaePlay.core()` returns the functions. It uses nothing from outside, so that its own text can be
 * started as a worker from a Blob, which works on file:// too. Rows are images; arrays are
 * float32 (float64 in the tests), row by row; numbers are nats. Gradients are those of the loss,
 * minus the bound summed over the minibatch.
 */
(globalThis.vaePlay ??= {}).core = function () {
  "use strict";

  const LOG_2PI = Math.log(2 * Math.PI);
  const ADAGRAD_EPSILON = 1e-8; // added to the sum of g^2 inside the root

  /* ---- random numbers ---- */

  /* xoshiro128** (Blackman and Vigna 2018), seeded by splitmix32. */
  class Random {
    constructor(seed) {
      let state = seed >>> 0;
      const next = () => {
        state = (state + 0x9e3779b9) >>> 0;
        let t = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
        t = Math.imul(t ^ (t >>> 15), 0x735a2d97);
        return (t ^ (t >>> 15)) >>> 0;
      };
      this.state = Uint32Array.from([next(), next(), next(), next()]);
      this.spare = NaN;
    }

    /* Uniform in [0, 1) with 32 bits. */
    uniform() {
      const s = this.state;
      let result = Math.imul(s[1], 5);
      result = Math.imul((result << 7) | (result >>> 25), 9) >>> 0;
      const t = s[1] << 9;
      s[2] ^= s[0];
      s[3] ^= s[1];
      s[1] ^= s[2];
      s[0] ^= s[3];
      s[2] ^= t;
      s[3] = (s[3] << 11) | (s[3] >>> 21);
      return result / 4294967296;
    }

    /* Standard normal, by Box and Muller: two at a time. */
    normal() {
      if (this.spare === this.spare) {
        const spare = this.spare;
        this.spare = NaN;
        return spare;
      }
      const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
      const angle = 2 * Math.PI * this.uniform();
      this.spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    }

    normals(n) {
      return Float32Array.from({ length: n }, () => this.normal());
    }

    fillNormals(out) {
      for (let i = 0; i < out.length; i++) out[i] = this.normal();
    }

    fillUniforms(out) {
      for (let i = 0; i < out.length; i++) out[i] = this.uniform();
    }
  }

  /* ---- networks ----
   * Four rows and two outputs at a time, so that each number that is loaded is used several times:
   * the number of rows is a multiple of four, that of outputs of four too. */

  /* out = x W' + b: x (n, nIn), W (nOut, nIn), out (n, nOut). */
  function affine(x, weight, bias, out, n, nIn, nOut) {
    for (let o = 0; o < nOut; o += 2) {
      const w0 = o * nIn, w1 = w0 + nIn;
      for (let i = 0; i < n; i += 4) {
        const x0 = i * nIn, x1 = x0 + nIn, x2 = x1 + nIn, x3 = x2 + nIn;
        let a0 = bias[o], a1 = a0, a2 = a0, a3 = a0;
        let b0 = bias[o + 1], b1 = b0, b2 = b0, b3 = b0;
        for (let k = 0; k < nIn; k++) {
          const a = weight[w0 + k], b = weight[w1 + k];
          const v0 = x[x0 + k], v1 = x[x1 + k], v2 = x[x2 + k], v3 = x[x3 + k];
          a0 += a * v0; a1 += a * v1; a2 += a * v2; a3 += a * v3;
          b0 += b * v0; b1 += b * v1; b2 += b * v2; b3 += b * v3;
        }
        const at = i * nOut + o;
        out[at] = a0; out[at + nOut] = a1; out[at + 2 * nOut] = a2; out[at + 3 * nOut] = a3;
        out[at + 1] = b0; out[at + nOut + 1] = b1; out[at + 2 * nOut + 1] = b2;
        out[at + 3 * nOut + 1] = b3;
      }
    }
  }

  /* Adds the gradients of weight and bias, given that of the output, to dWeight and dBias. */
  function addWeightGradient(x, dOut, dWeight, dBias, n, nIn, nOut) {
    for (let o = 0; o < nOut; o += 2) {
      const w0 = o * nIn, w1 = w0 + nIn;
      for (let i = 0; i < n; i += 4) {
        const x0 = i * nIn, x1 = x0 + nIn, x2 = x1 + nIn, x3 = x2 + nIn;
        const r0 = i * nOut + o, r1 = r0 + nOut, r2 = r1 + nOut, r3 = r2 + nOut;
        const a0 = dOut[r0], a1 = dOut[r1], a2 = dOut[r2], a3 = dOut[r3];
        const b0 = dOut[r0 + 1], b1 = dOut[r1 + 1], b2 = dOut[r2 + 1], b3 = dOut[r3 + 1];
        dBias[o] += a0 + a1 + a2 + a3;
        dBias[o + 1] += b0 + b1 + b2 + b3;
        for (let k = 0; k < nIn; k++) {
          const v0 = x[x0 + k], v1 = x[x1 + k], v2 = x[x2 + k], v3 = x[x3 + k];
          dWeight[w0 + k] += a0 * v0 + a1 * v1 + a2 * v2 + a3 * v3;
          dWeight[w1 + k] += b0 * v0 + b1 * v1 + b2 * v2 + b3 * v3;
        }
      }
    }
  }

  /* dX = dOut W, the gradient of the input: two rows and four outputs at a time. */
  function inputGradient(weight, dOut, dX, n, nIn, nOut) {
    dX.fill(0);
    for (let i = 0; i < n; i += 2) {
      const x0 = i * nIn, x1 = x0 + nIn;
      for (let o = 0; o < nOut; o += 4) {
        const w0 = o * nIn, w1 = w0 + nIn, w2 = w1 + nIn, w3 = w2 + nIn;
        const r0 = i * nOut + o, r1 = r0 + nOut;
        const a0 = dOut[r0], a1 = dOut[r0 + 1], a2 = dOut[r0 + 2], a3 = dOut[r0 + 3];
        const b0 = dOut[r1], b1 = dOut[r1 + 1], b2 = dOut[r1 + 2], b3 = dOut[r1 + 3];
        for (let k = 0; k < nIn; k++) {
          const v0 = weight[w0 + k], v1 = weight[w1 + k], v2 = weight[w2 + k], v3 = weight[w3 + k];
          dX[x0 + k] += a0 * v0 + a1 * v1 + a2 * v2 + a3 * v3;
          dX[x1 + k] += b0 * v0 + b1 * v1 + b2 * v2 + b3 * v3;
        }
      }
    }
  }

  /* One tanh layer and a linear head for `rows` inputs at a time, on slices of the flat arrays
   * `params` and `grads` that begin at `start`. */
  class Network {
    constructor(nIn, nHidden, nOut, params, grads, start, rows) {
      Object.assign(this, { nIn, nHidden, nOut, rows, start });
      this.sizes = [nHidden * nIn, nHidden, nOut * nHidden, nOut]; // weight, bias, weight, bias
      this.end = start;
      const slices = this.sizes.map((size) => [this.end, (this.end += size)]);
      [this.w1, this.b1, this.w2, this.b2] = slices.map(([a, b]) => params.subarray(a, b));
      [this.dW1, this.dB1, this.dW2, this.dB2] = slices.map(([a, b]) => grads.subarray(a, b));
      const Floats = params.constructor;
      this.hidden = new Floats(rows * nHidden);
      this.out = new Floats(rows * nOut);
      this.dOut = new Floats(rows * nOut); // for the caller to fill before backward
      this.dHidden = new Floats(rows * nHidden);
      this.dX = new Floats(rows * nIn);
    }

    /* (rows, nIn) -> (rows, nOut), the same array each time. */
    forward(x) {
      affine(x, this.w1, this.b1, this.hidden, this.rows, this.nIn, this.nHidden);
      for (let i = 0; i < this.hidden.length; i++) this.hidden[i] = Math.tanh(this.hidden[i]);
      affine(this.hidden, this.w2, this.b2, this.out, this.rows, this.nHidden, this.nOut);
      return this.out;
    }

    /* Adds the gradients of the parameters, given dOut; with `ofInput` leaves that of x in dX. */
    backward(x, ofInput) {
      const { rows, nIn, nHidden, nOut, hidden, dHidden, dOut } = this;
      addWeightGradient(hidden, dOut, this.dW2, this.dB2, rows, nHidden, nOut);
      inputGradient(this.w2, dOut, dHidden, rows, nHidden, nOut);
      for (let i = 0; i < dHidden.length; i++) dHidden[i] *= 1 - hidden[i] * hidden[i];
      addWeightGradient(x, dHidden, this.dW1, this.dB1, rows, nIn, nHidden);
      if (ofInput) inputGradient(this.w1, dHidden, this.dX, rows, nIn, nHidden);
    }
  }

  /* ---- the model ---- */

  const sigmoid = (t) => 1 / (1 + Math.exp(-t));
  const softplus = (t) => Math.max(t, 0) + Math.log1p(Math.exp(-Math.abs(t)));

  /* p(x, z) and q(z|x) of the paper's Appendix C with Bernoulli pixels, for `batch` images at once.
   * `params` holds encoder.0.weight, encoder.0.bias, encoder.2.*, decoder.0.*, decoder.2.*: the
   * order of vae_core's named_parameters(). `sums` are Adagrad's sums of squares. */
  class Vae {
    constructor({ pixels, hidden, latent, batch }, Floats = Float32Array) {
      Object.assign(this, { pixels, latent, batch });
      const n = hidden * (pixels + 1) + 2 * latent * (hidden + 1)
        + hidden * (latent + 1) + pixels * (hidden + 1);
      for (const name of ["params", "sums", "grads"]) this[name] = new Floats(n);
      const { params, grads } = this;
      this.encoder = new Network(pixels, hidden, 2 * latent, params, grads, 0, batch);
      const { end } = this.encoder;
      this.decoder = new Network(latent, hidden, pixels, params, grads, end, batch);
      this.z = new Floats(batch * latent);
      this.x = new Floats(batch * pixels); // a dream, in wake-sleep
    }

    /* Every parameter from N(0, sd^2). */
    initialise(random, sd) {
      for (let i = 0; i < this.params.length; i++) this.params[i] = sd * random.normal();
    }

    /* z = m + s epsilon for the encoder's present output; epsilon (batch, latent). */
    reparameterise(epsilon) {
      const { z, latent, encoder: { out } } = this;
      for (let at = 0; at < z.length; at++) {
        const [m, v] = this.codeAt(at);
        z[at] = out[m] + Math.exp(0.5 * out[v]) * epsilon[at];
      }
      return z;
    }

    /* Where mean and log variance of element `at` of z (batch, latent) stand in encoder.out. */
    codeAt(at) {
      const { latent } = this;
      const mean = 2 * latent * Math.floor(at / latent) + (at % latent);
      return [mean, mean + latent];
    }

    /* log p(x|z) of row i, given the decoder's present output. */
    logLikelihood(x, i) {
      const { pixels, decoder: { out: logits } } = this;
      let sum = 0;
      for (let at = i * pixels; at < (i + 1) * pixels; at++) {
        sum += x[at] * logits[at] - softplus(logits[at]);
      }
      return sum;
    }

    /* KL(q(z|x) || p(z)) of row i, given the encoder's present output (Appendix B). */
    kl(i) {
      let sum = 0;
      for (let at = i * this.latent; at < (i + 1) * this.latent; at++) {
        const [m, v] = this.codeAt(at);
        const { out } = this.encoder;
        sum -= 0.5 * (1 + out[v] - out[m] * out[m] - Math.exp(out[v]));
      }
      return sum;
    }

    /* Fills the decoder's dOut with the gradient of -weight log p(x|z) in the logits. */
    decoderError(x, weight) {
      const { out, dOut } = this.decoder;
      for (let i = 0; i < out.length; i++) dOut[i] = weight * (sigmoid(out[i]) - x[i]);
    }

    /* Gradients of -weight f(z) log q(z|x) in mean and log variance, f = log p(x|z) and, with the
     * KL term, + log p(z) - log q(z|x): the naive estimator of Section 2.2. */
    addScoreGradient(x, epsilon, weight, withKl) {
      const { latent, z, encoder: { out, dOut } } = this;
      for (let i = 0; i < this.batch; i++) {
        let f = this.logLikelihood(x, i);
        for (let at = i * latent; withKl && at < (i + 1) * latent; at++) {
          const logVar = out[this.codeAt(at)[1]];
          f += 0.5 * (logVar + epsilon[at] * epsilon[at] - z[at] * z[at]);
        }
        for (let at = i * latent; at < (i + 1) * latent; at++) {
          const [m, v] = this.codeAt(at);
          dOut[m] -= weight * f * epsilon[at] * Math.exp(-0.5 * out[v]);
          dOut[v] -= weight * f * 0.5 * (epsilon[at] * epsilon[at] - 1);
        }
      }
    }

    /* The same through z = m + s epsilon, given the gradient of z in the decoder's dX. */
    addPathGradient(epsilon) {
      const { z, encoder: { out, dOut }, decoder: { dX } } = this;
      for (let at = 0; at < z.length; at++) {
        const [m, v] = this.codeAt(at);
        dOut[m] += dX[at];
        dOut[v] += dX[at] * 0.5 * Math.exp(0.5 * out[v]) * epsilon[at];
      }
    }

    addKlGradient() {
      const { out, dOut } = this.encoder;
      for (let at = 0; at < this.z.length; at++) {
        const [m, v] = this.codeAt(at);
        dOut[m] += out[m];
        dOut[v] += 0.5 * (Math.exp(out[v]) - 1);
      }
    }

    /* Gradients of the loss of AEVB in all parameters: x (batch, pixels), epsilons a list of L
     * arrays (batch, latent); estimator "sgvb_b" (eq. 7) or "score_function". */
    aevbGradients(x, epsilons, { estimator, withKl }) {
      const isPath = estimator === "sgvb_b";
      const weight = 1 / epsilons.length;
      this.grads.fill(0);
      this.encoder.forward(x);
      this.encoder.dOut.fill(0);
      for (const epsilon of epsilons) {
        this.decoder.forward(this.reparameterise(epsilon));
        this.decoderError(x, weight);
        this.decoder.backward(this.z, isPath);
        if (isPath) this.addPathGradient(epsilon);
        else this.addScoreGradient(x, epsilon, weight, withKl);
      }
      if (isPath && withKl) this.addKlGradient();
      this.encoder.backward(x, false);
      return this.grads;
    }

    /* One Adagrad step on `network`, after the gradient of the weights' prior N(0, 1), which counts
     * `precision` = M / N for a minibatch; biases have no prior. */
    adagrad({ start, end, sizes }, stepSize, precision) {
      const { params, grads, sums } = this;
      const firstBias = start + sizes[0], secondWeight = firstBias + sizes[1];
      const secondBias = secondWeight + sizes[2];
      for (let i = start; i < end; i++) {
        const isBias = i >= secondBias || (i >= firstBias && i < secondWeight);
        const g = isBias ? grads[i] : grads[i] + precision * params[i];
        sums[i] += g * g;
        params[i] -= (stepSize * g) / Math.sqrt(sums[i] + ADAGRAD_EPSILON);
      }
    }

    aevbStep(x, noise, settings, precision) {
      this.aevbGradients(x, noise.epsilons, settings);
      this.adagrad(this.encoder, settings.stepSize, precision);
      this.adagrad(this.decoder, settings.stepSize, precision);
    }

    /* Wake: z ~ q(z|x), the decoder climbs log p(x|z). Sleep: the moved decoder dreams (x, z), the
     * encoder climbs log q(z|x). Noise: epsilons[0] and dreamZ normal, dreamX uniform. */
    wakeSleepStep(x, noise, settings, precision) {
      this.grads.fill(0);
      this.encoder.forward(x);
      this.decoder.forward(this.reparameterise(noise.epsilons[0]));
      this.decoderError(x, 1);
      this.decoder.backward(this.z, false);
      this.adagrad(this.decoder, settings.stepSize, precision);
      const logits = this.decoder.forward(noise.dreamZ);
      for (let i = 0; i < logits.length; i++) {
        this.x[i] = noise.dreamX[i] < sigmoid(logits[i]) ? 1 : 0;
      }
      this.sleepGradients(noise.dreamZ);
      this.adagrad(this.encoder, settings.stepSize, precision);
    }

    /* Gradients of -log q(z|x) for the dream (this.x, z). */
    sleepGradients(z) {
      const { out, dOut } = this.encoder;
      this.encoder.forward(this.x);
      for (let at = 0; at < z.length; at++) {
        const [m, v] = this.codeAt(at);
        const error = z[at] - out[m], precision = Math.exp(-out[v]);
        dOut[m] = -error * precision;
        dOut[v] = 0.5 * (1 - error * error * precision);
      }
      this.encoder.backward(this.x, false);
    }
  }

  return { LOG_2PI, Random, Vae };
};
