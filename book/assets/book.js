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

  /* On a phone a row of results becomes a card, in which each cell is named by its column. */
  function nameCells(table) {
    const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent);
    for (const row of table.tBodies[0].rows)
      [...row.cells].forEach((cell, column) => (cell.dataset.head = heads[column]));
  }

  const whenSet = () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(layOut);
  document.addEventListener("DOMContentLoaded", () =>
    document.querySelectorAll(".vc-table table").forEach(nameCells),
  );
  window.addEventListener("load", whenSet);
  window.addEventListener("resize", layOut);
  document.addEventListener("toggle", layOut, true); // a drawer that opens was not laid out before
})();
