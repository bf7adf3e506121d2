/* An equation that is too wide is set smaller; what still scrolls can be scrolled from the keyboard. */
(() => {
  const SMALLEST = 0.62; // of its size, below which an equation scrolls
  const SCROLLERS =
    "mjx-container[display], pre, div.cell_output, .bd-article table, .pst-scrollable-table-container";

  function fit(equation) {
    equation.style.fontSize = "";
    const share = equation.clientWidth / equation.scrollWidth;
    if (share < 1) {
      const size = parseFloat(getComputedStyle(equation).fontSize);
      equation.style.fontSize = `${size * Math.max(SMALLEST, share * 0.99)}px`;
    }
  }

  function mark(region) {
    const scrolls =
      region.scrollWidth > region.clientWidth && getComputedStyle(region).overflowX !== "visible";
    if (scrolls) region.tabIndex = 0;
    else region.removeAttribute("tabindex");
  }

  function layOut() {
    document.querySelectorAll("mjx-container[display]").forEach(fit);
    document.querySelectorAll(SCROLLERS).forEach(mark);
  }

  const whenSet = () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(layOut);
  window.addEventListener("load", whenSet);
  window.addEventListener("resize", layOut);
})();
