/* Each result of the search with the words around what was found, from excerpts.js: offline too. */
"use strict";

const LENGTH = 240;

/* Sphinx looks for stems: the text's words begin with them. */
const stems = () => {
  const stemmer = new Stemmer();
  const query = new URLSearchParams(location.search).get("q") ?? "";
  const words = splitQuery(query.toLowerCase());
  return words.map((word) => (word.startsWith(stemmer.stemWord(word)) ? stemmer.stemWord(word) : word));
};

/* Where in a text the words begin that it has. */
const positions = (text, words) =>
  words.map((word) => text.toLowerCase().indexOf(word)).filter((at) => at >= 0);

const excerpt = (text, words) => {
  const [first = 0] = positions(text, words).sort((a, b) => a - b);
  const at = Math.max(0, first - LENGTH / 3);
  const begin = at ? text.indexOf(" ", at) + 1 : 0;
  const end = text.length > begin + LENGTH ? text.lastIndexOf(" ", begin + LENGTH) : text.length;
  const paragraph = document.createElement("p");
  paragraph.className = "context";
  const pattern = new RegExp(`(${words.map((word) => word.replace(/[^\p{L}\p{N}_]/gu, "\\$&")).join("|")})`, "iu");
  const pieces = `${begin ? "… " : ""}${text.slice(begin, end)}${end < text.length ? " …" : ""}`.split(pattern);
  pieces.forEach((piece, i) => {
    const node = i % 2 ? document.createElement("mark") : document.createTextNode("");
    node.textContent = piece;
    paragraph.append(node);
  });
  return paragraph;
};

/* Of a page that was found the section with most of the words. */
const explain = (result, words) => {
  const link = result.querySelector("a");
  const [page, anchor] = link.getAttribute("href").split("#");
  const sections = excerpts[page.replace(/\.html$/, "")] ?? [];
  const most = ([, text]) => positions(text, words).length;
  const best = sections.reduce((best, next) => (most(next) > most(best) ? next : best), sections[0]);
  const section = sections.find(([id]) => id === anchor) ?? best;
  if (!section) return;
  if (!anchor && section !== sections[0]) link.href += `#${section[0]}`;
  result.append(excerpt(section[1], words));
};

document.addEventListener("DOMContentLoaded", () => {
  const words = stems();
  if (!words.length) return;
  const list = document.getElementById("search-results");
  list.querySelectorAll("li").forEach((result) => explain(result, words));
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) if (node.nodeName === "LI") explain(node, words);
    }
  }).observe(list, { childList: true, subtree: true });
});
