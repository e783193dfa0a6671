/* The page "Your data": a matrix goes in, and out comes which method to use on it, and why. */
"use strict";

partsrep.page.figures["your-data"] = (host) => {
  const { element, button, paint, largest, score } = partsrep.page;
  const MOST = { work: 4e6, features: 400, bytes: 32e6 }; // beyond, the command line is the place
  const [SEEDS, LEAST, BUDGET] = [10, 3, 7000]; // fits of each method, and milliseconds for them
  const CONDITIONS = {
    none: ["", "answer"],
    signs: ["where signs are free, other parts are as good", "../notebooks/free_decoder"],
    uniqueness: ["NMF does not find its own parts again, or others have the same loss", "../notebooks/uniqueness"],
    samples: ["there are as many parts as samples", "../notebooks/few_samples"],
    optimiser: ["fits end in different minima, so that starts and training decide", "../notebooks/training"],
    encodability: ["parts that are used together are not independent, and one layer moves them", "../notebooks/encodability"],
    noise: ["one layer adds the noise of its codes, and that moves the parts", "../notebooks/noise"],
    selection: ["a limit on the codes of a sample moves the parts", "../notebooks/sparsity"],
  };
  const VERDICT = { true: "They agree.", false: "They disagree.", null: "Undetermined." };
  const USE = {
    nmf: "Use NMF.",
    sae: "Use the autoencoder.",
    either: "Either will do.",
    "nobody-can-tell": "Nobody can tell.",
  };

  let given = null; // {name, read: header -> matrix}
  let data = null; // the matrix, in order
  let shown = null; // the answer
  let workers = [];

  // The form --------------------------------------------------------------------------------------

  const file = element("input", { type: "file", id: "matrix", accept: ".csv,.tsv,.npy", change: () => file.files[0] && take(file.files[0]) });
  const text = element("textarea", { id: "pasted", rows: 4, placeholder: "1.0, 0.5, 0.0\n0.2, 0.0, 3.1\n…", spellcheck: "false", "aria-label": "Numbers, a sample a line" });
  const number = (id, value) => element("input", { type: "number", id, min: 1, step: 1, value, inputmode: "numeric" });
  const parts = number("n_components", 8);
  const width = number("width", "");
  width.setAttribute("placeholder", "none");
  const choice = (id, ...options) => element("select", { id }, ...options.map(([value, words]) => element("option", { value }, words)));
  const decoder = choice("decoder", ["nonnegative", "nonnegative"], ["free", "free signs"]);
  const k = number("k", "");
  k.setAttribute("placeholder", "any");
  const header = choice("header", ["", "as found"], ["yes", "names of features"], ["no", "a sample"]);
  header.addEventListener("change", reread);
  width.addEventListener("input", () => shown && draw());
  const labelled = (words, control) => element("label", {}, `${words} `, control);

  const alert = element("p", { role: "alert", class: "live-alert", hidden: "" });
  const about = element("p", { class: "live-about", "aria-live": "polite" });
  const run = element("button", { type: "button", id: "run", click: start, disabled: "" }, "Compare");
  const halt = element("button", { type: "button", id: "stop", click: () => stopped(), hidden: "" }, "Stop");
  const bar = element("progress", { max: 1, value: 0, hidden: "", "aria-label": "Fits done" });
  const status = element("p", { class: "live-about", role: "status" });
  const result = element("div", { id: "result", hidden: "" });

  const drop = element(
    "div",
    { class: "live-drop" },
    labelled("A file, .csv .tsv or .npy, samples in rows: choose or drop it", file),
    element("details", {}, element("summary", {}, "or paste numbers"), text,
      button("Read these", () => accept({ name: "pasted", read: (head) => partsrep.read.pasted(text.value, head) }))),
    element("p", { class: "live-samples" }, "or try: ", ...Object.entries(samples()).flatMap(([name, make]) => [button(name, () => trying(name, make)), " "])),
  );
  for (const kind of ["dragover", "drop"])
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      const dropped = event.dataTransfer?.files[0];
      if (kind === "drop" && dropped) take(dropped);
    });
  host.append(
    drop, alert, about,
    element("div", { class: "live-controls" },
      labelled("parts", parts), labelled("decoder of the autoencoder", decoder),
      labelled("active parts a sample, by TopK", k), labelled("width, if samples are pictures", width), labelled("first row", header), run, halt),
    bar, status, result,
  );

  // Data that show what can come out --------------------------------------------------------------

  function samples() {
    const spots = (count, noise) => {
      const uniform = partsrep.random(7);
      const P = partsrep.matrix(6, 64, (j, p) => {
        const away = (p % 8 - (1 + 2.5 * (j % 3))) ** 2 + (Math.floor(p / 8) - (1.75 + 3.5 * Math.floor(j / 3))) ** 2;
        return Math.exp(-away / 1.2) < 0.1 ? 0 : Math.exp(-away / 1.2);
      });
      const H = partsrep.matrix(count, 6, () => (uniform() < 0.35 ? 0.5 + uniform() : 0));
      return partsrep.product(H, P).map((row) => row.map((value) => Math.max(0, value + noise * partsrep.normal(uniform))));
    };
    const dense = () => {
      const uniform = partsrep.random(3);
      return partsrep.product(partsrep.matrix(200, 5, () => 0.5 + uniform()), partsrep.matrix(5, 30, () => 0.5 + uniform()));
    };
    return {
      "six spots": { m: 6, width: 8, make: () => spots(300, 0.05) },
      "the same, free signs": { m: 6, width: 8, decoder: "free", make: () => spots(300, 0.05) },
      "no zeros at all": { m: 5, make: dense },
      "with signs": { m: 5, make: () => dense().map((row) => row.map((value) => value - 3)) },
    };
  }

  function trying(name, { make, m, width: wide = "", decoder: signs = "nonnegative" }) {
    const D = make();
    accept({ name, read: () => ({ D, features: null, samples: null }) });
    [parts.value, width.value, decoder.value, k.value] = [m, wide, signs, ""];
    if (!run.disabled) start();
  }

  // Reading ---------------------------------------------------------------------------------------

  async function take(chosen) {
    accept(null); // what was there before does not stand for this
    if (chosen.size > MOST.bytes) return refused(tooLarge(chosen.name, "This file"));
    const bytes = await chosen.arrayBuffer();
    accept({ name: chosen.name, read: (head) => partsrep.read.file(chosen.name, bytes, head) });
  }

  function accept(what) {
    given = what;
    reread();
  }

  function reread() {
    stopped();
    status.textContent = "";
    [data, shown] = [null, null];
    [alert.hidden, result.hidden, run.disabled] = [true, true, true];
    result.replaceChildren();
    about.textContent = "";
    for (const name of Object.keys(result.dataset)) delete result.dataset[name];
    if (!given) return;
    try {
      const read = given.read({ "": null, yes: true, no: false }[header.value]);
      const negative = partsrep.read.check(read);
      data = { ...read, name: given.name };
      const [n, d] = [read.D.length, read.D[0].length];
      const zeros = read.D.reduce((count, row) => count + row.filter((value) => value === 0).length, 0) / (n * d);
      about.textContent = `${given.name}: ${n} samples, ${d} features, ${(100 * zeros).toFixed(0)} % zeros.`;
      if (negative) return signed(negative);
      run.disabled = false;
      if (tooMuch()) refused(tooMuch());
    } catch (error) {
      refused(error.message);
    }
  }

  function refused(...words) {
    alert.replaceChildren(...words);
    alert.hidden = false;
  }

  /** NMF cannot take them; semi-NMF can, but its parts are open. */
  function signed(negative) {
    refused(`${negative} NMF takes no negative entries, and semi-NMF, which does, may mix its parts with each other at no loss.`);
    const nothing = { mcc: null, seed_mcc: null, chance: null, excess: null };
    tell({ agree: null, ...nothing, deciding_condition: "signs", recommendation: "nobody-can-tell" });
    result.append(
      element("p", { class: "live-use" }, USE["nobody-can-tell"]),
      element("p", {}, "Where signs are free, so that parts may cancel, no data determine the parts of semi-NMF. If the sign has a meaning, use an autoencoder with TopK and check that it finds its own parts again. If negative entries are only a shift, undo it, and do not shift data to be rid of them: that adds a part. ",
        element("a", { href: "../notebooks/free_decoder.html" }, "Why")),
      command(),
    );
  }

  /** What to say of data that are too large for as many parts; nothing if they are not. */
  function tooMuch() {
    const [n, d, m] = [data.D.length, data.D[0].length, Number(parts.value)];
    const small = n * d * Math.max(m, 1) <= MOST.work && d <= MOST.features;
    return small ? "" : tooLarge(given.name, `${n} samples × ${d} features with ${m} parts`);
  }

  const tooLarge = (name, what) => `${what} is too large for a page. On the command line: ${line(name)}`;
  const line = (name) => {
    const choices = `${decoder.value === "free" ? " --decoder free" : ""}${k.value ? ` --k ${k.value}` : ""}`;
    return `partsrep report ${/\s/.test(name) ? `"${name}"` : name} --parts ${parts.value}${choices} --out report`;
  };
  const command = () => element("p", {}, "On the command line: ", element("code", {}, line(given.name.includes(".") ? given.name : "FILE")));

  // Running ---------------------------------------------------------------------------------------

  function start() {
    stopped();
    [alert.hidden, result.hidden] = [true, true];
    const m = Number(parts.value);
    if (!Number.isInteger(m) || m < 1)
      return refused(`n_components must be an integer of at least 1; got ${parts.value || "nothing"}.`);
    if (tooMuch()) return refused(tooMuch());
    const most = k.value === "" ? null : Number(k.value); // TopK; else ReLU
    if (most !== null && !(Number.isInteger(most) && most >= 1))
      return refused(`k must be an integer of at least 1, or empty; got ${k.value}.`);
    if (most > m) return refused(`TopK(k=${most}) needs at least ${most} parts, but n_components=${m}.`);
    const settings = { m, k: most, free: decoder.value === "free" };
    // Results do not depend on the unit of the data; a power of two changes no digit.
    const unit = 2 ** Math.round(Math.log2(Math.max(...data.D.map(largest))));
    const fits = { nmf: [], sae: [] };
    const began = performance.now();
    let [next, done] = [0, 0];
    const both = () => Math.min(fits.nmf.filter(Boolean).length, fits.sae.filter(Boolean).length);
    const enough = (seed) =>
      seed >= SEEDS || (seed >= LEAST && ((performance.now() - began) / Math.max(done, 1)) * 2 * (seed + 1) > BUDGET);
    const source = URL.createObjectURL(new Blob([partsrep.work], { type: "text/javascript" }));
    const count = Math.min(4, navigator.hardwareConcurrency || 2);
    workers = Array.from({ length: count }, () => new Worker(source));
    URL.revokeObjectURL(source);
    [run.hidden, halt.hidden, bar.hidden, bar.value] = [true, false, false, 0];
    status.textContent = "NMF and the autoencoder are fitted …";
    let busy = 0;

    function give(worker) {
      const [seed, method] = [next >> 1, next % 2 ? "sae" : "nmf"];
      if (method === "nmf" && enough(seed)) {
        if (!busy && workers.length) conclude(worker);
        return;
      }
      next++;
      busy++;
      // The seeds of one method are not those of the other.
      worker.postMessage({ fit: { method, ...settings, seed: method === "nmf" ? seed : 1000 + seed } });
    }

    function conclude(worker) {
      const S = both();
      status.textContent = "The parts are compared …";
      worker.postMessage({ nmfs: fits.nmf.slice(0, S), saes: fits.sae.slice(0, S), settings });
    }

    for (const worker of workers) {
      worker.onmessage = ({ data: said }) => {
        if (said.answer) {
          for (const { H } of [said.answer.nmf, said.answer.sae])
            for (const codes of H) codes.forEach((code, j) => (codes[j] = unit * code));
          return finished(said.answer, (performance.now() - began) / 1000);
        }
        busy--;
        done++;
        fits[said.of.method][said.of.seed % 1000] = said.fit;
        const each = (performance.now() - began) / done;
        bar.value = done / Math.max(done + 1, 2 * Math.min(SEEDS, Math.max(LEAST, BUDGET / each / 2)));
        give(worker);
      };
      worker.onerror = (event) => {
        stopped();
        refused(`The fit ended with an error: ${event.message}. On other data it may not; please report it.`);
      };
      worker.postMessage({ D: data.D.map((row) => row.map((value) => value / unit)) });
      give(worker);
    }
  }

  function stopped() {
    if (workers.length) status.textContent = "Stopped; nothing is kept.";
    for (const worker of workers) worker.terminate();
    workers = [];
    [run.hidden, halt.hidden, bar.hidden] = [false, true, true];
  }

  function finished(answer, seconds) {
    for (const worker of workers) worker.terminate();
    workers = [];
    [run.hidden, halt.hidden, bar.hidden] = [false, true, true];
    const few = answer.seeds < SEEDS ? `, not ${SEEDS}, so that it takes seconds` : "";
    status.textContent = `Done in ${seconds.toFixed(1)} s: ${answer.seeds} fits of each method, each the best of ${answer.starts} random starts${few}.`;
    shown = answer;
    tell(answer);
    draw();
  }

  // Showing ---------------------------------------------------------------------------------------

  function tell({ agree, mcc, seed_mcc, chance, excess, deciding_condition, recommendation }) {
    Object.assign(result.dataset, {
      agree: String(agree),
      decidingCondition: deciding_condition,
      recommendation,
      mcc: mcc ?? "",
      seedMcc: seed_mcc ?? "",
      chance: chance ?? "",
      excess: excess ?? "",
    });
    result.hidden = false;
  }

  /** A share of the whole, in percent, or with a power of ten where that would be zeros. */
  function share(value) {
    const sign = value < 0 ? "−" : "";
    const size = Math.abs(value);
    if (size === 0 || size >= 1e-4) return `${sign}${(100 * size).toFixed(2)} %`;
    const [digit, power] = size.toExponential(0).split("e-");
    return `${sign}${digit}·10⁻${[...power].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]).join("")}`;
  }

  function gauge(name, value) {
    return element("div", { class: "live-gauge" }, element("span", {}, name),
      element("i", {}, element("b", { style: `width:${100 * Math.max(0, value)}%` })),
      element("span", { class: "live-number" }, score(value)));
  }

  function reasons(a) {
    const [why, page] = CONDITIONS[a.deciding_condition];
    const link = element("a", { href: `${page}.html` }, a.agree ? "All of them" : "More on this");
    const open = a.replaceable.filter(Boolean).length;
    const verdict = {
      true: "NMF finds its own parts again from other starts, and the autoencoder finds the same ones.",
      false: "NMF finds its own parts again from other starts, and the autoencoder finds other parts.",
      null: open
        ? `${open} of NMF's ${a.n_components} parts can be replaced by others at the same loss.`
        : a.determined
          ? "The seeds do not decide it: the interval of the agreement holds the bar."
          : `NMF matches itself from other starts with ${score(a.seed_mcc)}, where chance has ${score(a.chance)}: a second method cannot be held against it.`,
    }[a.agree];
    const settings = `Its settings: ${a.k === null ? "ReLU" : `TopK(${a.k})`}, a ${a.decoder} decoder, no bias.`;
    const use = {
      either: `NMF for the least loss, exact codes and a certificate; the autoencoder where new samples need their codes fast. ${settings}`,
      "nobody-can-tell": "Whichever method finds them, its parts are one choice among several: do not read more into them.",
      sae: `It loses less, and it finds its own parts again from other starts. ${settings}`,
      nmf: a.agree
        ? "There are no more samples than features, so that an encoder learns nothing for new samples: equal losses say little."
        : "What those gain in loss, if anything, does not make up for it.",
    }[a.recommendation];
    return [
      element("p", { class: "live-use" }, USE[a.recommendation], " ", element("small", {}, VERDICT[a.agree])),
      element("p", {}, verdict, " ", use),
      a.agree
        ? element("p", {}, "No condition fails. ", link, ".")
        : element("p", {}, "What decides: ", element("b", {}, a.deciding_condition), `, ${why}. `, link, "."),
    ];
  }

  function numbers(a) {
    const between = ([low, high]) => (low === null ? "undefined, NMF is exact" : `${share(low)} to ${share(high)}`);
    const known = !Number.isNaN(a.agreement);
    const rows = [
      ["agreement: 0 is chance, 1 as NMF with itself",
        known ? `${score(a.agreement)}, 95 %: ${a.agreement_interval.map(score).join(" to ")}` : "undefined, chance is as much"],
      ["loss of NMF, of the data", share(a.loss_nmf)],
      ["loss of the autoencoder", share(a.loss_sae)],
      ["excess loss, measured", a.excess === null ? "undefined, NMF is exact" : share(a.excess)],
      ["excess loss, foretold from NMF", between(a.predicted_excess)],
      ["certificate: the best autoencoder's loss minus NMF's, of the data",
        `${share(a.certificate.lower)} to ${share(Math.max(0, a.certificate.upper))}${a.decoder === "free" || a.k !== null ? ", for ReLU and nonnegative parts" : ""}`],
      ["certified MCC of all good models", "not computed here; the command below does"],
      ["least margin of a part: 1 over it is what noise grows by in its code", score(Math.min(1, ...a.margins))],
    ];
    return element("table", { class: "live-table" }, element("tbody", {}, ...rows.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value)))));
  }

  function part(values, wide, name) {
    if (wide && Number.isInteger(values.length / wide)) {
      const canvas = element("canvas", { role: "img", "aria-label": name });
      canvas.style.aspectRatio = `${wide} / ${values.length / wide}`;
      requestAnimationFrame(() => paint(canvas, values, wide, largest(values)));
      return canvas;
    }
    const top = [...values.keys()].sort((a, b) => Math.abs(values[b]) - Math.abs(values[a])).slice(0, 5);
    return element("ul", { class: "live-top", "aria-label": name }, ...top.map((p) =>
      element("li", { class: values[p] < 0 ? "subtracts" : "adds", style: `--share:${(100 * Math.abs(values[p])) / (largest(values) || 1)}%` },
        data.features?.[p] ?? `feature ${p + 1}`)));
  }

  function draw() {
    const a = shown;
    const wide = Number(width.value);
    const pairs = a.nmf.P.map((P, j) =>
      element("li", {},
        element("div", {}, element("small", {}, "NMF"), part(P, wide, `part ${j + 1} of NMF`)),
        element("div", {}, element("small", {}, "SAE"), part(a.sae.P[j], wide, `its match of the autoencoder`)),
        element("small", {}, `${score(a.cosines[j])}${a.replaceable[j] ? " · open" : ""}`)));
    result.replaceChildren(
      ...reasons(a),
      gauge("SAE and NMF", a.mcc), gauge("NMF and NMF", a.seed_mcc), gauge("chance", a.chance),
      numbers(a),
      element("p", {}, "NMF's parts, each with the autoencoder's part that matches it, and their cosine", wide ? "" : "; of each the five features that count most", "."),
      element("ul", { class: wide ? "live-pairs pictures" : "live-pairs" }, ...pairs),
      element("p", { class: "live-controls" },
        button("answer, JSON", () => save("answer.json", JSON.stringify(summary(a), null, 1))),
        button("parts, CSV", () => save("parts.csv", csvOfParts(a))),
        button("codes, CSV", () => save("codes.csv", csvOfCodes(a)))),
      command(),
    );
  }

  // Keeping ---------------------------------------------------------------------------------------

  function summary({ nmf, sae, ...rest }) {
    return { data: data.name, ...rest };
  }

  const cell = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  const csv = (rows) => rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
  const csvOfParts = (a) =>
    csv([
      ["", ...(data.features ?? data.D[0].keys().map((p) => `feature ${p + 1}`))],
      ...["nmf", "sae"].flatMap((name) => a[name].P.map((row, j) => [`${name} ${j + 1}`, ...row])),
    ]);
  const csvOfCodes = (a) =>
    csv([
      ["", ...["nmf", "sae"].flatMap((name) => a[name].P.map((_, j) => `${name} ${j + 1}`))],
      ...data.D.map((_, i) => [data.samples?.[i] ?? i + 1, ...a.nmf.H[i], ...a.sae.H[i]]),
    ]);

  function save(name, words) {
    const address = URL.createObjectURL(new Blob([words], { type: "text/plain" }));
    const link = element("a", { href: address, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  return () => shown && draw();
};
