/* Who is active together: three parts in the plane, and how far a part is from what would hide it. */
"use strict";

partsrep.page.figures["together"] = (host) => {
  const { element, shape, slider, score } = partsrep.page;
  const NAMES = ["a", "b", "c"];
  const angles = [20, 75, 130]; // degrees
  const together = { ab: true, ac: false, bc: false };
  let chosen = 0;
  const RADIUS = 120;

  const direction = (degrees) => [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const active = (i, j) => together[[NAMES[i], NAMES[j]].sort().join("")];
  const cross = ([a, b], [c, d]) => a * d - b * c;
  const along = ([a, b], [c, d]) => a * c + b * d;

  /** Rays whose nonnegative sums are what part j must not be near: ± those active with it, and the others. */
  function rays(j) {
    return NAMES.flatMap((_, i) => {
      if (i === j) return [];
      const part = direction(angles[i]);
      return active(i, j) ? [part, part.map((value) => -value)] : [part];
    });
  }

  /** Whether x is a nonnegative sum of two of the rays. */
  function inside(x, some) {
    return some.some((g) => some.some((h) => {
      const size = cross(g, h);
      return Math.abs(size) > 1e-9 && cross(x, h) / size >= -1e-9 && cross(g, x) / size >= -1e-9;
    }));
  }

  /** The nearest point to x of the set that the rays span. */
  function nearest(x, some) {
    if (inside(x, some)) return x;
    let best = [0, 0];
    for (const g of some) {
      const share = Math.max(0, along(x, g));
      const point = g.map((value) => share * value);
      if (Math.hypot(x[0] - point[0], x[1] - point[1]) < Math.hypot(x[0] - best[0], x[1] - best[1])) best = point;
    }
    return best;
  }

  const margin = (j) => {
    const x = direction(angles[j]);
    const near = nearest(x, rays(j));
    return Math.hypot(x[0] - near[0], x[1] - near[1]);
  };

  const drawing = shape("svg", { viewBox: "-150 -140 300 280", role: "img", "aria-label": "Three parts as arrows, the shaded set of the chosen one, and its distance." });
  const words = element("p", { class: "live-verdict", "aria-live": "polite" });
  const place = ([x, y]) => [RADIUS * x, -RADIUS * y];
  const point = (p) => place(p).map((value) => value.toFixed(1)).join(",");

  function draw() {
    const x = direction(angles[chosen]);
    const some = rays(chosen);
    const near = nearest(x, some);
    const shaded = Array.from({ length: 360 }, (_, degrees) => direction(degrees))
      .filter((p) => inside(p, some))
      .map((p) => shape("line", { x1: 0, y1: 0, x2: place(p)[0], y2: place(p)[1], class: "live-forbidden" }));
    const lines = some.map((p) => shape("line", { x1: 0, y1: 0, x2: place(p)[0], y2: place(p)[1], class: "live-forbidden" }));
    const arrows = NAMES.flatMap((name, i) => {
      const tip = direction(angles[i]);
      const label = shape("text", {
        x: place(tip)[0] * 1.12, y: place(tip)[1] * 1.12 + 5, "text-anchor": "middle", "font-size": 16, fill: "currentColor",
      });
      label.textContent = name;
      return [shape("line", { x1: 0, y1: 0, x2: place(tip)[0], y2: place(tip)[1], class: i === chosen ? "live-chosen" : "live-part" }), label];
    });
    const gap = shape("line", { x1: place(x)[0], y1: place(x)[1], x2: place(near)[0], y2: place(near)[1], class: "live-margin" });
    drawing.replaceChildren(...shaded, ...lines, ...arrows, gap);
    const delta = margin(chosen);
    const able = NAMES.every((_, j) => margin(j) > 1e-6);
    words.textContent =
      (delta > 1e-6
        ? `Part ${NAMES[chosen]} is ${score(delta)} away from the shaded set: noise in its code grows ${(1 / delta).toFixed(1)} times. `
        : `Part ${NAMES[chosen]} lies in the shaded set: no layer computes its codes at all amplitudes. `) +
      (able ? "One layer computes the codes of all three, at all amplitudes." : "One layer cannot compute the codes of all three.");
    host.dataset.margin = delta;
  }

  const pick = element("fieldset", {}, element("legend", {}, "part"),
    ...NAMES.map((name, i) => {
      const input = element("input", { type: "radio", name: "live-together", change: () => { chosen = i; draw(); } });
      input.checked = i === chosen;
      return element("label", {}, input, ` ${name}`);
    }));
  const pairs = element("fieldset", {}, element("legend", {}, "active together"),
    ...Object.keys(together).map((pair) => {
      const input = element("input", { type: "checkbox", change: () => { together[pair] = input.checked; draw(); } });
      input.checked = together[pair];
      return element("label", {}, input, ` ${pair[0]} and ${pair[1]}`);
    }));
  host.append(
    drawing,
    words,
    element("div", { class: "live-controls" }, pick, pairs,
      ...NAMES.map((name, i) =>
        slider(`angle of ${name}`, { min: 0, max: 180, step: 5, value: angles[i], show: (v) => `${v}°` },
          (value) => { angles[i] = value; draw(); }))),
  );
  draw();
  return draw;
};
