/* Both methods on planted samples, side by side: the figure of the front page. */
"use strict";

partsrep.page.figures["two-methods"] = (host) => {
  const { element, slider, choice, button, paint, largest, score, animate } = partsrep.page;
  const SIDE = 8;
  const M = 6;
  const N = 160;
  const STARTS = 3; // of which each method shows the best
  const settings = { decoder: "nonnegative", k: "all", overlap: 0, noise: 0, start: 0 };
  let stop = () => {};
  let shown = {};

  /** Six round spots, which grow towards each other; samples are sums of some. */
  function planted() {
    const uniform = partsrep.random(7);
    const spread = 1 + 0.35 * settings.overlap;
    const parts = partsrep.matrix(M, SIDE * SIDE, (j, p) => {
      const [x, y] = [p % SIDE, Math.floor(p / SIDE)];
      const [cx, cy] = [1 + 2.5 * (j % 3), 1.75 + 3.5 * Math.floor(j / 3)];
      const value = Math.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (1.2 * spread ** 2));
      return value < 0.1 ? 0 : value;
    });
    const codes = partsrep.matrix(N, M);
    for (const row of codes) {
      while (!row.some((value) => value))
        row.forEach((_, j) => (row[j] = uniform() < 0.35 ? 0.5 + uniform() : 0));
    }
    const D = partsrep.product(codes, parts);
    D.forEach((row) =>
      row.forEach((value, p) => (row[p] = Math.max(0, value + 0.1 * settings.noise * partsrep.normal(uniform)))),
    );
    return D;
  }

  const pictures = (count) => Array.from({ length: count }, () => element("canvas", { "aria-hidden": "true" }));
  const row = (name, canvases, under = []) =>
    element("div", { class: "live-row" }, element("span", {}, name),
      ...canvases.map((canvas, j) => element("div", {}, canvas, ...(under[j] ? [under[j]] : []))));
  const gauge = (name) => {
    const bar = element("b");
    const number = element("span", { class: "live-number" });
    return { bar, number, line: element("div", { class: "live-gauge" }, element("span", {}, name), element("i", {}, bar), number) };
  };

  const samples = pictures(M);
  const ofNMF = pictures(M);
  const ofSAE = pictures(M);
  const cosines = pictures(M).map(() => element("small"));
  const between = gauge("SAE and NMF");
  const itself = gauge("NMF and NMF");
  const verdict = element("p", { class: "live-verdict", "aria-live": "polite" });
  const change = (name) => (value) => {
    settings[name] = value;
    run();
  };
  host.append(
    row("samples", samples),
    row("NMF", ofNMF),
    row("SAE", ofSAE, cosines),
    between.line,
    itself.line,
    verdict,
    element("div", { class: "live-controls" },
      choice("decoder", [["nonnegative", "nonnegative"], ["free", "free signs"]], change("decoder")),
      choice("codes", [["all", "ReLU"], ...[3, 2, 1].map((k) => [k, `TopK, k = ${k}`])], change("k")),
      slider("overlap", { min: 0, max: 4, value: 0 }, change("overlap")),
      slider("noise", { min: 0, max: 4, value: 0 }, change("noise")),
      button("new starts", () => change("start")(settings.start + 1))),
  );

  function draw() {
    const { D, nmf, sae } = shown;
    samples.forEach((canvas, i) => paint(canvas, D[i], SIDE, largest(D[i])));
    if (nmf) ofNMF.forEach((canvas, j) => paint(canvas, nmf[j], SIDE, largest(nmf[j])));
    if (!sae) return;
    const matched = partsrep.match(nmf, sae);
    ofSAE.forEach((canvas, j) => {
      const part = sae[matched.to[j]];
      paint(canvas, part, SIDE, largest(part));
      cosines[j].textContent = score(matched.cosines[j]);
    });
    set(between, matched.mcc);
  }

  function set({ bar, number }, value) {
    bar.style.width = `${100 * Math.max(0, value)}%`;
    number.textContent = score(value);
  }

  function run() {
    stop();
    const D = planted();
    const first = 1 + 2 * STARTS * settings.start;
    const seeds = (begin) => Array.from({ length: STARTS }, (_, i) => first + begin + i);
    const free = settings.decoder === "free";
    const k = settings.k === "all" ? null : Number(settings.k);
    const nmf = partsrep.best(partsrep.nmf, D, { m: M, tol: 1e-4 }, seeds(0));
    const again = partsrep.best(partsrep.nmf, D, { m: M, tol: 1e-4 }, seeds(STARTS));
    const self = partsrep.match(nmf.P, again.P).mcc;
    shown = { D, nmf: nmf.P };
    set(itself, self);
    verdict.textContent = "The autoencoder trains …";
    const trained = seeds(0).map((seed) => partsrep.sae(D, { m: M, k, free, seed, tol: 1e-5 }));
    let best = null;
    (function next() {
      const fits = trained.shift();
      if (!fits) {
        shown.sae = best.P;
        draw();
        const { mcc } = partsrep.match(nmf.P, best.P);
        const shares = [nmf, best].map((fit) => Math.max(0, fit.loss) / partsrep.energy(D));
        verdict.textContent = conclusion(mcc, self, ...shares);
        return;
      }
      let found;
      stop = animate(fits, (fit) => {
        found = fit;
        shown.sae = fit.P;
        draw();
      }, () => {
        if (!best || found.loss < best.loss) best = found;
        next();
      });
    })();
  }

  function conclusion(mcc, self, ofNMF, ofSAE) {
    const percent = (share) => `${(100 * share).toFixed(1)} %`;
    const losses = `NMF leaves ${percent(ofNMF)} of the data, the SAE ${percent(ofSAE)}.`;
    if (self < 0.9) return `NMF does not agree with itself here, so nobody can tell. ${losses}`;
    if (mcc >= self - 0.05) return `They agree as well as NMF does with itself. ${losses}`;
    return `They differ, although NMF agrees with itself. ${losses}`;
  }

  run();
  return draw;
};
