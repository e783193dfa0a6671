/* NMF and the sparse autoencoder in the page: ports of the package's solvers.
 *
 * A matrix is an array of rows (Float64Array). Data D (n × d), codes H (n × m), parts P = Xᵀ (m × d),
 * encoder U (m × d). `nmf` and `sae` are generators: each step yields the fit so far, so that a page
 * can draw it, and stop it, on the way.
 */
"use strict";

const partsrep = (() => {
  // Random numbers ------------------------------------------------------------------------------

  /** Uniform numbers in [0, 1) from a seed (mulberry32). */
  function random(seed) {
    let state = seed | 0;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  /** A standard normal number (Box and Muller). */
  function normal(uniform) {
    return Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  // Matrices ------------------------------------------------------------------------------------

  // Loops are spelled out where the time goes: a call for each entry costs ten times as much.

  function matrix(rows, columns, entry = null) {
    const made = Array.from({ length: rows }, () => new Float64Array(columns));
    if (entry) inPlace(made, (_, i, j) => entry(i, j));
    return made;
  }
  const copy = (A) => A.map((row) => row.slice());

  function transposed(A) {
    const made = matrix(A[0].length, A.length);
    for (let i = 0; i < A.length; i++) for (let j = 0; j < made.length; j++) made[j][i] = A[i][j];
    return made;
  }

  function dot(a, b) {
    let one = 0, two = 0, three = 0, four = 0; // sums that need not wait for each other
    let p = 0;
    for (const end = a.length - 3; p < end; p += 4) {
      one += a[p] * b[p];
      two += a[p + 1] * b[p + 1];
      three += a[p + 2] * b[p + 2];
      four += a[p + 3] * b[p + 3];
    }
    for (; p < a.length; p++) one += a[p] * b[p];
    return one + two + (three + four);
  }

  /** A Bᵀ: all inner products of rows. */
  function inner(A, B) {
    const made = matrix(A.length, B.length);
    for (let i = 0; i < A.length; i++) {
      const [a, row] = [A[i], made[i]];
      for (let j = 0; j < row.length; j++) row[j] = dot(a, B[j]);
    }
    return made;
  }

  /** A B. */
  function product(A, B) {
    const made = matrix(A.length, B[0].length);
    for (let i = 0; i < A.length; i++) {
      const [a, sum] = [A[i], made[i]];
      for (let k = 0; k < a.length; k++) {
        const [share, row] = [a[k], B[k]];
        if (share === 0) continue; // codes are mostly zeros
        for (let p = 0; p < sum.length; p++) sum[p] += share * row[p];
      }
    }
    return made;
  }

  const energy = (A) => A.reduce((sum, row) => sum + dot(row, row), 0);
  function inPlace(A, change) {
    for (let i = 0; i < A.length; i++)
      for (let j = 0; j < A[i].length; j++) A[i][j] = change(A[i][j], i, j);
  }

  /** ⟨A, B⟩. */
  const together = (A, B) => A.reduce((sum, row, i) => sum + dot(row, B[i]), 0);

  /** The lower triangle L with L Lᵀ = A, a symmetric positive matrix. */
  function cholesky(A) {
    const L = matrix(A.length, A.length);
    for (let i = 0; i < A.length; i++)
      for (let j = 0; j <= i; j++) {
        let rest = A[i][j];
        for (let k = 0; k < j; k++) rest -= L[i][k] * L[j][k];
        L[i][j] = i === j ? Math.sqrt(rest) : rest / L[j][j];
      }
    return L;
  }

  /** A L⁻ᵀ: each row a becomes the x with L x = a. */
  const solvedLower = (A, L) =>
    A.map((a) => {
      const x = a.slice();
      for (let i = 0; i < x.length; i++) {
        for (let k = 0; k < i; k++) x[i] -= L[i][k] * x[k];
        x[i] /= L[i][i];
      }
      return x;
    });

  /** A L⁻¹: each row a becomes the x with Lᵀ x = a. */
  const solvedUpper = (A, L) =>
    A.map((a) => {
      const x = a.slice();
      for (let i = x.length - 1; i >= 0; i--) {
        for (let k = i + 1; k < x.length; k++) x[i] -= L[k][i] * x[k];
        x[i] /= L[i][i];
      }
      return x;
    });

  /** B⁻¹ A for a symmetric positive B. */
  function solved(B, A) {
    const L = cholesky(B);
    return transposed(solvedUpper(solvedLower(transposed(A), L), L));
  }

  // Least squares in one factor -------------------------------------------------------------------

  /** One sweep of coordinate descent on tr(FᵀGF) − 2⟨C, F⟩ over rows F ≥ 0, F (m × n), in place. */
  function sweep(F, G, C) {
    for (let k = 0; k < F.length; k++) {
      if (!(G[k][k] > 0)) continue; // a part whose partner is zero does not matter to the loss
      const row = C[k].slice();
      for (let j = 0; j < F.length; j++) {
        if (j === k || G[k][j] === 0) continue;
        for (let i = 0; i < row.length; i++) row[i] -= G[k][j] * F[j][i];
      }
      for (let i = 0; i < row.length; i++) F[k][i] = Math.max(0, row[i] / G[k][k]);
    }
  }

  /** ‖projected gradient‖ of rows F ≥ 0, with partners of norm 1. */
  function stationarity(F, G, C) {
    let sum = 0;
    const GF = product(G, F);
    for (let k = 0; k < F.length; k++) {
      if (!(G[k][k] > 0)) continue;
      for (let i = 0; i < F[k].length; i++) {
        const gradient = GF[k][i] - C[k][i];
        if (F[k][i] > 0 || gradient < 0) sum += gradient ** 2 / G[k][k];
      }
    }
    return Math.sqrt(sum);
  }

  /** ‖D − H P‖². */
  function loss(D, H, P) {
    const error = product(H, P);
    inPlace(error, (value, i, p) => D[i][p] - value);
    return energy(error);
  }

  /** The best codes H ≥ 0 of D for parts P, by coordinate descent. */
  function codes(D, P, { tol = 1e-10, rounds = 5000 } = {}) {
    const F = matrix(P.length, D.length);
    const G = inner(P, P);
    const C = inner(P, D);
    const unit = Math.sqrt(energy(D)) || 1;
    for (let round = 0; round < rounds && stationarity(F, G, C) > tol * unit; round++)
      sweep(F, G, C);
    return transposed(F);
  }

  // NMF -------------------------------------------------------------------------------------------

  // An iteration that gains less than this share is slow, and going past its end then pays.
  const [SLOW, STEP, GROW, GROW_LIMIT, BACK] = [0.03, 0.5, 1.05, 1.01, 2];

  /** min ‖D − H P‖² over H ≥ 0, P ≥ 0, by hierarchical alternating least squares, extrapolated.
   *
   * From `start`, {H, P}, or from random ones. Ends where the projected gradient is at most `tol`
   * of the data's norm.
   */
  function* nmf(D, { m, seed = 0, start = null, tol = 1e-5, iterations = 2000 } = {}) {
    const begun = start || randomStart(D, m, seed);
    let [F, P] = [transposed(begun.H), copy(begun.P)];
    let [aheadF, aheadP] = [F, P]; // where the next turn begins
    const columns = transposed(D);
    const total = energy(D);
    let [before, step, limit] = [Infinity, 0, 1];

    /** A factor improved from where it is ahead, that moved past it, and what the loss is then. */
    function turn(old, ahead, partner, data) {
      const [G, C] = [inner(partner, partner), inner(partner, data)];
      const residual = stationarity(ahead, G, C);
      const now = copy(ahead);
      sweep(now, G, C);
      sweep(now, G, C);
      const past = step > 0 ? plus(now, minus(now, old), step) : now;
      if (step > 0) inPlace(past, (value) => Math.max(0, value));
      return [now, past, residual, () => Math.max(0, total + quadratic(now, G, C))];
    }

    for (let iteration = 1; iteration <= iterations; iteration++) {
      let ofCodes, ofParts, value;
      [F, aheadF, ofCodes] = turn(F, aheadF, aheadP, D);
      [P, aheadP, ofParts, value] = turn(P, aheadP, aheadF, columns);
      const residual = Math.hypot(ofCodes, ofParts) / (Math.sqrt(total) || 1);
      const [ahead, still] = [step > 0, residual <= tol];
      // If ahead, the last iteration is still to be one that goes nowhere past its end.
      const done = (still && !ahead) || iteration === iterations;
      yield {
        P,
        residual,
        iteration,
        done,
        get H() {
          return transposed(F);
        },
        get loss() {
          return loss(D, transposed(F), P);
        },
      };
      if (done) return;
      const reached = value();
      const gained = before - reached;
      const back = ahead && (still || gained < 0);
      if (back) [aheadF, aheadP] = [F, P];
      const next = ahead ? (back ? step / BACK : Math.min(limit, GROW * step)) : gained < SLOW * reached ? STEP : 0;
      limit = back ? step : Math.min(1, GROW_LIMIT * limit);
      step = still ? 0 : next;
      before = reached;
    }
  }

  function randomStart(D, m, seed) {
    const uniform = random(seed);
    const size = Math.sqrt(D.reduce((sum, row) => sum + row.reduce((a, b) => a + b, 0), 0) / (D.length * D[0].length * m)) || 1;
    const entry = () => size * Math.abs(normal(uniform));
    return { H: matrix(D.length, m, entry), P: matrix(m, D[0].length, entry) };
  }

  // The autoencoder ---------------------------------------------------------------------------------

  /** A Gram matrix made regular where features determine each other. */
  function withRidge(gram, share = 1e-10) {
    const trace = gram.reduce((sum, row, i) => sum + row[i], 0) || 1;
    return gram.map((row, i) => row.map((value, j) => value + (i === j ? share * trace : 0)));
  }

  /** The encoder U whose pre-activations D Uᵀ are nearest to codes H. */
  function nearestEncoder(D, H) {
    const columns = transposed(D);
    const wanted = product(transposed(H), D);
    return transposed(solved(withRidge(inner(columns, columns)), transposed(wanted)));
  }

  const MEMORY = 8; // steps that L-BFGS remembers
  const SHRINK = 0.4;
  const TRIALS = 12;
  const PROMISE = 2e-4; // the share of its slope's promise that a step has to keep
  const SOME = 600;
  const [ROUNDS, LATEST, GAIN] = [40, 10, 2.5e-3]; // of a start, whose latest have to gain a share

  /** min over U of min over P of ‖D − f(D Uᵀ) P‖²: variable projection, by L-BFGS.
   *
   * f is ReLU, or with `k` the k largest positive codes of a sample. Parts are nonnegative, or of
   * any sign if `free`. The inputs are made white, so that the Hessian in the encoder is nearly one
   * small matrix. From `start`, {U, P}, or from random samples.
   */
  function* sae(
    D,
    { m, k = null, free = false, seed = 0, start = null, tol = 1e-7, steps = 500 } = {},
  ) {
    const total = energy(D);
    const columns = transposed(D);
    const L = cholesky(withRidge(inner(columns, columns), 1e-12));
    const Q = solvedLower(D, L); // D = Q Lᵀ, with QᵀQ = 1
    const begun = start || encoderStart(D, { m, k, free, seed });
    const bindings = { D, Q, k, free, total };
    let now = stateAt(product(begun.U, L), begun.P, bindings);
    const memory = [];
    let before = null;
    for (let step = 0; ; step++) {
      const done = step >= steps || now.failed || (before !== null && before - now.loss <= tol * now.loss);
      yield {
        U: solvedUpper(now.V, L),
        P: now.P,
        H: transposed(now.F),
        loss: now.loss,
        iteration: step,
        done,
      };
      if (done) return;
      before = now.loss;
      now = stepped(now, memory, bindings);
    }
  }

  /** Codes F (m × n) of encoders V in white coordinates, the best parts for them, and the loss. */
  function stateAt(V, P, { D, Q, k, free, total }) {
    const F = inner(V, Q);
    if (k !== null) keepLargest(F, k);
    inPlace(F, (value) => Math.max(0, value));
    const G = inner(F, F);
    const C = product(F, D);
    const fitted = free ? freeParts(G, C) : nonnegativeParts(P, G, C);
    return { V, F, P: fitted, loss: total + quadratic(fitted, G, C) };
  }

  const quadratic = (P, G, C) => together(P, product(G, P)) - 2 * together(P, C);

  /** Of each column keep the k largest. */
  function keepLargest(F, k) {
    for (let i = 0; i < F[0].length; i++) {
      const column = F.map((row) => row[i]).sort((a, b) => b - a);
      const least = k < column.length ? column[k - 1] : -Infinity;
      let left = k;
      for (const row of F) row[i] = row[i] >= least && left-- > 0 ? row[i] : 0;
    }
  }

  const freeParts = (G, C) => solved(withRidge(G, 1e-12), C);

  function nonnegativeParts(P, G, C) {
    const fitted = copy(P);
    const unit = Math.sqrt(energy(C)) || 1;
    for (let round = 0; round < 200; round++) {
      sweep(fitted, G, C);
      if (round % 5 === 4 && stationarity(fitted, G, C) <= 1e-10 * unit) break;
    }
    return fitted;
  }

  function stepped(now, memory, bindings) {
    const { D, Q } = bindings;
    const G = inner(now.P, now.P);
    const error = product(G, now.F);
    const wanted = inner(now.P, D);
    inPlace(error, (value, j, i) => (now.F[j][i] > 0 ? value - wanted[j][i] : 0));
    const gradient = product(error, Q);
    if (now.gradient) remember(memory, now.moved, minus(gradient, now.gradient));
    const gates = now.F.map((row) => row.map((value) => (value > 0 ? 1 : 0)));
    const both = inner(gates, gates);
    const B = G.map((row, j) => row.map((value, l) => (value * both[j][l]) / D.length));
    const largest = Math.max(...B.map((row, j) => row[j])) || 1;
    B.forEach((row, j) => (row[j] += Math.max(1e-2 * row[j], 1e-4 * largest)));
    let direction = newton(gradient, memory, B);
    if (!(together(gradient, direction) < 0)) direction = scaled(solved(B, gradient), -1);
    const slope = together(gradient, direction);
    for (let t = 1, trial = 0; trial < TRIALS; trial++, t *= SHRINK) {
      const tried = stateAt(plus(now.V, direction, t), now.P, bindings);
      if (tried.loss <= now.loss + PROMISE * t * slope)
        return { ...tried, gradient, moved: scaled(direction, t) };
    }
    if (memory.length) {
      memory.length = 0; // begin anew where no step helped
      return stepped({ ...now, gradient: null }, memory, bindings);
    }
    return { ...now, failed: true };
  }

  const scaled = (A, t) => A.map((row) => row.map((value) => t * value));
  const plus = (A, B, t = 1) => A.map((row, i) => row.map((value, j) => value + t * B[i][j]));
  const minus = (A, B) => plus(A, B, -1);

  function remember(memory, move, change) {
    const curvature = together(move, change);
    if (curvature > 1e-10 * Math.sqrt(energy(move) * energy(change)))
      memory.push({ move, change, curvature });
    if (memory.length > MEMORY) memory.shift();
  }

  /** Minus the gradient times the inverse Hessian that L-BFGS makes of B⁻¹ (two loops). */
  function newton(gradient, memory, B) {
    let q = copy(gradient);
    const passed = [];
    for (const { move, change, curvature } of [...memory].reverse()) {
      const alpha = together(move, q) / curvature;
      passed.unshift(alpha);
      q = plus(q, change, -alpha);
    }
    q = solved(B, q);
    if (memory.length) {
      const { change, curvature } = memory[memory.length - 1];
      q = scaled(q, curvature / together(change, solved(B, change)));
    }
    memory.forEach(({ move, change, curvature }, i) => {
      q = plus(q, move, passed[i] - together(change, q) / curvature);
    });
    return scaled(q, -1);
  }

  /** An autoencoder's own start: samples as parts, and rounds of codes, encoder, parts in turn. */
  function encoderStart(D, { m, k, free, seed }) {
    const uniform = random(seed);
    let P = matrix(m, D[0].length);
    for (const part of P) {
      const sample = D[Math.floor(uniform() * D.length)];
      sample.forEach((value, p) => (part[p] = uniform() < 0.5 ? value : 0));
    }
    // Of many samples some will do to begin with.
    const step = Math.ceil(D.length / SOME);
    D = D.filter((_, i) => i % step === 0);
    const columns = transposed(D);
    const L = cholesky(withRidge(inner(columns, columns)));
    const total = energy(D);
    let F = matrix(m, D.length);
    let U;
    const losses = [];
    for (let round = 0; round < ROUNDS; round++) {
      const [gramOfParts, byParts] = [inner(P, P), inner(P, D)];
      sweep(F, gramOfParts, byParts);
      sweep(F, gramOfParts, byParts);
      U = solvedUpper(solvedLower(product(F, D), L), L); // the encoder nearest to these codes
      const A = inner(U, D);
      if (k !== null) keepLargest(A, k);
      inPlace(A, (value) => Math.max(0, value));
      const [G, C] = [inner(A, A), inner(A, columns)];
      if (free) P = freeParts(G, C);
      else for (let again = 0; again < 5; again++) sweep(P, G, C);
      losses.push(total + quadratic(P, G, C));
      P.forEach((part, j) => {
        const norm = Math.sqrt(dot(part, part));
        if (!norm) return;
        part.forEach((value, p) => (part[p] = value / norm));
        F[j].forEach((value, i) => (F[j][i] = value * norm));
        U[j].forEach((value, p) => (U[j][p] = value * norm));
      });
      const now = losses[round];
      if (round >= LATEST && losses[round - LATEST] - now < GAIN * now) break;
    }
    return { U, P };
  }

  // Comparison ----------------------------------------------------------------------------------

  const unitRows = (A) =>
    A.map((row) => {
      const norm = Math.sqrt(dot(row, row));
      return row.map((value) => (norm > 0 ? value / norm : 0));
    });

  /** Pair the rows of A and B one to one so that their cosines sum to the most.
   *
   * `to[i]` is the row of B that belongs to row i of A, `cosines[i]` their cosine, `mcc` the mean
   * over the larger number of rows, where unmatched rows count 0.
   */
  function match(A, B) {
    const size = Math.max(A.length, B.length);
    const cosines = inner(unitRows(A), unitRows(B));
    const cost = matrix(size, size, (i, j) => -(cosines[i]?.[j] ?? 0));
    const to = assigned(cost);
    const paired = A.map((_, i) => cosines[i][to[i]] ?? 0);
    return { to: to.slice(0, A.length), cosines: paired, mcc: paired.reduce((a, b) => a + b, 0) / size };
  }

  /** The assignment of least cost of a square matrix, by shortest augmenting paths. */
  function assigned(cost) {
    const n = cost.length;
    const [u, v] = [new Float64Array(n + 1), new Float64Array(n + 1)];
    const [row, way] = [new Int32Array(n + 1), new Int32Array(n + 1)];
    for (let i = 1; i <= n; i++) {
      row[0] = i;
      let column = 0;
      const least = new Float64Array(n + 1).fill(Infinity);
      const used = new Uint8Array(n + 1);
      do {
        used[column] = 1;
        let [delta, next] = [Infinity, 0];
        for (let j = 1; j <= n; j++) {
          if (used[j]) continue;
          const reduced = cost[row[column] - 1][j - 1] - u[row[column]] - v[j];
          if (reduced < least[j]) [least[j], way[j]] = [reduced, column];
          if (least[j] < delta) [delta, next] = [least[j], j];
        }
        for (let j = 0; j <= n; j++) {
          if (used[j]) [u[row[j]], v[j]] = [u[row[j]] + delta, v[j] - delta];
          else least[j] -= delta;
        }
        column = next;
      } while (row[column]);
      for (; column; column = way[column]) row[column] = row[way[column]];
    }
    const to = new Int32Array(n);
    for (let j = 1; j <= n; j++) to[row[j] - 1] = j - 1;
    return [...to];
  }

  /** The last fit of a generator. */
  function last(fits) {
    let found;
    for (found of fits);
    return found;
  }

  /** Of fits from several seeds the one with the least loss. */
  const best = (method, D, settings, seeds) =>
    seeds
      .map((seed) => last(method(D, { ...settings, seed })))
      .reduce((a, b) => (b.loss < a.loss ? b : a));

  return {
    random, normal, matrix, copy, transposed, dot, inner, product, energy, loss, codes,
    nmf, sae, nearestEncoder, match, unitRows, last, best,
  };
})();

if (typeof module !== "undefined") module.exports = partsrep;
