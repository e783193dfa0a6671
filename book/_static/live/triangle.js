/* The triangle that pins the parts: samples of three features, drawn by their shares. */
"use strict";

partsrep.page.figures["triangle"] = (host) => {
  const { element, shape, slider, choice, button } = partsrep.page;
  const CORNERS = [[0, -115], [-133, 115], [133, 115]];
  const [N, STARTS] = [40, 5];
  const settings = { dense: 0, decoder: "nonnegative" };
  let parts = [[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]];
  let found = [];
  let seed = 0;

  /** Samples: with density 0 each lacks one feature or two, with more they draw back from the edges. */
  function samples() {
    const uniform = partsrep.random(11);
    return partsrep.matrix(N, 3).map((row, i) => {
      const share = uniform();
      const shares = i < 3 ? [1, 0, 0] : [share, 1 - share, 0];
      const size = 0.5 + uniform();
      return row.map((_, p) => size * ((1 - settings.dense) * shares[(p + i) % 3] + settings.dense / 3));
    });
  }

  const place = (shares) =>
    [0, 1].map((axis) => shares.reduce((sum, share, p) => sum + share * CORNERS[p][axis], 0));
  const normalised = (row) => {
    const sum = row.reduce((a, b) => a + b, 0);
    return Array.from(row, (value) => value / sum);
  };
  const points = (corners) => corners.map((c) => place(c).map((v) => v.toFixed(1)).join(",")).join(" ");

  /** Shares of a place in the drawing. */
  function sharesAt([x, y]) {
    const [a, b, c] = CORNERS;
    const area = (b[1] - c[1]) * (a[0] - c[0]) + (c[0] - b[0]) * (a[1] - c[1]);
    const first = ((b[1] - c[1]) * (x - c[0]) + (c[0] - b[0]) * (y - c[1])) / area;
    const second = ((c[1] - a[1]) * (x - c[0]) + (a[0] - c[0]) * (y - c[1])) / area;
    return [first, second, 1 - first - second];
  }

  /** A corner within what the decoder allows. */
  function allowed(shares) {
    if (settings.decoder === "free") return shares.map((share) => Math.min(2, Math.max(-0.5, share)));
    return normalised(shares.map((share) => Math.max(0, share)));
  }

  const drawing = shape("svg", { viewBox: "-190 -160 380 330", role: "group", "aria-label": "Samples in the triangle of three features, and a triangle of parts around them." });
  const outer = shape("polygon", { class: "live-outer", points: points([[1, 0, 0], [0, 1, 0], [0, 0, 1]]) });
  const overlay = shape("g");
  const dots = shape("g");
  const mine = shape("polygon", { class: "live-mine" });
  const names = CORNERS.map(([x, y], p) => {
    const label = shape("text", { x: x * 1.12, y: y * 1.12 + (p ? 14 : -4), "text-anchor": "middle", "font-size": 13, fill: "currentColor" });
    label.textContent = `feature ${p + 1}`;
    return label;
  });
  const handles = parts.map((_, j) => {
    const handle = shape("circle", {
      r: 8, class: "live-handle", tabindex: 0, role: "slider", "aria-label": `part ${j + 1}; arrow keys move it`,
      "aria-valuenow": 0,
      keydown: (event) => {
        const step = { ArrowUp: [0, -6], ArrowDown: [0, 6], ArrowLeft: [-6, 0], ArrowRight: [6, 0] }[event.key];
        if (!step) return;
        event.preventDefault();
        const [x, y] = place(parts[j]);
        move(j, [x + step[0], y + step[1]]);
      },
      pointerdown: (event) => handle.setPointerCapture(event.pointerId),
      pointermove: (event) => {
        if (!handle.hasPointerCapture(event.pointerId)) return;
        const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
        move(j, [at.x, at.y]);
      },
    });
    return handle;
  });
  drawing.append(outer, overlay, dots, mine, ...handles, ...names);
  const words = element("p", { class: "live-verdict", "aria-live": "polite" });

  function move(j, at) {
    parts[j] = allowed(sharesAt(at));
    draw();
  }

  function draw() {
    const D = samples();
    const held = partsrep.codes(D, parts.map((part) => Float64Array.from(part)));
    const P = parts.map((part) => Float64Array.from(part));
    const errors = D.map((row, i) => partsrep.loss([row], [held[i]], P) / partsrep.energy([row]));
    const count = errors.filter((error) => error < 1e-6).length;
    dots.replaceChildren(...D.map((row, i) => {
      const [cx, cy] = place(normalised(row));
      return shape("circle", { cx, cy, r: 3.5, class: errors[i] < 1e-6 ? "live-held" : "live-missed" });
    }));
    outer.classList.toggle("live-open", settings.decoder === "free");
    overlay.replaceChildren(...found.map(({ corners, method }) => shape("polygon", { class: `live-found live-${method}`, points: points(corners) })));
    mine.setAttribute("points", points(parts));
    handles.forEach((handle, j) => {
      const [cx, cy] = place(parts[j]);
      handle.setAttribute("cx", cx);
      handle.setAttribute("cy", cy);
      handle.setAttribute("aria-valuetext", parts[j].map((share) => `${Math.round(100 * share)} %`).join(", "));
    });
    const spread = found.length ? ` ${apart()}` : "";
    words.textContent = `Your triangle holds ${count} of ${N} samples${count === N ? ": it is an exact factorization." : "."}${spread}`;
  }

  /** How far the triangles that were found are from one another. */
  function apart() {
    const worst = Math.max(...found.map(({ share }) => share));
    const least = Math.min(...found.map((a) => Math.min(...found.map((b) => partsrep.match(a.P, b.P).mcc))));
    return least > 0.995
      ? `The ${found.length} fits found the same triangle.`
      : `The ${found.length} fits found different triangles: matched cosine down to ${least.toFixed(2)}, loss at most ${(100 * worst).toFixed(2)} % of the data.`;
  }

  function fit(method) {
    const D = samples();
    const free = settings.decoder === "free" && method === "sae";
    found = found.filter((other) => other.method !== method);
    for (let start = 0; start < STARTS; start++, seed++) {
      const { P, loss } = partsrep.last(partsrep[method](D, { m: 3, free, seed, tol: method === "nmf" ? 1e-6 : 1e-9 }));
      const share = Math.max(0, loss) / partsrep.energy(D);
      found.push({ method, P, share, corners: P.map((part) => sharesOf(part)) });
    }
    draw();
  }

  /** Shares of a part, kept within the drawing. */
  const sharesOf = (part) => {
    const sum = part.reduce((a, b) => a + b, 0);
    return Array.from(part, (value) => Math.max(-1, Math.min(2, value / (Math.abs(sum) > 1e-3 ? sum : 1e-3))));
  };

  const change = (name) => (value) => {
    settings[name] = value;
    found = [];
    parts = parts.map(allowed);
    draw();
  };
  host.append(
    drawing,
    words,
    element("div", { class: "live-controls" },
      choice("decoder", [["nonnegative", "nonnegative"], ["free", "free signs"]], change("decoder")),
      slider("dense", { min: 0, max: 0.8, step: 0.1, value: 0, show: (v) => v.toFixed(1) }, change("dense")),
      button(`fit ${STARTS} NMFs`, () => fit("nmf")),
      button(`fit ${STARTS} SAEs`, () => fit("sae"))),
  );
  draw();
  return draw;
};
