// Before anything is shown: the theme that the reader chose last time, so that the page does not flash.
// Not a module: modules run after the first paint.
(function () {
  "use strict";
  try {
    const chosen = localStorage.getItem("dashboard-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch (refused) {
    // A browser may forbid storage: the system's theme is shown then, which is the default anyway.
  }
})();
