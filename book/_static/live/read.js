/* A matrix from a file or from pasted text, as `partsrep.datasets.from_file` reads it, with its errors. */
"use strict";

partsrep.read = (() => {
  const DELIMITERS = { ".csv": ",", ".tsv": "\t" };
  const NUMBER = /^[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity|nan)$/i;
  const MISSING = ["", "na", "n/a", "#n/a", "null", "none"];

  const isNumber = (cell) => NUMBER.test(cell.trim());
  const isMissing = (cell) => MISSING.includes(cell.trim().toLowerCase());
  const areNames = (cells) => !cells.some(isNumber) && !cells.every(isMissing);
  const count = (cells) => cells.every((cell, i) => cell === String(i));
  const number = (cell) => {
    const word = cell.trim().toLowerCase();
    if (word.includes("n") && word.includes("a")) return NaN;
    return word.includes("i") ? (word[0] === "-" ? -Infinity : Infinity) : Number(word);
  };

  /** A text as Python quotes it. */
  function quoted(text) {
    const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
    const inside = text
      .replace(/\\/g, "\\\\")
      .replace(/[\t\n\r]/g, (c) => ({ "\t": "\\t", "\n": "\\n", "\r": "\\r" })[c])
      .replaceAll(mark, mark === "'" ? "\\'" : mark);
    return mark + inside + mark;
  }

  /** The matrix in the bytes of a file: {D, features, samples}, where names may be null. */
  function file(name, bytes, header = null) {
    const suffix = (name.match(/\.[^./\\]+$/) ?? [""])[0].toLowerCase();
    if (!(suffix in DELIMITERS) && suffix !== ".npy")
      throw new Error(
        `${name}: cannot read ${suffix || "a file without an ending"}; known endings here are .csv .tsv .npy. ` +
          "partsrep on the command line also reads .npz .mat .mtx .safetensors .h5ad .h5 .parquet, and folders of images.",
      );
    if (!bytes.byteLength) throw new Error(`${name} is empty.`);
    let read;
    try {
      read = suffix === ".npy" ? npy(bytes) : table(decoded(bytes), DELIMITERS[suffix], header);
    } catch (error) {
      const note = suffix === ".npy" ? " (pickled objects are never loaded)" : "";
      throw new Error(`${name} cannot be read as ${suffix}${note}: ${error.message}`);
    }
    if (!read.D)
      throw new Error(
        `${name} holds an array of shape ${read.shape}; a matrix (samples x features) with at least one of each is ` +
          "needed.",
      );
    return read;
  }

  function decoded(bytes) {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes); // without a byte order mark
    } catch (error) {
      throw new Error(`it is not text in UTF-8: save it as that (${error.message}).`);
    }
  }

  /** The matrix in pasted text; spreadsheets put tabs between cells. */
  function pasted(text, header = null) {
    const first = text.trimStart().split("\n", 1)[0];
    return table(text, first.includes("\t") ? "\t" : ",", header);
  }

  // Tables ----------------------------------------------------------------------------------------

  function table(text, delimiter, header) {
    const rows = cells(text, delimiter); // [line, cells]
    const shown = quoted(delimiter);
    if (header === null) checkSeparator(rows.slice(0, 100), delimiter);
    let [[head, first], ...rest] = rows;
    let column = rest.map(([, row]) => row[0]);
    const oneShort = rest.length > 0 && rest.every(([, row]) => row.length === first.length + 1);
    if (oneShort && (header || (header === null && (!first.some(isNumber) || areNames(column))))) {
      // R leaves out the cell above the names of the samples.
      [header, first] = [true, ["", ...first]];
    }
    for (const [line, row] of rest)
      if (row.length !== first.length)
        throw new Error(
          `line ${line} has ${row.length} cells, the first row has ${first.length}. Where names of samples come ` +
            "first in each row, as R writes them, the header needs a cell above them: an empty one will do.",
        );
    if (header === null) header = isHeader(head, first, column);
    const body = header ? rest : rows;
    if (!body.length)
      throw new Error(`it has a header but no rows (columns are separated by ${shown}).`);
    column = body.map(([, row]) => row[0]);
    const named = first.length > 1 && ((header && !first[0].trim()) || areNames(column));
    const D = body.map(([line, row]) => {
      const numbers = new Float64Array(row.length - named);
      for (let j = 0; j < numbers.length; j++) {
        const cell = row[j + named];
        if (!isNumber(cell))
          throw new Error(
            `line ${line}, column ${j + 1 + named}: ${quoted(cell)} is not a number ` +
              `(columns are separated by ${shown}, a missing value is written nan).`,
          );
        numbers[j] = number(cell);
      }
      return numbers;
    });
    return {
      D,
      features: header ? first.slice(named ? 1 : 0) : null,
      samples: named ? column : null,
    };
  }

  /** The rows that are not blank, each with the line in the text where it ends. */
  function cells(text, delimiter) {
    const [rows, blank] = [[], []];
    const ends = [delimiter, "\n", "\r"];
    let [row, cell, begun, line, at] = [[], "", false, 1, 0];
    const ended = () => {
      if (begun || row.length) rows.push([line, [...row, cell]]);
      else blank.push(line);
      [row, cell, begun] = [[], "", false];
    };
    while (at < text.length) {
      const c = text[at];
      if (c === '"' && !begun) {
        begun = true;
        let closed = false;
        for (at++; at < text.length && !closed; at++) {
          if (text[at] !== '"') cell += text[at];
          else if (text[at + 1] === '"') cell += text[at++];
          else closed = true;
          if (text[at] === "\n") line++;
        }
        if (!closed) throw new Error("unexpected end of data.");
        if (at < text.length && !ends.includes(text[at]))
          throw new Error(`'${quoted(delimiter).slice(1, -1)}' expected after '"'.`);
      } else if (c === delimiter) {
        row.push(cell);
        [cell, begun] = ["", false];
        at++;
      } else if (c === "\n" || c === "\r") {
        ended();
        at += c === "\r" && text[at + 1] === "\n" ? 2 : 1;
        line++;
      } else {
        let end = at;
        while (end < text.length && !ends.includes(text[end])) end++;
        cell += text.slice(at, end);
        [begun, at] = [true, end];
      }
    }
    if (begun || row.length) ended();
    if (!rows.length) throw new Error("it has no rows.");
    const gap = blank.find((at) => rows[0][0] < at && at < rows.at(-1)[0]);
    if (gap && rows.every(([, row]) => row.length === 1))
      throw new Error(`line ${gap} is blank: a missing value is written nan.`);
    return rows;
  }

  function checkSeparator(rows, delimiter) {
    for (const other of [",", ";", "\t"].filter((one) => one !== delimiter)) {
      const counts = new Set(rows.map(([, row]) => row.join("").split(other).length - 1));
      if (counts.size === 1 && !counts.has(0))
        throw new Error(
          `each line has as many ${quoted(other)} (${[...counts][0]}), but columns are separated by ` +
            `${quoted(delimiter)} here, and decimals by '.': rewrite it so, or say header=True or False if these ` +
            "belong to names.",
        );
    }
  }

  /** Whether the first row is a header; an error where it cannot be told. */
  function isHeader(line, first, column) {
    const cells = first.length > 1 ? first.slice(1) : first;
    if (!cells.every(isNumber)) return !cells.some(isNumber) && !cells.every(isMissing);
    if (isNumber(first[0])) return false;
    if (!first[0].trim() && (areNames(column) || count(column) || count(cells))) return true;
    throw new Error(
      `line ${line}, column 1: ${quoted(first[0])} is not a number, but numbers follow: say header=True if the ` +
        "line is a header, header=False if it is a sample (a missing value is written nan).",
    );
  }

  // Arrays of numpy -------------------------------------------------------------------------------

  const KINDS = {
    b1: "getUint8", u1: "getUint8", i1: "getInt8", u2: "getUint16", i2: "getInt16", u4: "getUint32", i4: "getInt32",
    f4: "getFloat32", f8: "getFloat64", u8: "getBigUint64", i8: "getBigInt64",
  };

  function npy(bytes) {
    const view = new DataView(bytes);
    const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
    if (bytes.byteLength < 10) throw new Error(`EOF: reading magic string, expected 8 bytes got ${bytes.byteLength}`);
    if (magic.some((byte, at) => view.getUint8(at) !== byte)) {
      const got = Array.from(new Uint8Array(bytes, 0, 6), (byte) =>
        byte > 31 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`,
      );
      throw new Error(`the magic string is not correct; expected b'\\x93NUMPY', got b'${got.join("")}'`);
    }
    const long = view.getUint8(6) > 1;
    const begin = long ? 12 : 10;
    const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
    if (begin + length > bytes.byteLength)
      throw new Error(`EOF: reading array header, expected ${length} bytes got ${bytes.byteLength - begin}`);
    const said = new TextDecoder("latin1").decode(new Uint8Array(bytes, begin, length));
    const [, descr] = said.match(/'descr':\s*'([^']*)'/) ?? [];
    const [, order] = said.match(/'fortran_order':\s*(True|False)/) ?? [];
    const [, sizes] = said.match(/'shape':\s*\(([^)]*)\)/) ?? [];
    if (!descr || !order || sizes === undefined) throw new Error(`Cannot parse header: ${quoted(said.trim())}`);
    if (descr.includes("O")) throw new Error("Object arrays cannot be loaded when allow_pickle=False");
    const kind = descr.replace(/^[<>|=]/, "");
    if (!(kind in KINDS)) throw new Error(`it holds ${descr}, and here real numbers of 8, 16, 32 or 64 bits are read.`);
    const shape = sizes.split(",").filter((size) => size.trim()).map(Number);
    const size = Number(kind.slice(1));
    const wanted = shape.reduce((a, b) => a * b, 1);
    const there = Math.floor((bytes.byteLength - begin - length) / size);
    const tuple = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
    if (there < wanted)
      throw new Error(
        `Failed to read all data for array. Expected ${tuple} = ${wanted} elements, could only read ${there} ` +
          "elements. (file seems not fully written?)",
      );
    if (shape.length !== 2 || shape.includes(0)) return { shape: tuple };
    const [n, d] = shape;
    const get = KINDS[kind];
    const at = (i, j) => begin + length + size * (order === "True" ? j * n + i : i * d + j);
    const D = Array.from({ length: n }, () => new Float64Array(d));
    for (let i = 0; i < n; i++)
      for (let j = 0; j < d; j++) D[i][j] = Number(view[get](at(i, j), descr[0] !== ">"));
    return { D, features: null, samples: null };
  }

  /** Say, as `partsrep report` does, what is wrong with a matrix; nothing if it is in order. */
  function check({ D, features, samples }) {
    const [n, d] = [D.length, D[0].length];
    const place = (what, at, names) => `${what} ${at + 1}${names ? ` (${quoted(names[at])})` : ""}`;
    const cell = (i, j) => `${place("row", i, samples)}, ${place("column", j, features)} is ${shown(D[i][j])}`;
    const wrong = entries(D, (value) => !Number.isFinite(value));
    if (wrong.count)
      throw new Error(
        `${cell(...wrong.first)}${wrong.count > 1 ? `, as ${wrong.count - 1} other entries` : ""}: no finite number. ` +
          "Fill it in, or drop its row; NMF alone takes it as missing, by fit(X, mask=...).",
      );
    if (n < 2 || d < 2)
      throw new Error(
        `The matrix is ${n} x ${d}, with samples as rows: from one ${n < 2 ? "sample" : "feature"} no parts can be ` +
          `told. At least two of each are needed${n < 2 && d > 2 ? "; if the samples are columns, transpose it" : ""}.`,
      );
    if (!entries(D, Boolean).count) throw new Error("All entries are 0: there is nothing to find parts in.");
    const negative = entries(D, (value) => value < 0);
    if (!negative.count) return "";
    const more = negative.count - 1;
    return `${cell(...negative.first)}${more ? `, and ${more} more ${more > 1 ? "entries are" : "entry is"} negative` : ""}.`;
  }

  const shown = (value) => (Number.isFinite(value) ? String(value) : String(value).replace("NaN", "nan").replace("Infinity", "inf"));

  /** How many entries pass, and where the first one is. */
  function entries(D, passes) {
    let [count, first] = [0, null];
    for (let i = 0; i < D.length; i++)
      for (let j = 0; j < D[i].length; j++)
        if (passes(D[i][j])) {
          count++;
          first ??= [i, j];
        }
    return { count, first };
  }

  return { file, pasted, check, quoted };
})();
