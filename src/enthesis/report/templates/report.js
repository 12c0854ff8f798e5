"use strict";
// The page works without this. It opens what a link leads into, marks where the reader is, and opens all folds.
(function () {
  function reveal() {
    var id = decodeURIComponent(location.hash.slice(1));
    var target = id && document.getElementById(id);
    if (!target) return;
    for (var p = target; p; p = p.parentElement) if (p.tagName === "DETAILS") p.open = true;
    target.scrollIntoView();
  }
  window.addEventListener("hashchange", reveal);
  reveal();

  var contents = document.getElementById("contents");
  if (window.matchMedia("(max-width: 70rem)").matches) contents.open = false;

  var folds = document.querySelectorAll("main details");
  var button = document.getElementById("unfold");
  if (folds.length) {
    button.hidden = false;
    button.addEventListener("click", function () {
      var open = button.dataset.open !== "yes";
      folds.forEach(function (d) { d.open = open; });
      button.dataset.open = open ? "yes" : "no";
      button.textContent = open ? "Close all folded parts" : "Open all folded parts";
    });
  }

  var links = {};
  document.querySelectorAll("nav a").forEach(function (a) { links[a.getAttribute("href").slice(1)] = a; });
  var seen = new IntersectionObserver(function (entries) {
    entries.forEach(function (e) {
      if (!e.isIntersecting) return;
      Object.keys(links).forEach(function (k) { links[k].removeAttribute("aria-current"); });
      links[e.target.id].setAttribute("aria-current", "location");
    });
  }, { rootMargin: "-10% 0px -80% 0px" });
  Object.keys(links).forEach(function (id) {
    var s = document.getElementById(id);
    if (s) seen.observe(s);
  });
})();
