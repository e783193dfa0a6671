/* Code is folded until a reader asks for it, and a list of checks is one line that opens. */
"use strict";

addEventListener("DOMContentLoaded", () => {
  const folds = [...document.querySelectorAll("details.hide")];
  for (const fold of folds) {
    const cell = fold.closest(".tag_nbval-check-output");
    if (!cell) continue;
    const checks = cell.querySelector(".output")?.textContent.match(/: (True|False)$/gm) ?? [];
    const closed = fold.querySelector("summary .collapsed, summary span");
    const count = checks.length === 1 ? "1 check" : `${checks.length} checks`;
    if (closed && checks.length) closed.textContent = `${count} ran here`;
  }
  const bar = document.querySelector(".article-header-buttons");
  if (!bar || !folds.length) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-sm nav-link pst-navbar-icon live-code";
  button.textContent = "</>";
  const remembered = () => {
    try {
      return localStorage.getItem("code") === "on";
    } catch {
      return false; // a page from disk may have no storage
    }
  };
  let on = remembered();
  const show = () => {
    for (const fold of folds) fold.open = on;
    button.title = on ? "Fold all code" : "Show all code";
    button.setAttribute("aria-label", button.title);
    button.setAttribute("aria-pressed", on);
  };
  button.addEventListener("click", () => {
    on = !on;
    try {
      localStorage.setItem("code", on ? "on" : "off");
    } catch {
      // then it holds for this page
    }
    show();
  });
  bar.prepend(button);
  show();
});

/* On paper every fold but those of code is open, and a link into a fold opens it. */
{
  const closed = () => document.querySelectorAll("details:not(.hide):not([open])");
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...closed()];
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
  });
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folds = [];
    for (let at = target?.closest("details"); at; at = at.parentElement.closest("details")) {
      folds.push(at);
    }
    for (const fold of folds) fold.open = true;
    if (folds.length) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  addEventListener("DOMContentLoaded", reveal);
}

/* A formula wider than its line is set smaller; one that is still too wide scrolls, by keys too. */
{
  const smallest = 0.75;
  const fitting = (formula) => {
    const container = formula.querySelector(":scope > mjx-container");
    const line = formula.matches("div") ? container : formula;
    const { left, width } = line.getBoundingClientRect();
    const right = Math.max(
      ...[...container.querySelectorAll("mjx-math, mjx-math > *")].map(
        (piece) => piece.getBoundingClientRect().right,
      ),
    );
    return Math.min(1, width / (right + line.scrollLeft - left - 1));
  };
  const fade = ({ target }) => {
    const hidden = target.scrollWidth - target.clientWidth - target.scrollLeft;
    target.classList.toggle("goes-on", hidden > 1);
  };
  const fit = () => {
    const formulas = [...document.querySelectorAll(".bd-article .math:has(> mjx-container)")].filter(
      (formula) => formula.checkVisibility() && formula.clientWidth,
    );
    for (const formula of formulas) {
      formula.style.fontSize = "";
      formula.classList.remove("scrolls", "goes-on");
    }
    const sizes = formulas.map(() => 1);
    // Twice, for not all of its width shrinks with a formula.
    for (let pass = 0; pass < 2; pass++) {
      const shares = formulas.map(fitting);
      formulas.forEach((formula, at) => {
        sizes[at] *= shares[at];
        if (shares[at] < 1) formula.style.fontSize = `${100 * Math.max(smallest, sizes[at])}%`;
      });
    }
    formulas.forEach((formula, at) => {
      formula.classList.toggle("scrolls", sizes[at] < smallest);
      const scrolls = sizes[at] < smallest && formula.scrollWidth > formula.clientWidth + 1;
      formula.classList.toggle("scrolls", scrolls);
      if (!scrolls) {
        formula.removeAttribute("tabindex");
        return;
      }
      formula.tabIndex = 0;
      formula.setAttribute("role", "group");
      formula.setAttribute("aria-label", "formula, wider than the screen");
      formula.addEventListener("scroll", fade, { passive: true });
      fade({ target: formula });
    });
  };
  addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    fit();
    addEventListener("resize", fit);
    addEventListener("toggle", fit, true); // of a fold
  });
}
