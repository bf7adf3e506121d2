/* The film strip: Figure 4's plane as it is learned, on a slider, with a cursor on the bound's curve.
 *
 * <div class="film-strip" data-frames="film_mnist.js"></div> becomes the instrument. The frames, a
 * script that sets vaePlay.film, are the heaviest part of their page: they are loaded once the
 * strip is near. No library, no other host: works from file:// and http:// alike. The still strip
 * of the page is hidden once the first frame is there.
 */
(function () {
  "use strict";

  const VIEW = { width: 320, height: 210, left: 42, right: 8, top: 8, bottom: 36 };
  const LOWEST = -190; // nats; the curve comes from far below
  const FRAME_MS = 700;
  const MARKUP = `
    <div class="fs-live">
      <img class="fs-plane" width="448" height="448">
      <div class="fs-side">
        <svg class="fs-curve" viewBox="0 0 ${VIEW.width} ${VIEW.height}" aria-hidden="true"></svg>
        <p class="fs-key"><span>training</span> <span class="fs-test">test</span></p>
        <form autocomplete="off" onsubmit="return false"><label>training samples
          <input type="range" name="frame" min="0" step="1"></label>
          <button type="button" name="play">Play</button></form>
        <p class="fs-text" role="status"></p>
      </div>
    </div>`;

  const nats = (value) => value.toFixed(1).replace("-", "−");

  class Film {
    constructor(root, { curve, frames }, started) {
      Object.assign(this, { root, curve, frames });
      root.insertAdjacentHTML("beforeend", MARKUP);
      this.form = root.querySelector("form");
      this.slider = this.form.elements.frame;
      this.slider.max = frames.length - 1;
      this.drawCurve();
      this.listen();
      this.part("plane").addEventListener("load", () => requestAnimationFrame(() => setTimeout(() => {
        root.dataset.firstFrame = Math.round(performance.now() - started); // as in explorer.js
      })), { once: true });
      this.show(frames.length - 1);
      root.classList.add("fs-ready");
    }

    part(name) { return this.root.querySelector(`.fs-${name}`); }

    listen() {
      this.slider.addEventListener("input", () => { this.pause(); this.show(+this.slider.value); });
      this.form.elements.play.addEventListener("click", () => (this.timer ? this.pause() : this.play()));
      const svg = this.part("curve");
      const follow = (event) => {
        const box = svg.getBoundingClientRect();
        this.pause();
        this.show(this.nearest(VIEW.width * (event.clientX - box.left) / box.width));
      };
      svg.addEventListener("pointerdown", (event) => { svg.setPointerCapture(event.pointerId); follow(event); });
      svg.addEventListener("pointermove", (event) => event.buttons && follow(event));
    }

    play() {
      if (this.frame === this.frames.length - 1) this.show(0);
      this.timer = setInterval(() => {
        this.show(this.frame + 1);
        if (this.frame === this.frames.length - 1) this.pause();
      }, FRAME_MS);
      this.form.elements.play.textContent = "Pause";
    }

    pause() {
      clearInterval(this.timer);
      this.timer = 0;
      this.form.elements.play.textContent = "Play";
    }

    x(samples) {
      const [first, last] = [this.curve.samples[0], this.curve.samples.at(-1)].map(Math.log);
      const share = (Math.log(samples) - first) / (last - first);
      return VIEW.left + share * (VIEW.width - VIEW.left - VIEW.right);
    }

    y(bound) {
      const highest = Math.max(...this.curve.train_bound, ...this.curve.test_bound);
      const share = (bound - LOWEST) / (highest + 3 - LOWEST);
      return VIEW.height - VIEW.bottom - share * (VIEW.height - VIEW.top - VIEW.bottom);
    }

    nearest(x) {
      const distance = ({ row }) => Math.abs(this.x(this.curve.samples[row]) - x);
      return this.frames.reduce((best, frame, i) =>
        (distance(frame) < distance(this.frames[best]) ? i : best), 0);
    }

    drawCurve() {
      const { curve } = this, bottom = VIEW.height - VIEW.bottom;
      const line = (name) => curve.samples.map((samples, i) =>
        `${this.x(samples).toFixed(1)},${this.y(curve[name][i]).toFixed(1)}`).join(" ");
      const decades = [4, 5, 6, 7].map((k) => `<text x="${this.x(10 ** k)}" y="${bottom + 16}"
        text-anchor="middle">10<tspan dy="-5" font-size="9">${k}</tspan></text>`);
      const heights = [-180, -170, -160, -150].map((v) => `<path class="fs-grid" d="M${VIEW.left} ${this.y(v)}
        H${VIEW.width - VIEW.right}"/><text x="${VIEW.left - 6}" y="${this.y(v) + 4}"
        text-anchor="end">${nats(v).replace(".0", "")}</text>`);
      const ticks = this.frames.map(({ row }) =>
        `<path class="fs-tick" d="M${this.x(curve.samples[row])} ${bottom}v5"/>`);
      this.part("curve").innerHTML = `${heights.join("")}${decades.join("")}${ticks.join("")}
        <path class="fs-axis" d="M${VIEW.left} ${bottom}H${VIEW.width - VIEW.right}"/>
        <svg width="${VIEW.width}" height="${bottom}">
          <polyline points="${line("train_bound")}"/>
          <polyline class="fs-test" points="${line("test_bound")}"/></svg>
        <text x="${VIEW.width - VIEW.right}" y="${VIEW.height - 3}" text-anchor="end">samples</text>
        <path class="fs-cursor"/><circle class="fs-dot" r="5"/>`;
    }

    /* What the cursor reads: a row of the curve. */
    reading() {
      const { row } = this.frames[this.frame], { samples, train_bound, test_bound } = this.curve;
      return { samples: samples[row], train: train_bound[row], test: test_bound[row] };
    }

    show(frame) {
      this.frame = frame;
      this.slider.value = frame;
      const { samples, train, test } = this.reading(), x = this.x(samples);
      // by itself, since Intl starts slowly
      const count = `${String(samples).replace(/\B(?=(\d{3})+$)/g, ",")} samples`;
      const image = this.part("plane");
      image.src = this.frames[frame].picture;
      image.alt = `The plane of digits after ${count}`;
      this.part("cursor").setAttribute("d", `M${x} ${VIEW.top}V${VIEW.height - VIEW.bottom}`);
      this.part("dot").setAttribute("transform", `translate(${x} ${this.y(Math.max(test, LOWEST))})`);
      this.slider.setAttribute("aria-valuetext", count);
      this.part("text").textContent = `After ${count}: bound ${nats(train)} nats on the training set, ` +
        `${nats(test)} on the test set.`;
    }
  }

  /* Nothing of it starts before the strip is near. */
  function load(root) {
    const started = performance.now();
    const script = document.createElement("script");
    script.src = root.dataset.frames;
    script.onload = () => { root.film ??= new Film(root, globalThis.vaePlay.film, started); };
    document.head.append(script);
  }

  function start() {
    const near = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        load(target);
      }
    }, { rootMargin: "100%" });
    document.querySelectorAll(".film-strip").forEach((root) => near.observe(root));
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
