"use strict";
const controls = document.getElementById("controls");
const body = document.querySelector("#subjects tbody");
const rows = [...body.rows];

function filter() {
  const wanted = Object.fromEntries(new FormData(controls));
  const search = wanted.search.toLowerCase();
  let shown = 0;
  for (const row of rows) {
    let some = false;
    for (const map of row.querySelectorAll(".map")) {
      map.hidden = (wanted.method && map.dataset.method !== wanted.method)
        || (wanted.verdict && map.dataset.verdict !== wanted.verdict);
      some ||= !map.hidden;
    }
    row.hidden = !some || (wanted.correct && row.dataset.correct !== wanted.correct)
      || (wanted.diagnosis && row.dataset.diagnosis !== wanted.diagnosis)
      || (wanted.warned && row.dataset.warned !== wanted.warned)
      || !row.dataset.id.toLowerCase().includes(search);
    shown += !row.hidden;
  }
  document.getElementById("count").textContent = `${shown} of ${rows.length} scans`;
}
controls.addEventListener("input", filter);
controls.addEventListener("submit", event => event.preventDefault());
filter();

const heads = [...document.querySelectorAll("#subjects th button")];
function compare(key, a, b) {
  if (key === "correct") {  // wrong ones first, the least sure among them first
    return a.dataset.correct.localeCompare(b.dataset.correct) || a.dataset.confidence - b.dataset.confidence;
  }
  if (key === "probability") return a.dataset.probability - b.dataset.probability;
  return a.dataset[key].localeCompare(b.dataset[key], undefined, {numeric: true});
}
for (const head of heads) {
  head.addEventListener("click", () => {
    const cell = head.parentElement;
    const down = cell.getAttribute("aria-sort") === "ascending";
    for (const other of heads) other.parentElement.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", down ? "descending" : "ascending");
    rows.sort((a, b) => (down ? -1 : 1) * compare(head.dataset.key, a, b));
    body.append(...rows);
  });
}

const viewer = document.getElementById("viewer");
let current = null;
function show(map) {
  current = map;
  viewer.querySelector("img").src = map.querySelector("img").src;
  viewer.querySelector("img").alt = map.querySelector("img").alt;
  viewer.querySelector("span").textContent = map.dataset.title;
  if (!viewer.open) viewer.showModal();
}
function step(by) {
  const maps = [...body.querySelectorAll("tr:not([hidden]) .map:not([hidden])")];
  const next = maps[maps.indexOf(current) + by];
  if (next) show(next);
}
body.addEventListener("click", event => {
  const map = event.target.closest(".map");
  if (map) show(map);
});
viewer.addEventListener("click", event => {
  if (event.target.dataset.step) step(Number(event.target.dataset.step));
  if (event.target === viewer || "close" in event.target.dataset) viewer.close();
});
viewer.addEventListener("close", () => current?.focus());
viewer.addEventListener("keydown", event => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && !viewer.open && !/^(INPUT|SELECT)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    controls.elements.search.focus();
  }
});
