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

const position = (text, words) => {
  const found = words.map((word) => text.toLowerCase().indexOf(word)).filter((at) => at >= 0);
  return found.length ? Math.min(...found) : -1;
};

const excerpt = (text, words) => {
  const at = Math.max(0, position(text, words) - LENGTH / 3);
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

const explain = (result, words) => {
  const link = result.querySelector("a");
  const [page, anchor] = link.getAttribute("href").split("#");
  const sections = excerpts[page.replace(/\.html$/, "")] ?? [];
  const section = anchor
    ? sections.find(([id]) => id === anchor)
    : sections.find(([, text]) => position(text, words) >= 0) ?? sections[0];
  if (!section) return;
  if (!anchor && section !== sections[0]) link.href += `#${section[0]}`;
  result.append(excerpt(section[1], words));
};

document.addEventListener("DOMContentLoaded", () => {
  const words = stems();
  if (!words.length) return;
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) if (node.nodeName === "LI") explain(node, words);
    }
  }).observe(document.getElementById("search-results"), { childList: true, subtree: true });
});
