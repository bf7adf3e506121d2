/* What scrolls sideways can be reached and scrolled from the keyboard. */
(() => {
  const scrollers = "mjx-container[display], div.math, div.cell_output, .bd-article table";
  const mark = () => {
    for (const region of document.querySelectorAll(scrollers)) {
      const scrolls =
        region.scrollWidth > region.clientWidth && getComputedStyle(region).overflowX !== "visible";
      if (scrolls) region.tabIndex = 0;
      else region.removeAttribute("tabindex");
    }
  };
  const whenSet = () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(mark);
  window.addEventListener("load", whenSet);
  window.addEventListener("resize", mark);
})();
