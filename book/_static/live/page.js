/* What the live figures share: elements, controls, pictures, animation.
 *
 * A place in the page is <div data-live="NAME">static picture</div>. With scripts, the figure called
 * NAME is put before the static picture, which then is for print only.
 */
"use strict";

partsrep.page = (() => {
  /** An element with attributes (functions are listeners) and children. */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") made.addEventListener(name, value);
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  /** An element of a drawing. */
  function shape(tag, attributes = {}, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") made.addEventListener(name, value);
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  /** A labelled slider; `changed` gets its number. */
  function slider(label, { min, max, step = 1, value, show = String }, changed) {
    const shown = element("output", {}, show(value));
    const input = element("input", {
      type: "range", min, max, step, value, "aria-label": label, "aria-valuetext": show(value),
      input: () => {
        shown.textContent = show(Number(input.value));
        input.setAttribute("aria-valuetext", shown.textContent);
        changed(Number(input.value));
      },
    });
    return element("label", {}, `${label} `, input, shown);
  }

  /** A labelled choice among [value, words] pairs; `changed` gets the value. */
  function choice(label, options, changed) {
    const select = element(
      "select",
      { change: () => changed(select.value) },
      ...options.map(([value, words]) => element("option", { value }, words)),
    );
    return element("label", {}, `${label} `, select);
  }

  const button = (words, pressed) => element("button", { type: "button", click: pressed }, words);

  /** The colour of a custom property of the page, as "r g b" numbers in the style sheet. */
  const colour = (host, name) =>
    getComputedStyle(host).getPropertyValue(name).trim().split(/\s+/).map(Number);

  /** Paint values as a picture on a canvas: blue adds, orange subtracts, the ground is zero. */
  function paint(canvas, values, width, limit) {
    const [adds, subtracts, zero] = ["--live-adds", "--live-subtracts", "--live-zero"].map((name) =>
      colour(canvas, name),
    );
    canvas.width = width;
    canvas.height = values.length / width;
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    values.forEach((value, p) => {
      const share = Math.min(1, Math.abs(value) / (limit || 1));
      const ink = value < 0 ? subtracts : adds;
      for (let c = 0; c < 3; c++) image.data[4 * p + c] = zero[c] + share * (ink[c] - zero[c]);
      image.data[4 * p + 3] = 255;
    });
    context.putImageData(image, 0, 0);
  }

  const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

  /** A number in [-1, 1] as a reader wants it: two digits, no zero with a sign. */
  const score = (value) => (Math.round(100 * value) / 100 + 0).toFixed(2);

  /** Run a generator a few milliseconds a frame; `draw` gets what it yields. Returns a stop. */
  function animate(fits, draw, finished = () => {}) {
    let stopped = false;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    (function frame() {
      if (stopped) return;
      const until = performance.now() + (still ? 200 : 12);
      let next;
      do next = fits.next();
      while (!next.done && performance.now() < until);
      if (next.value) draw(next.value);
      if (next.done) finished();
      else setTimeout(frame, 0);
    })();
    return () => (stopped = true);
  }

  const figures = {};

  /** Put each figure where the page has a place for it, and again where the theme changes. */
  function start() {
    for (const place of document.querySelectorAll("[data-live]")) {
      const make = figures[place.dataset.live];
      if (!make) continue;
      const host = element("div", { class: "live", role: "group", "aria-label": place.dataset.label || "" });
      place.prepend(host);
      place.classList.add("is-live");
      const redraw = make(host, place.dataset);
      new MutationObserver(redraw).observe(document.documentElement, {
        attributeFilter: ["data-theme"],
      });
    }
  }
  addEventListener("DOMContentLoaded", start);

  return { element, shape, slider, choice, button, colour, paint, largest, score, animate, figures };
})();
