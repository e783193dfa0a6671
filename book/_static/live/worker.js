/* What a worker of the page "Your data" does: it keeps the matrix, fits, and answers. */
"use strict";

let D = null;
addEventListener("message", ({ data }) => {
  if (data.D) D = data.D;
  else if (data.fit) postMessage({ of: data.fit, fit: partsrep.study.fitted(D, data.fit) });
  else postMessage({ answer: partsrep.study.answer(D, data.nmfs, data.saes, data.settings) });
});
