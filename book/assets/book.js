/* What is too wide for its column is set smaller, within reason; what scrolls all the same can be
 * scrolled from the keyboard. */
(() => {
  const SMALLEST = { "mjx-container[display]": 0.6, pre: 0.8 }; // of the usual size
  const SCROLLERS =
    "mjx-container[display], pre, div.cell_output, .bd-article table, .pst-scrollable-table-container";

  function fit(element, smallest) {
    element.dataset.usualSize ??= element.style.fontSize;
    element.style.fontSize = element.dataset.usualSize;
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

  const whenSet = () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(layOut);
  window.addEventListener("load", whenSet);
  window.addEventListener("resize", layOut);
  document.addEventListener("toggle", layOut, true); // a drawer that opens was not laid out before
})();
