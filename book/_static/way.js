/* Finding one's way: the current entry of the side bar in view, and the cards of terms. */
"use strict";

/* The side bar scrolls to the page that is open; on a phone, when the bar opens. */
const showCurrentEntry = () => {
  const entry = document.querySelector(".bd-links li.current.active > a, .bd-links li.current > a.current");
  let bar = entry?.parentElement;
  while (bar && bar.scrollHeight <= bar.clientHeight + 1) bar = bar.parentElement;
  if (!bar || bar === document.documentElement || bar === document.body) return;
  const distance = entry.getBoundingClientRect().top - bar.getBoundingClientRect().top;
  bar.scrollTop += distance - bar.clientHeight / 3;
};

/* A term's card stands by its link while the pointer or the focus is on either; Escape hides it.
   Where nothing can hover, a tap shows it. */
const addCard = (card) => {
  const place = (link) => {
    const gap = 8;
    const at = link.getBoundingClientRect();
    card.hidden = false;
    const { width, height } = card.getBoundingClientRect();
    const below = at.bottom + gap + height < innerHeight || at.top < height + gap;
    card.style.left = `${Math.max(gap, Math.min(at.left, innerWidth - width - gap))}px`;
    card.style.top = `${below ? at.bottom + gap : at.top - gap - height}px`;
  };
  let leaving, shown;
  const show = (link) => {
    clearTimeout(leaving);
    shown = link;
    for (const other of document.querySelectorAll(".term-card")) other.hidden = other !== card;
    place(link);
  };
  const hide = () => (card.hidden = true);
  const hideSoon = () => (leaving = setTimeout(hide, 200));

  for (const link of document.querySelectorAll(`a.term[href$="#${card.id.slice("card-".length)}"]`)) {
    link.setAttribute("aria-describedby", card.id);
    link.addEventListener("mouseenter", () => show(link));
    link.addEventListener("mouseleave", hideSoon);
    link.addEventListener("focus", () => show(link));
    link.addEventListener("blur", hideSoon);
    link.addEventListener("click", (event) => {
      if (!matchMedia("(hover: none)").matches) return;
      event.preventDefault();
      show(link);
    });
  }
  card.addEventListener("mouseenter", () => clearTimeout(leaving));
  card.addEventListener("mouseleave", hideSoon);
  card.addEventListener("focusin", () => clearTimeout(leaving));
  card.addEventListener("focusout", hideSoon);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  document.addEventListener("scroll", () => card.hidden || place(shown), { passive: true });
};

document.addEventListener("DOMContentLoaded", () => {
  showCurrentEntry();
  for (const toggle of document.querySelectorAll("summary:has(.toctree-toggle)")) {
    const entry = toggle.closest("li").querySelector("a").textContent.trim();
    toggle.setAttribute("aria-label", `Pages of ${entry}`);
  }
  for (const button of document.querySelectorAll(".primary-toggle")) {
    button.addEventListener("click", () => requestAnimationFrame(showCurrentEntry));
  }
  for (const card of document.querySelectorAll(".term-card")) addCard(card);
});

/* The theme's folds have a button with words, whose picture says nothing more. */
addEventListener("load", () => {
  for (const picture of document.querySelectorAll(".toggle-button svg")) picture.ariaHidden = "true";
});
