/* What the package asks of a matrix, in the page: ports of `partsrep.verdict`, of the steps of
 * `partsrep.predict`, of `encodability`, and of the parts of `certificate` that need no exact arithmetic.
 *
 * It works on fits {H, P, loss} of `partsrep.nmf` and `partsrep.sae`, and runs in a worker.
 */
"use strict";

partsrep.study = (() => {
  const { random, matrix, transposed, dot, inner, product, energy, match, unitRows } = partsrep;

  // The rule of `partsrep.verdict`, and the constants of `partsrep.predict`.
  const [DETERMINED, AGREED, HELD, ROOM] = [0.5, 0.8, 0.95, 0.02];
  const [MIXTURES, DRAWS, STARTS] = [20, 2000, 5];
  const [DUST, ACTIVE, ENCODABLE, EXACT] = [1e-3, 0.05, 1e-3, 1e-5];
  const [CENTRE, SAME, EPOCHS] = [0.83, 0.01, 150];
  const EXCESS = [1 / 3, 0.002]; // how far the excess may be off: as a share of itself, and at least

  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const mean = (values) => sum(values) / values.length;
  const clamped = (value, low, high) => Math.min(high, Math.max(low, value));

  // Fits ------------------------------------------------------------------------------------------

  /** One fit of a method: the best of five random starts. */
  function fitted(D, { method, m, k = null, free = false, seed }) {
    const seeds = Array.from({ length: STARTS }, (_, i) => 1 + STARTS * seed + i);
    const settings = method === "nmf" ? { m, tol: 1e-4, iterations: 1000 } : { m, k, free, tol: 1e-5 };
    const found = partsrep.best(partsrep[method], D, settings, seeds);
    return { H: found.H, P: found.P, loss: partsrep.loss(D, found.H, found.P) };
  }

  /** The parts, those that no sample uses set to zero. */
  const live = ({ H, P }) => P.map((part, j) => part.map((value) => (H.some((h) => h[j]) ? value : 0)));

  // Agreement -------------------------------------------------------------------------------------

  /** The larger mean MCC of fits' parts with random samples and with mixtures of their own. */
  function chanceOf(fits, D, uniform) {
    const [samples, mixtures] = [[], []];
    for (const parts of fits) {
      const m = parts.length;
      for (let draw = 0; draw < MIXTURES; draw++) {
        samples.push(match(parts, drawn(D, m, uniform)).mcc);
        const shares = matrix(m, m, () => -Math.log(1 - uniform()));
        const mixed = shares.map((row) => row.map((value) => value / sum(row)));
        mixtures.push(match(parts, product(mixed, unitRows(parts))).mcc);
      }
    }
    return Math.max(mean(samples), mean(mixtures));
  }

  /** m rows, no row twice unless there are fewer. */
  function drawn(D, m, uniform) {
    if (D.length < m) return Array.from({ length: m }, () => D[Math.floor(uniform() * D.length)]);
    const left = D.map((_, i) => i);
    return Array.from({ length: m }, () => D[left.splice(Math.floor(uniform() * left.length), 1)[0]]);
  }

  const agreement = (mcc, own, chance) => (own - chance > ROOM ? (mcc - chance) / (own - chance) : NaN);
  const found = (own, chance) => own - chance > ROOM && own - chance >= DETERMINED * (1 - chance);

  /** How well the parts of two methods match, and those of the first itself, with an interval. */
  function compared(partsA, partsB, chance, uniform) {
    const between = matrix(partsA.length, partsB.length, (i, j) => match(partsA[i], partsB[j]).mcc);
    const within = matrix(partsA.length, partsA.length, (i, j) => (i < j ? match(partsA[i], partsA[j]).mcc : 0));
    const S = partsA.length;
    const mcc = sum(between.map(sum)) / (S * partsB.length);
    const own = (2 * sum(within.map(sum))) / (S * (S - 1));
    const draws = [];
    for (let draw = 0; draw < DRAWS; draw++) {
      const [a, b] = [counts(S, uniform), counts(partsB.length, uniform)];
      const pairs = S ** 2 - dot(a, a);
      if (!pairs) continue; // one fit was drawn alone
      const together = sum(between.map((row, i) => a[i] * dot(row, b))) / (S * partsB.length);
      const itself = (2 * sum(within.map((row, i) => a[i] * dot(row, a)))) / pairs;
      draws.push(agreement(together, itself, chance));
    }
    return { mcc, own, interval: interval(draws.filter((value) => !Number.isNaN(value))) };
  }

  function counts(S, uniform) {
    const drawn = new Float64Array(S);
    for (let i = 0; i < S; i++) drawn[Math.floor(uniform() * S)]++;
    return drawn;
  }

  /** From 2.5 % to 97.5 %. */
  function interval(values) {
    if (!values.length) return [NaN, NaN];
    values.sort((a, b) => a - b);
    return [0.025, 0.975].map((share) => {
      const at = share * (values.length - 1);
      const low = Math.floor(at);
      return values[low] + (at - low) * ((values[low + 1] ?? values[low]) - values[low]);
    });
  }

  /** Of each part the lowest cosine with one that can take its place while H P stays (`freedom`). */
  function freedom({ H, P }) {
    const columns = transposed(H);
    const used = P.map((part, j) => part.some(Boolean) && columns[j].some(Boolean));
    const norms = P.map((part) => Math.sqrt(dot(part, part)));
    const parts = unitRows(P).filter((_, j) => used[j]);
    const codes = columns.map((row, j) => row.map((value) => value * norms[j])).filter((_, j) => used[j]);
    const [gram, ofParts, ofCodes] = [inner(parts, parts), spare(parts), spare(codes)];
    const least = parts.map((_, j) =>
      Math.min(
        1,
        ...parts.map((_, k) => {
          const [e, g] = [ofParts[j][k], gram[j][k]];
          const norm = Math.sqrt(Math.max(1 - 2 * e * g + e ** 2, 0));
          return norm > DUST ? (1 - e * g) / norm : 0; // of a copy nothing is left
        }),
        ...parts.map((_, k) => {
          const [e, g] = [ofCodes[k][j], gram[k][j]];
          return (1 + e * g) / Math.sqrt(1 + 2 * e * g + e ** 2);
        }),
      ),
    );
    return used.map((is) => (is ? least.shift() : 0));
  }

  /** The largest ε (m × m) with F_j − ε F_k ≥ 0; 0 for j = k. */
  function spare(F) {
    const limits = F.map((row) => DUST * Math.max(...row));
    return matrix(F.length, F.length, (j, k) => {
      if (j === k) return 0;
      let least = Infinity;
      for (let i = 0; i < F[k].length; i++)
        if (F[k][i] > limits[k]) least = Math.min(least, F[j][i] / F[k][i]);
      return least;
    });
  }

  // Conditions ------------------------------------------------------------------------------------

  /** Which parts some sample uses together: codes above a share of their unit's largest. */
  function usedTogether(H) {
    const limits = transposed(H).map((codes) => ACTIVE * Math.max(...codes));
    const m = limits.length;
    const pairs = Array.from({ length: m }, () => Array(m).fill(false));
    for (const codes of H) {
      const active = limits.flatMap((limit, j) => (codes[j] > limit ? [j] : []));
      for (const j of active) for (const k of active) pairs[j][k] = true;
    }
    return pairs;
  }

  /** Distance of each part of norm 1 from span(parts used with it) + cone(the others). */
  function margins(P, pairs) {
    const parts = unitRows(P);
    return parts.map((part, j) => {
      if (!pairs[j][j]) return Infinity; // its unit can always be silent
      const basis = [];
      const rest = (row) => {
        let left = row.slice();
        for (let again = 0; again < 2; again++)
          for (const b of basis) {
            const share = dot(left, b);
            left = left.map((value, p) => value - share * b[p]);
          }
        return left;
      };
      const others = parts.map((_, k) => k).filter((k) => k !== j);
      for (const k of others.filter((k) => pairs[j][k])) {
        const left = rest(parts[k]);
        if (dot(left, left) > 1e-20) basis.push(...unitRows([left]));
      }
      const target = rest(part);
      const cone = others
        .filter((k) => pairs[k][k] && !pairs[j][k])
        .map((k) => rest(parts[k]))
        .filter((left) => dot(left, left) > 1e-20);
      if (!cone.length) return Math.sqrt(dot(target, target));
      const rays = unitRows(cone);
      const near = product(partsrep.codes([target], rays), rays)[0];
      const left = target.map((value, p) => value - near[p]);
      return Math.sqrt(dot(left, left));
    });
  }

  /** Eigenvalues of a symmetric matrix, largest first, by Jacobi's rotations. */
  function eigenvalues(A) {
    A = partsrep.copy(A);
    const n = A.length;
    const total = energy(A);
    for (let round = 0; round < 30; round++) {
      let off = 0;
      for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) off += A[i][j] ** 2;
      if (off <= 1e-30 * total) break;
      for (let i = 1; i < n; i++)
        for (let j = 0; j < i; j++) {
          if (A[i][j] === 0) continue;
          const theta = (A[i][i] - A[j][j]) / (2 * A[i][j]);
          const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
          const c = 1 / Math.hypot(t, 1);
          const s = t * c;
          for (let k = 0; k < n; k++) {
            const [x, y] = [A[i][k], A[j][k]];
            A[i][k] = c * x + s * y;
            A[j][k] = c * y - s * x;
          }
          for (const row of A) {
            const [x, y] = [row[i], row[j]];
            row[i] = c * x + s * y;
            row[j] = c * y - s * x;
          }
        }
    }
    return A.map((row, i) => row[i]).sort((a, b) => b - a);
  }

  /** SVD_m: the squared singular values of D beyond the first m. */
  function beyond(D, m) {
    const rows = D.length < D[0].length ? D : transposed(D);
    return sum(eigenvalues(inner(rows, rows)).slice(m).map((value) => Math.max(0, value)));
  }

  // The answer ------------------------------------------------------------------------------------

  /** An autoencoder that is begun at NMF's parts. */
  function near(D, nmf, { k = null, free = false }) {
    const start = { U: partsrep.nearestEncoder(D, nmf.H), P: nmf.P };
    const end = partsrep.last(partsrep.sae(D, { start, k, free, tol: 1e-5, steps: EPOCHS }));
    return { H: end.H, P: end.P, loss: partsrep.loss(D, end.H, end.P) };
  }

  /** Everything about a matrix, from fits of both methods, as many of each. */
  function answer(D, nmfs, saes, { m, k = null, free = false }) {
    const uniform = random(0);
    const total = energy(D) || 1;
    const best = (fits) => fits.reduce((a, b) => (b.loss < a.loss ? b : a));
    const [nmf, sae] = [best(nmfs), best(saes)];
    const [partsA, partsB] = [nmfs.map(live), saes.map(live)];
    const chance = chanceOf(partsA, D, uniform);
    const { mcc, own, interval } = compared(partsA, partsB, chance, uniform);
    const itself = compared(partsB, partsB, chance, uniform).own;
    const replaced = freedom(nmf).map((cosine) => cosine - chance < HELD * (1 - chance));
    const determined = found(own, chance) && !replaced.some(Boolean);
    const [low, high] = interval;
    const known = agreement(mcc, own, chance);
    const turns = free && k === null; // its parts turn at no loss, which few seeds need not show
    const sure = low > AGREED || high < AGREED || (turns && known <= AGREED);
    // Mixtures of a single part are itself, so that nothing is above chance.
    const agree = m === 1 ? mcc > HELD : determined && sure ? low > AGREED : null;

    // Begun at NMF's parts: one layer first, then one choice of the autoencoder after the other.
    const pairs = usedTogether(nmf.H);
    const margin = margins(nmf.P, pairs);
    const first = Math.min(...margin) > ENCODABLE ? "noise" : "encodability";
    const steps = Object.fromEntries(
      [[first, {}], ...(k ? [["selection", { k }]] : []), ...(free ? [["signs", { k, free }]] : [])].map(([name, choices]) => {
        const fit = near(D, nmf, choices);
        const moved = mean(partsA.map((parts) => match(parts, live(fit)).mcc));
        return [name, { fit, mcc: moved, agreement: agreement(moved, own, chance) }];
      }),
    );
    const comparable = nmf.loss > EXACT * total;
    const over = (fit) => (comparable ? fit.loss / nmf.loss - 1 : null);
    const foretold = over(Object.values(steps).at(-1).fit);
    const off = Math.max(EXCESS[0] * Math.abs(foretold), EXCESS[1]);
    const excess = over(sae);

    // An upper bound is any autoencoder with ReLU and nonnegative parts; below no matrix of this rank is.
    const exact = partsrep.loss(D, partsrep.codes(D, nmf.P), nmf.P);
    const upper = Math.min(steps[first].fit.loss, free || k ? Infinity : sae.loss) - exact;
    const lower = Math.min(0, beyond(D, m) - exact);

    const spread = Math.max(...nmfs.map((fit) => fit.loss)) - nmf.loss;
    const condition = () => {
      if (agree) return "none";
      if (!determined && D.length <= m) return "samples";
      if (!determined)
        return spread > SAME * Math.max(nmf.loss, EXACT * total) && !replaced.some(Boolean) ? "optimiser" : "uniqueness";
      const left = Object.keys(steps).find((name) => steps[name].agreement <= CENTRE);
      return left ?? (turns ? "signs" : "optimiser");
    };
    const recommendation = () => {
      if (agree === null) return "nobody-can-tell";
      const many = D.length > D[0].length;
      if (agree) return many ? "either" : "nmf";
      return excess !== null && excess < -0.01 && many && found(itself, chance) ? "sae" : "nmf";
    };
    return {
      agree,
      determined,
      mcc,
      seed_mcc: own,
      chance,
      agreement: known,
      agreement_interval: interval,
      excess,
      predicted_excess: foretold === null ? [null, null] : [foretold - off, foretold + off],
      deciding_condition: condition(),
      recommendation: recommendation(),
      n_components: m,
      n_samples: D.length,
      n_features: D[0].length,
      decoder: free ? "free" : "nonnegative",
      k,
      seeds: nmfs.length,
      starts: STARTS,
      loss_nmf: nmf.loss / total,
      loss_sae: sae.loss / total,
      certificate: { lower: lower / total, upper: upper / total },
      replaceable: replaced,
      margins: margin,
      cosines: match(nmf.P, sae.P).cosines,
      sae_seed_mcc: itself,
      nmf,
      sae: arranged(nmf, sae),
    };
  }

  /** The autoencoder's parts in the order of NMF's, each of norm 1, as NMF's are. */
  function arranged(nmf, sae) {
    const { to } = match(nmf.P, sae.P);
    return { ...sae, P: to.map((j) => sae.P[j]), H: sae.H.map((codes) => Float64Array.from(to, (j) => codes[j])) };
  }

  return { fitted, answer, near, chanceOf, compared, freedom, margins, usedTogether, eigenvalues, beyond };
})();
