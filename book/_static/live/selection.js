/* Who survives a selection: one batch of pre-activations and five activations. */
"use strict";

partsrep.page.figures["selection"] = (host) => {
  const { element, shape, slider, choice } = partsrep.page;
  const [SAMPLES, UNITS, CELL] = [14, 16, 20];
  const uniform = partsrep.random(3);
  const often = Array.from({ length: UNITS }, (_, j) => 1.4 * (0.2 + j / UNITS));
  const loud = Array.from({ length: SAMPLES }, () => 0.4 + 1.4 * uniform());
  const drawn = partsrep.matrix(SAMPLES, UNITS, (i, j) => loud[i] * (partsrep.normal(uniform) + often[j] - 0.8));
  const marked = { i: 4, j: 9, value: 0 };
  marked.value = drawn[4][9];
  const settings = { activation: "topk", k: 3, threshold: 0.8 };

  const cells = [];
  const budget = { topk: "sample", batch: "batch", feature: "unit" };

  /** Which cells of values Z survive. */
  function survivors(Z) {
    const all = cells.map(({ i, j }) => ({ i, j, z: Z[i][j] }));
    const positive = all.filter(({ z }) => z > 0);
    const largest = (some, count) => some.toSorted((a, b) => b.z - a.z).slice(0, count);
    const { k, threshold } = settings;
    const chosen = {
      relu: () => positive,
      jump: () => all.filter(({ z }) => z > threshold),
      topk: () => Array.from({ length: SAMPLES }, (_, i) => largest(positive.filter((c) => c.i === i), k)).flat(),
      batch: () => largest(positive, k * SAMPLES),
      feature: () =>
        Array.from({ length: UNITS }, (_, j) =>
          largest(positive.filter((c) => c.j === j), Math.round((k * SAMPLES) / UNITS))).flat(),
    }[settings.activation]();
    return new Set(chosen.map(({ i, j }) => i * UNITS + j));
  }

  const drawing = shape("svg", {
    viewBox: `-64 -18 ${UNITS * CELL + 130} ${SAMPLES * CELL + 66}`,
    role: "application",
    tabindex: 0,
    "aria-label": "Pre-activations, a row for each sample, a column for each unit. Arrow keys move the mark.",
    keydown: (event) => {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!move) return;
      event.preventDefault();
      mark(
        Math.min(SAMPLES - 1, Math.max(0, marked.i + move[0])),
        Math.min(UNITS - 1, Math.max(0, marked.j + move[1])),
      );
    },
  });
  for (let i = 0; i < SAMPLES; i++)
    for (let j = 0; j < UNITS; j++) {
      const rect = shape("rect", {
        x: j * CELL + 1, y: i * CELL + 1, width: CELL - 2, height: CELL - 2, rx: 2,
        click: () => mark(i, j),
      });
      cells.push({ i, j, rect });
      drawing.append(rect);
    }
  const text = (x, y, words, anchor = "start") => {
    const made = shape("text", { x, y, "text-anchor": anchor, "font-size": 12, fill: "currentColor" });
    made.textContent = words;
    drawing.append(made);
    return made;
  };
  text(-6, -6, "samples", "end");
  text((UNITS * CELL) / 2, -6, "units", "middle");
  text(UNITS * CELL + 6, -6, "codes");
  const bars = (count, place) =>
    Array.from({ length: count }, (_, at) => {
      const bar = shape("rect", { class: "live-bar", ...place(at) });
      drawing.append(bar);
      return bar;
    });
  const ofSamples = bars(SAMPLES, (i) => ({ x: UNITS * CELL + 4, y: i * CELL + 4, height: CELL - 8 }));
  const ofUnits = bars(UNITS, (j) => ({ x: j * CELL + 4, y: SAMPLES * CELL + 4, width: CELL - 8 }));
  const words = element("p", { class: "live-verdict", "aria-live": "polite" });
  const threshold = slider("threshold θ", { min: 0, max: 2, step: 0.1, value: 0.8, show: (v) => v.toFixed(1) },
    (value) => { settings.threshold = value; draw(); });
  const codes = slider("codes a sample k", { min: 1, max: 8, value: 3 }, (value) => { settings.k = value; draw(); });
  const raise = slider("marked cell", { min: -2, max: 4, step: 0.1, value: Math.round(10 * marked.value) / 10, show: (v) => v.toFixed(1) },
    (value) => { marked.value = value; draw(); });

  function mark(i, j) {
    Object.assign(marked, { i, j, value: drawn[i][j] });
    const input = raise.querySelector("input");
    input.value = marked.value;
    raise.querySelector("output").textContent = marked.value.toFixed(1);
    draw();
  }

  function draw() {
    const Z = drawn.map((row) => row.slice());
    const before = survivors(Z);
    Z[marked.i][marked.j] = marked.value;
    const after = survivors(Z);
    const most = Math.max(...Z.map((row) => Math.max(...row)));
    for (const { i, j, rect } of cells) {
      const at = i * UNITS + j;
      const lives = after.has(at);
      const moved = lives !== before.has(at);
      rect.setAttribute("class", lives ? "live-survivor" : "live-cell");
      rect.setAttribute("fill-opacity", lives ? 0.35 + (0.65 * Z[i][j]) / most : Math.max(0.06, (0.3 * Z[i][j]) / most));
      rect.setAttribute("data-changed", moved);
      rect.setAttribute("data-marked", i === marked.i && j === marked.j);
    }
    const count = (test) => [...after].filter(test).length;
    const perSample = ofSamples.map((_, i) => count((at) => Math.floor(at / UNITS) === i));
    const perUnit = ofUnits.map((_, j) => count((at) => at % UNITS === j));
    ofSamples.forEach((bar, i) => bar.setAttribute("width", (perSample[i] * 56) / UNITS));
    ofUnits.forEach((bar, j) => bar.setAttribute("height", (perUnit[j] * 40) / SAMPLES));
    threshold.hidden = settings.activation !== "jump";
    codes.hidden = !(settings.activation in budget);
    const others = [...after, ...before].filter(
      (at) => after.has(at) !== before.has(at) && at !== marked.i * UNITS + marked.j,
    );
    const elsewhere = others.filter((at) => Math.floor(at / UNITS) !== marked.i).length;
    const range = (counts) => {
      const [least, largest] = [Math.min(...counts), Math.max(...counts)];
      return least === largest ? `${least}` : `${least} to ${largest}`;
    };
    words.textContent =
      `${range(perSample)} codes a sample, ${range(perUnit)} a unit. The change of the marked cell moves ` +
      `${others.length} other ${others.length === 1 ? "code" : "codes"}, ${elsewhere} of them in other samples.`;
  }

  host.append(
    drawing,
    words,
    element("div", { class: "live-controls" },
      choice("activation", [["topk", "TopK"], ["relu", "ReLU"], ["jump", "JumpReLU"], ["batch", "BatchTopK"], ["feature", "Feature Choice"]],
        (value) => { settings.activation = value; draw(); }),
      threshold, codes, raise),
  );
  draw();
  return draw;
};
