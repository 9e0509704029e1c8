"use strict";
// Without this script the page says the same: a mark is a link to its trial in the list. With it, a trial opens where one is,
// arrow keys go from mark to mark, and the legend hides and shows.
const sheet = document.getElementById("sheet"), tip = document.getElementById("tip");

function open(id) {
  const trial = document.getElementById(id);
  if (!trial || !trial.matches(".trial")) return false;
  document.getElementById("sheet-title").textContent = trial.querySelector("summary").textContent.trim();
  document.getElementById("sheet-body").replaceChildren(trial.querySelector(".sheet").cloneNode(true));
  sheet.showModal();
  return true;
}

function tell(dot) {
  const label = dot && dot.getAttribute("aria-label");
  tip.hidden = !label;
  if (!label) return;
  tip.textContent = label;
  const mark = (dot.querySelector(".mark") || dot).getBoundingClientRect(), own = tip.getBoundingClientRect();
  const x = mark.left + mark.width / 2 - own.width / 2, room = document.documentElement.clientWidth - own.width - 8;
  tip.style.left = window.scrollX + Math.max(8, Math.min(x, room)) + "px";
  const above = mark.top - own.height - 10;
  tip.style.top = window.scrollY + (above > 0 ? above : mark.bottom + 10) + "px";
}

for (const plot of document.querySelectorAll(".plot")) {
  const dots = Array.from(plot.querySelectorAll(".dot"));
  // From left to right, and from the top where marks stand above each other: as a reader's eye goes.
  const place = new Map(dots.map((dot) => [dot, (dot.querySelector(".mark") || dot).getBoundingClientRect()]));
  dots.sort((a, b) => place.get(a).left - place.get(b).left || place.get(a).top - place.get(b).top);
  if (dots.length) dots[0].setAttribute("tabindex", "0");
  plot.addEventListener("keydown", (event) => {
    const shown = dots.filter((dot) => !dot.classList.contains("off")), at = shown.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (at < 0 || to === undefined || !shown[to]) return;
    event.preventDefault();
    shown[at].setAttribute("tabindex", "-1");
    shown[to].setAttribute("tabindex", "0");
    shown[to].focus();
  });
  plot.addEventListener("click", (event) => {
    const dot = event.target.closest("a.dot");
    if (dot && open(dot.getAttribute("href").slice(1))) event.preventDefault();
  });
  plot.addEventListener("pointerover", (event) => tell(event.target.closest(".dot")));
  plot.addEventListener("pointerleave", () => tell(null));
  plot.addEventListener("focusin", (event) => tell(event.target.closest(".dot")));
  plot.addEventListener("focusout", () => tell(null));
  for (const label of plot.querySelectorAll(".dot > title")) {
    label.parentElement.setAttribute("aria-label", label.textContent);
    label.remove(); // the browser would show it beside our own
  }
}

for (const button of document.querySelectorAll("[data-switches]")) {
  const figure = button.closest("figure");
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    const hidden = Array.from(figure.querySelectorAll('[data-switches][aria-pressed="false"]'), (b) => b.dataset.switches);
    for (const drawn of figure.querySelectorAll(".plot .dot, .plot .line")) {
      drawn.classList.toggle("off", hidden.some((name) => drawn.classList.contains(name)));
    }
    const first = figure.querySelector(".plot .dot:not(.off)");
    if (first && !figure.querySelector('.plot .dot:not(.off)[tabindex="0"]')) first.setAttribute("tabindex", "0");
  });
}

const find = document.getElementById("find");
if (find) find.addEventListener("input", () => {
  const words = find.value.toLowerCase().split(",").map((word) => word.trim()).filter(Boolean);
  let shown = 0;
  for (const trial of document.querySelectorAll(".trial")) {
    const text = trial.querySelector("summary").textContent.toLowerCase();
    trial.hidden = !words.every((word) => text.includes(word));
    shown += !trial.hidden;
  }
  document.getElementById("found").textContent = shown + " shown";
});

const reload = document.getElementById("reload");
if (reload) setInterval(() => { if (reload.checked && !sheet.open) location.reload(); }, 1000 * Number(reload.dataset.seconds));
