/* What is too wide for its column is set smaller, within reason, an equation above its number; what
 * scrolls all the same can be scrolled from the keyboard. A picture of pixels fills the window when it is
 * pressed. */
(() => {
  /* The theme's last script asks what "auto" stands for, and the whole page is laid out again. Asked
   * here, before there is a page, neither it nor an instrument is drawn twice. */
  const page = document.documentElement.dataset;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  page.theme = ["light", "dark"].includes(page.mode) ? page.mode : system;

  /* Formulas are set once the page and its instruments have been drawn: it takes a while. */
  const isDrawn = new Promise((done) =>
    document.addEventListener("DOMContentLoaded", () =>
      document.hidden ? done() : requestAnimationFrame(() => setTimeout(done)),
    ),
  );
  if (window.MathJax) {
    const pageReady = () => isDrawn.then(() => window.MathJax.startup.defaultPageReady());
    window.MathJax.startup = { ...window.MathJax.startup, pageReady };
  }

  const SMALLEST = { "mjx-container[display]": 0.6, pre: 0.8 }; // of the usual size
  const BESIDE = 0.8; // an equation keeps its number beside it if that leaves it at least so large
  const SCROLLERS =
    "mjx-container[display], pre, div.cell_output, .bd-article table, .pst-scrollable-table-container";

  function fit(element, smallest) {
    element.dataset.usualSize ??= element.style.fontSize;
    element.style.fontSize = element.dataset.usualSize;
    const equation = element.closest("div.math");
    equation?.classList.remove("vc-below");
    equation?.classList.toggle("vc-below", element.clientWidth < BESIDE * element.scrollWidth);
    const share = element.clientWidth / element.scrollWidth;
    if (share < 1) {
      const size = parseFloat(getComputedStyle(element).fontSize);
      element.style.fontSize = `${size * Math.max(smallest, 0.985 * share)}px`;
    }
  }

  function mark(region) {
    const scrolls =
      region.scrollWidth > region.clientWidth && getComputedStyle(region).overflowX !== "visible";
    if (scrolls) region.tabIndex = 0;
    else region.removeAttribute("tabindex");
  }

  function layOut() {
    for (const [kind, smallest] of Object.entries(SMALLEST))
      document.querySelectorAll(`.bd-article ${kind}`).forEach((element) => fit(element, smallest));
    document.querySelectorAll(SCROLLERS).forEach(mark);
  }

  /* Escape or a press takes it away, and the focus goes back to where it was. */
  function enlarge(picture) {
    const dialog = document.createElement("dialog");
    dialog.className = "vc-large";
    dialog.setAttribute("aria-label", "Enlarged. Escape closes.");
    dialog.append(picture.cloneNode());
    dialog.addEventListener("click", () => dialog.close());
    dialog.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation(); // the search of the page would keep the dialog open
      dialog.close();
    });
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  function makePressable(picture) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "vc-enlarge", title: "Enlarge" });
    picture.replaceWith(button);
    button.append(picture);
    button.addEventListener("click", () => enlarge(picture));
  }

  const whenSet = () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(layOut);
  document.addEventListener("DOMContentLoaded", () =>
    document.querySelectorAll(".vc-figure img.vc-pixels").forEach(makePressable),
  );
  window.addEventListener("load", whenSet);
  window.addEventListener("resize", layOut);
  document.addEventListener("toggle", layOut, true); // a drawer that opens was not laid out before
})();
