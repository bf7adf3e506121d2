/* What the live curves of Figures 2 and 3 compute: values between vertices, readings, axes.
 *
 * A curve is {algorithm, split, samples, values}, with paper: true for one of the paper's, and with
 * seed, and step where it was trained with another step than the figure's own. No library.
 */
(globalThis.vaePlay ??= {}).curves = (() => {
  "use strict";

  /* The value at a sample count, linear in log samples; NaN outside the curve, and in a piece that
   * is longer than maxGap = [log samples, nats] both ways. As vae_core.runs.interpolate. */
  function valueAt({ samples, values }, at, maxGap = [Infinity, Infinity]) {
    const last = samples.length - 1;
    const x = Math.log(at), log = (i) => Math.log(samples[i]);
    if (last < 0 || x < log(0) - 1e-9 || x > log(last) + 1e-9) return NaN;
    if (last === 0) return values[0];
    let right = 1;
    while (right < last && log(right) < x) right++;
    const [x0, x1, y0, y1] = [log(right - 1), log(right), values[right - 1], values[right]];
    const meets = (v) => Math.abs(x - v) <= 1e-8 + 1e-5 * Math.abs(v);
    const isGap = x1 - x0 > maxGap[0] && Math.abs(y1 - y0) > maxGap[1];
    if (isGap && !meets(x0) && !meets(x1)) return NaN;
    return y0 + (y1 - y0) * Math.min(1, Math.max(0, (x - x0) / (x1 - x0)));
  }

  /* Curves at a sample count, one reading for each algorithm, split and step: the paper's value,
   * ours as the mean over seeds that reach so far, and half their range. */
  function read(curves, at, maxGap) {
    const readings = new Map();
    for (const curve of curves) {
      const { algorithm, split, step } = curve;
      const key = [algorithm, split, step?.words];
      const reading = readings.get(`${key}`) ?? { algorithm, split, step, paper: NaN, all: [] };
      readings.set(`${key}`, reading);
      const value = valueAt(curve, at, curve.paper && maxGap);
      if (curve.paper) reading.paper = value;
      else if (Number.isFinite(value)) reading.all.push(value);
    }
    for (const reading of readings.values()) {
      const { all, step, algorithm, split } = reading;
      if (step) reading.paper = readings.get(`${[algorithm, split, undefined]}`)?.paper ?? NaN;
      reading.ours = all.length ? all.reduce((a, b) => a + b) / all.length : NaN;
      reading.spread = all.length ? (Math.max(...all) - Math.min(...all)) / 2 : 0;
      reading.difference = reading.ours - reading.paper;
    }
    return [...readings.values()];
  }

  const last = ({ samples }) => samples[samples.length - 1];

  /* {x, y} of a panel: as printed, or with what the curves do past the right edge of the print.
   * Without a print, the end of our curves. */
  function limits({ axes, curves: all }, isLog, beyond) {
    const curves = axes ? all : all.filter(({ paper }) => !paper);
    const end = Math.max(...curves.map(last));
    const start = axes ? axes[0][0] : isLog ? end / 20 : 0;
    if (axes && !beyond) return { x: axes[0], y: axes[1] };
    const x = [start, axes ? Math.max(axes[0][1], end) : end];
    const from = axes ? axes[0][1] : Math.max(start, end / 20);
    const late = curves.flatMap((c) => c.values.filter((_, i) => c.samples[i] >= from));
    const range = [Math.min(...late, ...(axes?.[1] ?? [])), Math.max(...late, ...(axes?.[1] ?? []))];
    const margin = axes ? 0 : 0.05 * (range[1] - range[0]) + 1e-3;
    return { x, y: [range[0] - margin, range[1] + margin] };
  }

  /* Round numbers within a range, at most `most` of them. */
  function ticks([low, high], most) {
    const power = 10 ** Math.floor(Math.log10((high - low) / most));
    const step = [1, 2, 5, 10, 20].map((m) => m * power).find((s) => (high - low) / s <= most);
    const count = Math.floor(high / step + 1e-9) - Math.ceil(low / step - 1e-9) + 1;
    return Array.from({ length: count }, (_, i) =>
      +((Math.ceil(low / step - 1e-9) + i) * step).toPrecision(12));
  }

  /* Powers of ten within a range, and three times each where there are fewer than two. */
  function logTicks([low, high]) {
    const isWithin = (v) => v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9);
    const powers = Array.from({ length: 13 }, (_, k) => 10 ** k);
    const found = powers.filter(isWithin);
    return found.length > 1 ? found : powers.flatMap((p) => [p, 3 * p]).filter(isWithin);
  }

  return { last, limits, logTicks, read, ticks, valueAt };
})();
