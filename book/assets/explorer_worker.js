/* The worker of the latent explorer: draws the ground of the plane, prepares the first lattice of the
 * quadrature, and answers for each image with its bound and its exact posterior.
 *
 * `vaePlay.explorerWorkerSource()` is its text. It takes {kind: "model", packed, more, columns}
 * first, then {kind: "image", id, x} at any time; of images that wait, only the last is answered. It posts
 * {kind: "ground", pixels, size}, {kind: "progress", share} and {kind: "posterior", id, ...}.
 */
(globalThis.vaePlay ??= {}).explorerWorker = function (core, scope) {
  "use strict";

  const SLICE_MS = 40; // of preparation between two looks at the messages
  let model, waiting = null, isReady = false;
  const cells = [];

  /* Pixel means at the middles of the cells of the plane, tile beside tile from the top left, as bytes:
   * {pixels, size} with size [height, width]. There are as many rows as keep the pictures' shape. */
  function ground({ shape: [height, width], reach }, columns) {
    const rows = Math.round(columns * width / height);
    const size = [rows * height, columns * width];
    const pixels = new Uint8ClampedArray(size[0] * size[1]);
    const at = (k, n) => reach * ((2 * k + 1) / n - 1);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        model.decode([at(column, columns), -at(row, rows)]).forEach((value, i) => {
          const y = row * height + Math.floor(i / width), x = column * width + i % width;
          pixels[y * size[1] + x] = 255 * value;
        });
      }
    }
    return { pixels, size };
  }

  /* Everything about one image: q(z|x), the bound and its parts, the posterior and its moments. */
  function answer({ id, x }) {
    const q = model.encode(x), statistics = model.statistics(x);
    const exact = core.posterior(model, statistics, cells);
    scope.postMessage({ kind: "posterior", id, q, ...core.bound(model, statistics, q), ...exact,
      ...core.moments(exact.leaves) });
  }

  function answerWaiting() {
    const image = waiting;
    waiting = null;
    if (image) answer(image);
  }

  function prepare(columns) {
    const until = performance.now() + SLICE_MS;
    let step;
    do step = columns.next(); while (!step.done && performance.now() < until);
    isReady = step.done;
    scope.postMessage({ kind: "progress", share: step.done ? 1 : step.value });
    if (isReady) answerWaiting();
    else setTimeout(prepare, 0, columns);
  }

  function start({ packed, more, columns }) {
    model = new core.Model(packed);
    scope.postMessage({ kind: "ground", ...ground(packed, columns) });
    if (!more) return;
    model.addEncoder(more);
    prepare(core.lattice(model, cells));
  }

  scope.onmessage = ({ data }) => {
    if (data.kind === "model") return start(data);
    waiting = data;
    if (isReady) setTimeout(answerWaiting, 0); // after the messages that already wait
  };
};

/* A script that needs no file: started from a Blob, it works where a worker's own file may not. */
globalThis.vaePlay.explorerWorkerSource = () =>
  `(${globalThis.vaePlay.explorerWorker})((${globalThis.vaePlay.explorer})(), self);`;
