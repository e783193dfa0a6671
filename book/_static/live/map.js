/* The map of both gaps: published means over noise and overlap, and one cell's along its training. */
"use strict";

partsrep.page.figures["map"] = (host) => {
  const { element, choice, button, largest, score, colour } = partsrep.page;
  const records = partsrep.records.phase; // what the build puts beside this script
  const all = (name) => [...new Set(records.map((record) => record[name]))];
  const noises = all("noise").sort((a, b) => a - b);
  const overlaps = all("overlap").sort((a, b) => b - a);
  const kinds = all("kind");
  const trainings = records[0].runs.map(({ name }) => name);
  const shown = { kind: kinds.at(-1), training: trainings.length - 2, noise: noises[0], overlap: overlaps[0] };
  const at = (noise, overlap) =>
    records.find((record) => record.kind === shown.kind && record.noise === noise && record.overlap === overlap);
  const percent = (value) => `${(100 * value).toPrecision(2)} %`;

  const cells = [];
  const table = element("table", { class: "live-map" });
  table.append(
    element("caption", {}, "the dictionary gap's share of both gaps"),
    element("tr", {}, element("th", { scope: "col" }, "overlap ↓ noise →"), ...noises.map((noise) => element("th", { scope: "col" }, String(noise)))),
    ...overlaps.map((overlap) =>
      element("tr", {}, element("th", { scope: "row" }, String(overlap)),
        ...noises.map((noise) => {
          const pick = button("", () => { Object.assign(shown, { noise, overlap }); draw(); });
          cells.push({ noise, overlap, pick });
          return element("td", {}, pick);
        }))),
  );
  const lines = trainings.map((name) => {
    const bars = ["adds", "subtracts"].map((kind) => element("b", { style: `background: rgb(var(--live-${kind}))` }));
    const number = element("span", { class: "live-number" });
    return { bars, number, line: element("div", { class: "live-gauge" }, element("span", {}, name), element("i", { style: "display: flex" }, ...bars), number) };
  });
  const words = element("p", { class: "live-verdict", "aria-live": "polite" });
  host.append(
    element("div", { class: "live-controls" },
      choice("parts and codes", kinds.map((kind) => [kind, kind]), (kind) => { shown.kind = kind; draw(); }),
      choice("training", trainings.map((name, place) => [place, name]), (place) => { shown.training = Number(place); draw(); })),
    element("div", { class: "live-two" }, table, element("div", {}, ...lines.map(({ line }) => line))),
    words,
  );
  const [kindChoice, trainingChoice] = host.querySelectorAll("select");
  kindChoice.value = shown.kind;
  trainingChoice.value = shown.training;

  function draw() {
    const [blue, orange, ground] = ["--live-adds", "--live-subtracts", "--live-zero"].map((name) => colour(host, name));
    for (const { noise, overlap, pick } of cells) {
      const { share } = at(noise, overlap).runs[shown.training];
      const known = share !== null;
      const strength = known ? 1.7 * Math.abs(share - 0.5) : 0;
      const mixed = ground.map((zero, c) => Math.round(zero + strength * ((share > 0.5 ? blue : orange)[c] - zero)));
      const light = (0.299 * mixed[0] + 0.587 * mixed[1] + 0.114 * mixed[2]) / 255;
      pick.textContent = known ? score(share) : "–";
      pick.setAttribute("aria-label", `overlap ${overlap}, noise ${noise}: ${known ? score(share) : "nothing is lost"}`);
      pick.setAttribute("aria-pressed", noise === shown.noise && overlap === shown.overlap);
      pick.style.background = `rgb(${mixed.join(" ")})`;
      pick.style.color = light > 0.45 ? "#000" : "#fff";
    }
    const { runs } = at(shown.noise, shown.overlap);
    const most = largest(runs.map(({ dictionary, amortisation }) => dictionary + amortisation)) || 1;
    runs.forEach(({ dictionary, amortisation }, place) => {
      [dictionary, amortisation].forEach((gap, side) => (lines[place].bars[side].style.width = `${(100 * gap) / most}%`));
      lines[place].number.textContent = percent(dictionary + amortisation);
    });
    const { name, dictionary, amortisation } = runs[shown.training];
    const lead = dictionary > amortisation ? "the parts lose more" : "the encoder loses more";
    words.textContent = `Overlap ${shown.overlap}, noise ${shown.noise}, ${name}: dictionary gap ${percent(dictionary)} of the data, amortisation gap ${percent(amortisation)}; ${lead}.`;
  }

  draw();
  return draw;
};
