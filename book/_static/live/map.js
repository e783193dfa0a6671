/* The map that can be entered: published means over noise and overlap, and a cell's parts live. */
"use strict";

partsrep.page.figures["map"] = (host) => {
  const { element, choice, button, paint, largest, score, animate, colour } = partsrep.page;
  const records = partsrep.records.phase; // what the build puts beside this script
  const [PARTS, SIZE, SAMPLES, STARTS] = [4, 6, 200, 3];
  const noises = [...new Set(records.map(({ noise }) => noise))].sort((a, b) => a - b);
  const overlaps = [...new Set(records.map(({ overlap }) => overlap))].sort((a, b) => b - a);
  const shown = { quantity: "mcc", noise: noises.at(-1), overlap: overlaps[0], seed: 0 };
  let stop = () => {};
  let fits = {};

  const quantities = [
    ["mcc", "SAE and NMF"],
    ["seed_mcc", "NMF and NMF"],
    ["difference", "NMF and NMF, minus SAE and NMF"],
    ["truth_mcc_nmf", "NMF and truth"],
    ["truth_mcc_sae", "SAE and truth"],
  ];
  const valueOf = (record) => (shown.quantity === "difference" ? record.seed_mcc - record.mcc : record[shown.quantity]);
  const at = (noise, overlap) => records.find((record) => record.noise === noise && record.overlap === overlap);

  /** Equal domes that span a line of PARTS / 2 cells, integrated over its pixels. */
  function domes(overlap) {
    const count = 2;
    const pixels = SIZE * count;
    const width = pixels / ((count - 1) * (1 - overlap) + 1);
    const area = (x, c) => {
      const t = Math.min(1, Math.max(-1, (x - c) / (width / 2)));
      return (t * Math.sqrt(1 - t * t) + Math.asin(t)) / 2;
    };
    return partsrep.matrix(count, pixels, (j, p) => {
      const centre = width / 2 + width * (1 - overlap) * j;
      return area(p + 1, centre) - area(p, centre);
    });
  }

  /** Samples as the package plants them, with this page's random numbers. */
  function planted({ noise, overlap, seed }) {
    const uniform = partsrep.random(1000 + seed);
    const lines = domes(overlap);
    const side = lines[0].length;
    const X = partsrep.matrix(PARTS, side * side, (j, p) =>
      lines[Math.floor(j / 2)][Math.floor(p / side)] * lines[j % 2][p % side]);
    X.forEach((part) => {
      const most = largest(part);
      part.forEach((value, p) => (part[p] = value / most));
    });
    const H = partsrep.matrix(SAMPLES, PARTS);
    for (const row of H) {
      row.forEach((_, j) => (row[j] = uniform() < 0.3 ? 0.5 + uniform() : 0));
      if (!row.some((value) => value)) row[Math.floor(PARTS * uniform())] = 0.5 + uniform();
    }
    const D = partsrep.product(H, X);
    D.forEach((row) => row.forEach((value, p) => (row[p] = Math.max(0, value + noise * partsrep.normal(uniform)))));
    return { D, X };
  }

  const cells = [];
  const table = element("table", { class: "live-map" });
  table.append(
    element("caption", {}, "matched cosine; choose a cell to see it live"),
    element("tr", {}, element("th", { scope: "col" }, "overlap ↓ noise →"), ...noises.map((noise) => element("th", { scope: "col" }, noise.toFixed(1)))),
    ...overlaps.map((overlap) =>
      element("tr", {}, element("th", { scope: "row" }, overlap.toFixed(1)),
        ...noises.map((noise) => {
          const pick = button("", () => { Object.assign(shown, { noise, overlap }); run(); });
          cells.push({ noise, overlap, pick });
          return element("td", {}, pick);
        }))),
  );
  const names = ["truth", "samples", "NMF", "SAE"];
  const pictures = Object.fromEntries(names.map((name) => [name, Array.from({ length: PARTS }, () => element("canvas", { "aria-hidden": "true" }))]));
  const words = element("p", { class: "live-verdict", "aria-live": "polite" });
  host.append(
    element("div", { class: "live-controls" },
      choice("show", quantities, (value) => { shown.quantity = value; draw(); }),
      button("other samples", () => { shown.seed++; run(); })),
    element("div", { class: "live-two" }, table,
      element("div", {}, ...names.map((name) =>
        element("div", { class: "live-row live-four" }, element("span", {}, name), ...pictures[name])))),
    words,
  );

  function draw() {
    const values = records.map(valueOf);
    const [least, most] = shown.quantity === "difference" ? [0, Math.max(0.05, ...values)] : [Math.min(0.85, ...values), 1];
    const [ink, ground] = ["--live-adds", "--live-zero"].map((name) => colour(host, name));
    for (const { noise, overlap, pick } of cells) {
      const value = valueOf(at(noise, overlap));
      const share = 0.85 * Math.min(1, Math.max(0, (value - least) / (most - least)));
      const mixed = ground.map((zero, c) => Math.round(zero + share * (ink[c] - zero)));
      const light = (0.299 * mixed[0] + 0.587 * mixed[1] + 0.114 * mixed[2]) / 255;
      pick.textContent = score(value);
      pick.setAttribute("aria-label", `overlap ${overlap}, noise ${noise}: ${score(value)}`);
      pick.setAttribute("aria-pressed", noise === shown.noise && overlap === shown.overlap);
      pick.style.background = `rgb(${mixed.join(" ")})`;
      pick.style.color = light > 0.45 ? "#000" : "#fff";
    }
    const { D, X, nmf, sae } = fits;
    if (!D) return;
    const rows = { truth: X, samples: D, NMF: nmf && ordered(X, nmf), SAE: sae && ordered(X, sae) };
    for (const [name, parts] of Object.entries(rows))
      if (parts) pictures[name].forEach((canvas, j) => paint(canvas, parts[j], 2 * SIZE, largest(parts[j])));
  }

  /** Parts in the order of those they belong to. */
  const ordered = (X, P) => partsrep.match(X, P).to.map((j) => P[j]);

  function run() {
    stop();
    const { D, X } = planted(shown);
    fits = { D, X };
    draw();
    const seeds = Array.from({ length: STARTS }, (_, i) => i);
    const kept = {};
    const turns = [
      ...seeds.map((seed) => ["nmf", partsrep.nmf(D, { m: PARTS, seed, tol: 1e-4 })]),
      ...seeds.map((seed) => ["sae", partsrep.sae(D, { m: PARTS, seed, tol: 1e-5 })]),
    ];
    words.textContent = "Both methods run …";
    (function next() {
      const [method, steps] = turns.shift() || [];
      if (!method) {
        const mcc = partsrep.match(kept.nmf.P, kept.sae.P).mcc;
        const [ofNMF, ofSAE] = ["nmf", "sae"].map((name) => partsrep.match(X, kept[name].P).mcc);
        words.textContent = `In these samples SAE and NMF match with ${score(mcc)}; NMF and the truth ${score(ofNMF)}, the SAE and the truth ${score(ofSAE)}.`;
        return;
      }
      let found;
      stop = animate(steps, (fit) => { found = fit; fits[method] = fit.P; draw(); }, () => {
        if (!kept[method] || found.loss < kept[method].loss) kept[method] = found;
        fits[method] = kept[method].P;
        draw();
        next();
      });
    })();
  }

  run();
  return draw;
};
