/* Figures 2 and 3 live: point at a curve and read samples, the paper, ours and the difference;
 * algorithms, sizes, seeds and steps on and off; the paper's curves past the edge of the print.
 *
 * A .vc-figure with its numbers as JSON becomes live; its still drawing stays for print. The
 * numbers come from vaePlay.curves (curves_core.js). No library, no request, nothing moves by itself.
 */
(function () {
  "use strict";

  const STARTED = performance.now();
  const { last, limits, logTicks, read, ticks, valueAt } = globalThis.vaePlay.curves;
  const EDGE = { left: 38, right: 8, top: 6, bottom: 22 }; // CSS pixels around a panel's axes
  const KEYS = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10 }; // hundredths of the axis
  const DASHES = { train: "", test: "6 3" };
  const SPLITS = { train: "training", test: "test" };
  const OFF_AT_FIRST = new Set(["step", "beyond"]);
  const UNITS = [[1e6, "M"], [1e3, "k"], [1, ""]];

  const minus = (text) => text.replace("-", "−");
  const nats = (value) => (Number.isFinite(value) ? minus((+value.toFixed(1) + 0).toFixed(1)) : "–");
  const signed = (value) => (+value.toFixed(1) > 0 ? "+" : "") + nats(value);
  const isOurs = (curve) => !curve.paper;
  const number = (text) => Number(text.replaceAll(",", ""));
  const plain = (html) => html.replace(/<[^>]*>/g, "");
  const swatch = (color, dash = "", width = 3, opacity = 1) =>
    `<svg viewBox="0 0 30 12" aria-hidden="true"><path d="M1 6H29" stroke="${color}"
      stroke-width="${width}" stroke-dasharray="${dash}" stroke-opacity="${opacity}"/></svg>`;

  function counted(samples) {
    if (samples < 1e6) return Number(samples.toPrecision(3)).toLocaleString("en");
    return `${Number((samples / 1e6).toPrecision(3))} million`;
  }

  function tickLabel(value, isLog) {
    if (isLog && Number.isInteger(Math.log10(value))) {
      return `10<tspan dy="-4" font-size="8">${Math.log10(value)}</tspan>`;
    }
    const [unit, letter] = UNITS.find(([size]) => value >= size) ?? [1, ""];
    return `${value / unit}${letter}`;
  }

  class LiveFigure {
    constructor(root, data) {
      Object.assign(this, { root, data });
      this.part = (name) => root.querySelector(`.vl-${name}`);
      const ends = data.panels.map((panel) => Math.max(...panel.curves.filter(isOurs).map(last)));
      this.at = Math.min(...ends);
      root.insertAdjacentHTML("beforeend", this.markup());
      this.panels = data.panels.map((panel, i) => this.panelOf(panel, i));
      this.active = this.panels[0];
      this.form = root.querySelector("form");
      this.form.addEventListener("change", () => this.choose());
      this.choose();
      const panels = this.part("panels");
      new ResizeObserver(() => { if (panels.clientWidth !== this.width) this.draw(); }).observe(panels);
      root.classList.add("vl-on"); // the still drawing goes once this one stands
      requestAnimationFrame(() => setTimeout(() => {
        root.dataset.firstFrame = Math.round(performance.now() - STARTED); // as in explorer.js
      }));
    }

    /* ---- what can be chosen ---- */

    markup() {
      const panels = this.data.panels.map(({ title }) => `<div class="vl-panel"><div
        class="vc-title">${title}</div><svg tabindex="0" role="slider"
        aria-label="${plain(title)}"></svg></div>`);
      return `<div class="vl-live"><form class="vl-controls" autocomplete="off" aria-label="What is drawn">
        ${this.controls()}</form><p class="vl-axis">${this.data.label}</p>
        <div class="vl-panels">${panels.join("")}</div><div class="vl-reading"></div></div>`;
    }

    controls() {
      const { algorithms, panels, sizeName } = this.data;
      const curves = panels.flatMap((panel) => panel.curves);
      const numbers = (values) => [...new Set(values)].sort((a, b) => number(a) - number(b));
      const boxes = (name, values) => values.map((value) => [name, value, value]);
      const seeds = numbers(curves.filter((c) => isOurs(c) && !c.step).map((c) => `${c.seed}`));
      const groups = {
        Algorithms: Object.entries(algorithms).map(([key, [name, color]]) =>
          ["algorithm", key, swatch(color, "", 6) + name]),
        Images: Object.entries(DASHES).map(([split, dash]) =>
          ["split", split, swatch("currentColor", dash) + SPLITS[split]]),
        [sizeName]: boxes("size", numbers(panels.map(({ size }) => size))),
        Seeds: seeds.length > 1 ? boxes("seed", seeds) : [],
        "Other steps": boxes("step", numbers(curves.filter((c) => c.step).map((c) => c.step.size))),
        "The paper": curves.every(isOurs) ? [] : [["paper", "on", swatch("currentColor", "", 7, 0.4)
          + "curves"], ["beyond", "on", "past the edge of its print"]],
      };
      return Object.entries(groups).filter(([, of]) => of.length).map(([label, of]) =>
        `<fieldset><legend>${label}</legend>${of.map(([name, value, shown]) => `<label><input
          type="checkbox" name="${name}" value="${value}" ${OFF_AT_FIRST.has(name) ? "" : "checked"}>
          ${shown}</label>`).join("")}</fieldset>`).join("");
    }

    choose() {
      const off = new Set(
        [...this.form.querySelectorAll("input:not(:checked)")].map((box) => box.name + box.value));
      const isOn = (name, value) => !off.has(`${name}${value}`);
      this.beyond = isOn("beyond", "on");
      for (const panel of this.panels) {
        panel.box.hidden = !isOn("size", panel.size);
        panel.truthsShown = panel.truths.filter((truth) => isOn("algorithm", truth.algorithm)
          && isOn("split", truth.split) && isOn("seed", truth.seed));
        panel.shown = panel.curves.filter((curve) => isOn("algorithm", curve.algorithm)
          && isOn("split", curve.split) && (curve.paper ? isOn("paper", "on")
            : curve.step ? isOn("step", curve.step.size) : isOn("seed", curve.seed)));
      }
      this.arrange(this.panels.filter((panel) => !panel.box.hidden));
      this.draw();
    }

    /* A row for each data set, data sets of one panel share a row; more than five panels break. */
    arrange(visible) {
      const rows = Map.groupBy(visible, (panel) => panel.row);
      const longest = Math.max(1, ...[...rows.values()].map((row) => row.length));
      const side = longest > 1 ? longest : Math.max(1, rows.size);
      const columns = Math.ceil(side / Math.ceil(side / 5));
      for (const row of rows.values()) {
        row.forEach(({ box }, i) => box.classList.toggle("vl-first", i === 0 && longest > 1));
      }
      const { style } = this.part("panels");
      style.setProperty("--vl-columns", columns);
      style.setProperty("--vl-least", columns > 2 ? "7.2rem" : "16rem");
      if (visible.length && this.active.box.hidden) [this.active] = visible;
    }

    /* ---- pointing and keys ---- */

    panelOf(panel, i) {
      const box = this.root.querySelectorAll(".vl-panel")[i];
      const svg = box.querySelector("svg");
      const own = { ...panel, box, svg, shown: panel.curves };
      const follow = (event) => {
        const { left } = svg.getBoundingClientRect();
        this.point(own, own.samplesAt(event.clientX - left));
      };
      svg.addEventListener("pointermove", follow);
      svg.addEventListener("pointerdown", follow);
      svg.addEventListener("focus", () => this.point(own, this.at));
      svg.addEventListener("keydown", (event) => {
        const hundredths = KEYS[event.key];
        if (hundredths) this.point(own, own.moved(this.at, hundredths / 100));
        else if (event.key === "Home" || event.key === "End") {
          this.point(own, own.limits.x[event.key === "End" ? 1 : 0]);
        } else return;
        event.preventDefault();
      });
      return own;
    }

    point(panel, samples) {
      Object.assign(this, { active: panel, at: samples });
      this.mark();
    }

    /* ---- drawing ---- */

    draw() {
      const visible = this.panels.filter((panel) => !panel.box.hidden);
      this.width = this.part("panels").clientWidth;
      for (const panel of visible) panel.width = panel.box.clientWidth || 150; // one layout for all
      visible.forEach((panel) => this.drawPanel(panel));
      this.mark();
    }

    drawPanel(panel) {
      const { isLog, maxGap } = this.data, { svg, shown, width } = panel;
      const height = Math.round(Math.min(0.95 * width, 110 + 0.36 * width));
      const { x, y } = panel.limits = limits(panel, isLog, this.beyond);
      const [from, to] = isLog ? x.map(Math.log) : x;
      const innerWidth = width - EDGE.left - EDGE.right, innerHeight = height - EDGE.top - EDGE.bottom;
      const scale = (v) => ((isLog ? Math.log(v) : v) - from) / (to - from);
      const samplesOf = (share) => {
        const value = from + (to - from) * Math.min(1, Math.max(0, share));
        return isLog ? Math.exp(value) : Math.max(1, value);
      };
      panel.px = (v) => EDGE.left + innerWidth * scale(v);
      panel.py = (v) => EDGE.top + innerHeight * (1 - (v - y[0]) / (y[1] - y[0]));
      panel.samplesAt = (px) => samplesOf((px - EDGE.left) / innerWidth);
      panel.moved = (samples, by) => samplesOf(scale(samples) + by);
      panel.valueOf = (curve, at) => valueAt(curve, at, curve.paper && maxGap);
      const id = `vl-clip-${this.root.dataset.digest}-${this.panels.indexOf(panel)}`;
      const lines = [...shown].sort((a, b) => !!b.paper - !!a.paper).map((c) => this.line(panel, c));
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.innerHTML = `${this.grid(panel, width, height)}
        <clipPath id="${id}"><rect x="${EDGE.left}" y="${EDGE.top}" width="${innerWidth}"
          height="${innerHeight}"/></clipPath>
        <g clip-path="url(#${id})">${this.edge(panel)}${lines.join("")}</g>
        ${panel.truthsShown.map((truth) => this.diamond(panel, truth)).join("")}<g class="vl-cursor"></g>`;
    }

    grid({ limits: { x, y }, px, py }, width, height) {
      const { isLog } = this.data, floor = height - EDGE.bottom, end = width - EDGE.right;
      const columns = isLog ? logTicks(x) : ticks(x, Math.max(2, Math.floor(width / 75)));
      return ticks(y, 5).map((v) => `<path class="vl-grid" d="M${EDGE.left} ${py(v)}H${end}"/>
          <text x="${EDGE.left - 4}" y="${py(v) + 4}" text-anchor="end">${minus(`${v}`)}</text>`).join("")
        + columns.map((v) => `<path class="vl-grid" d="M${px(v)} ${EDGE.top}V${floor}"/>
          <text x="${Math.min(px(v), width - 12)}" y="${height - 6}" text-anchor="middle">${tickLabel(v, isLog)}</text>`).join("")
        + `<path class="vl-frame" d="M${EDGE.left} ${EDGE.top}V${floor}H${end}"/>`;
    }

    /* What lies past the edge of the print is shaded. */
    edge({ axes, limits: { x }, px }) {
      if (!axes || x[1] <= axes[0][1]) return "";
      const start = px(axes[0][1]);
      return `<rect class="vl-beyond" x="${start}" y="0" width="${px(x[1]) - start}" height="100%"/>`;
    }

    line({ px, py, shown }, curve) {
      const { algorithm, split, step, paper, samples, values } = curve;
      const points = values.flatMap((v, i) =>
        samples[i] > 0 ? [`${px(samples[i]).toFixed(1)},${py(v).toFixed(1)}`] : []);
      const isSeed = (c) => isOurs(c) && !c.step && c.algorithm === algorithm && c.split === split;
      const ours = shown.filter(isSeed).length > 1 ? "vl-seed" : "vl-ours";
      if (points.length === 1) { // one evaluation is a point, hollow on test images
        const [x, y] = points[0].split(","), color = this.data.algorithms[algorithm][1];
        const look = split === "test" ? `r="3.5" fill="none" stroke="${color}"` : `r="2.5" fill="${color}"`;
        return `<circle cx="${x}" cy="${y}" ${look}/>`;
      }
      return `<polyline class="${paper ? "vl-paper" : step ? "vl-other" : ours}"
        points="${points.join(" ")}" stroke="${this.data.algorithms[algorithm][1]}"
        stroke-dasharray="${DASHES[split]}"/>`;
    }

    /* What a finished model is worth by quadrature; hollow on test images. */
    diamond({ px, py, limits: { y } }, { algorithm, split, samples, value }) {
      if (value < y[0] || value > y[1]) return "";
      const color = this.data.algorithms[algorithm][1];
      return `<path class="vl-truth" d="M${px(samples)} ${py(value) - 4.5}l4.5 4.5l-4.5 4.5l-4.5 -4.5z"
        stroke="${color}" fill="${split === "train" ? color : "none"}"/>`;
    }

    /* ---- the cursor in every panel, and what the active one reads there ---- */

    mark() {
      for (const panel of this.panels) {
        if (panel.box.hidden) continue;
        const { svg, limits: { x, y }, px, py, shown } = panel;
        const isWithin = (v) => v >= y[0] && v <= y[1];
        const dots = shown.map((curve) => [curve, panel.valueOf(curve, this.at)])
          .filter(([, value]) => isWithin(value)).map(([curve, value]) =>
            `<circle cx="${px(this.at)}" cy="${py(value)}" r="${curve.paper ? 4 : 3}"
              class="${curve.paper ? "vl-paper" : ""}" fill="${this.data.algorithms[curve.algorithm][1]}"/>`);
        const isInside = this.at >= x[0] && this.at <= x[1];
        svg.querySelector(".vl-cursor").innerHTML = isInside
          ? `<path d="M${px(this.at)} ${EDGE.top}V${py(y[0])}"/>${dots.join("")}` : "";
        panel.box.classList.toggle("vl-active", panel === this.active);
        this.tell(panel);
      }
      this.write();
    }

    /* Another step has no curve of the paper to itself: it is read where it was run. */
    readings(panel) {
      const known = ({ step, paper, ours }) =>
        (!step && Number.isFinite(paper)) || Number.isFinite(ours);
      return read(panel.shown, this.at, this.data.maxGap).filter(known);
    }

    name({ algorithm, split, step }) {
      return `${this.data.algorithms[algorithm][0]} (${split})${step ? `, ${step.words}` : ""}`;
    }

    tell(panel) {
      const { svg, limits: { x } } = panel;
      const words = this.readings(panel).map((r) => `${this.name(r)}: paper ${nats(r.paper)}, `
        + `ours ${nats(r.ours)}, difference ${signed(r.difference)}`);
      svg.setAttribute("aria-valuemin", Math.round(x[0]));
      svg.setAttribute("aria-valuemax", Math.round(x[1]));
      svg.setAttribute("aria-valuenow", Math.round(this.at));
      svg.setAttribute("aria-valuetext", [`${counted(this.at)} samples`, ...words].join("; "));
    }

    write() {
      const rows = this.readings(this.active).map((reading) => {
        const { split, ours, spread, paper, difference, all } = reading;
        const line = swatch(this.data.algorithms[reading.algorithm][1], DASHES[split]);
        const range = all.length > 1 ? ` ± ${nats(spread)}` : "";
        return `<tr><th scope="row">${line}${this.name(reading)}</th><td>${nats(paper)}</td>
          <td>${nats(ours)}${range}</td><td>${signed(difference)}</td></tr>`;
      });
      const caption = `${this.active.title}, at ${counted(this.at)} samples, in nats`;
      const heads = ["Paper", "Ours", "Difference"].map((name) => `<th scope="col">${name}</th>`);
      this.part("reading").innerHTML = `<table><caption>${caption}</caption><thead><tr><td></td>
        ${heads.join("")}</tr></thead><tbody>${rows.join("")}</tbody></table>`;
    }
  }

  function start() {
    document.querySelectorAll(".vc-figure > script[type='application/json']").forEach((script) => {
      const data = JSON.parse(script.textContent);
      if (data.panels.length) script.parentElement.liveFigure ??= new LiveFigure(script.parentElement, data);
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
