/* The mathematics of the bound laboratory: one latent variable, one observation.
 *
 * z ~ N(0, 1) and x ~ N(g(z), NOISE^2) with g(z) = z + z^2 / 2, so that the posterior is skewed and
 * has a second mode for most x. q(z) = N(mean, sd^2). Everything is in nats; integrals
 * are sums over equal steps, which are exact to rounding for densities as smooth as these.
 */
(globalThis.vaePlay ??= {}).lab = (function () {
  "use strict";

  const HALF_LOG_2PI = 0.5 * Math.log(2 * Math.PI);
  const NOISE = 0.5;
  const REACH = 8, STEP = 0.02; // of the sums: z for the evidence, (z - mean) / sd under q
  const POINTS = Array.from({ length: 2 * Math.round(REACH / STEP) + 1 }, (_, i) => i * STEP - REACH);

  const logNormal = (v, mean, sd) => -HALF_LOG_2PI - Math.log(sd) - 0.5 * ((v - mean) / sd) ** 2;
  const decoderMean = (z) => z + z * z / 2;
  const logLikelihood = (x, z) => logNormal(x, decoderMean(z), NOISE);
  const logJoint = (x, z) => logNormal(z, 0, 1) + logLikelihood(x, z);
  const slope = (x, z) => (x - decoderMean(z)) * (1 + z) / NOISE ** 2; // of log p(x|z) in z

  const integral = (f) => STEP * POINTS.reduce((sum, z) => sum + f(z), 0);
  const expectation = (mean, sd, f) =>
    integral((e) => Math.exp(logNormal(e, 0, 1)) * f(mean + sd * e, e));

  const evidence = (x) => Math.log(integral((z) => Math.exp(logJoint(x, z))));

  /* {evidence, bound, gap, reconstruction, kl}, each by its own integral. */
  function terms(x, mean, sd) {
    const logEvidence = evidence(x);
    const logQ = (z) => logNormal(z, mean, sd);
    const average = (f) => expectation(mean, sd, f);
    return {
      evidence: logEvidence,
      bound: average((z) => logJoint(x, z) - logQ(z)),
      gap: average((z) => logQ(z) - (logJoint(x, z) - logEvidence)),
      reconstruction: average((z) => logLikelihood(x, z)),
      kl: average((z) => logQ(z) - logNormal(z, 0, 1)),
    };
  }

  /* The gradient of the bound in (mean, log sd), by quadrature. */
  function gradient(x, mean, sd) {
    const average = (f) => expectation(mean, sd, f);
    return [average((z) => slope(x, z)) - mean,
      average((z, e) => slope(x, z) * sd * e) - (sd * sd - 1)];
  }

  /* What the two estimators make of that gradient, each from the same draws of the noise: a list of
   * L numbers gives one estimate {path, score}, two pairs (mean, log sd). `rest` is the log density
   * of whatever else is observed and does not depend on z: it leaves both means as they are. */
  function estimate(x, mean, sd, noise, rest = 0) {
    const path = [0, 0], score = [0, 0];
    for (const e of noise) {
      const z = mean + sd * e;
      path[0] += (slope(x, z) - mean) / noise.length;
      path[1] += (slope(x, z) * sd * e - (sd * sd - 1)) / noise.length;
      const f = (logJoint(x, z) + rest - logNormal(z, mean, sd)) / noise.length;
      score[0] += (f * e) / sd;
      score[1] += f * (e * e - 1);
    }
    return { path, score };
  }

  /* Standard deviations of those estimates, {path, score} of (mean, log sd), by quadrature. */
  function scatter(x, mean, sd, nMc, rest = 0) {
    const exact = gradient(x, mean, sd);
    const of = (name) => exact.map((value, k) => {
      const square = (_, e) => (estimate(x, mean, sd, [e], rest)[name][k] - value) ** 2;
      return Math.sqrt(expectation(mean, sd, square) / nMc);
    });
    return { path: of("path"), score: of("score") };
  }

  /* The mean and sd, within `limits`, at which climbing the bound from (mean, sd) comes to rest. */
  function climb(x, mean, sd, limits) {
    const clamp = (v, [low, high]) => Math.min(high, Math.max(low, v));
    for (let i = 0; i < 400; i++) {
      const [byMean, byLogSd] = gradient(x, mean, sd);
      const shrink = 0.05 / (1 + 0.05 * Math.hypot(byMean, byLogSd)); // steep far from the top
      mean = clamp(mean + shrink * byMean, limits.mean);
      sd = clamp(sd * Math.exp(shrink * byLogSd), limits.sd);
    }
    return { mean, sd };
  }

  return { logNormal, logJoint, evidence, terms, gradient, estimate, scatter, climb };
})();
