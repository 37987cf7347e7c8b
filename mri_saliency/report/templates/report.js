// --- sections ---

for (const {id, textContent} of document.querySelectorAll("h2[id]")) {
  const anchor = document.createElement("a");
  anchor.href = `#${id}`;
  anchor.textContent = textContent;
  document.querySelector("nav").append(anchor);
}

// --- filters of the table of scans ---

const controls = document.getElementById("controls");
const table = document.getElementById("subjects");
const body = table.tBodies[0];
const rows = [...body.rows];

function isShown(map, wanted) {
  const {method, verdict, share} = map.dataset;
  return (!wanted.method || method === wanted.method) && (!wanted.verdict || verdict === wanted.verdict)
    && (!wanted.share || Number(share) < Number(map.dataset.null));
}

function filter() {
  const wanted = Object.fromEntries(new FormData(controls));
  const search = wanted.search.toLowerCase();
  let shown = 0;
  for (const row of rows) {
    const {id, diagnosis, correct, warned} = row.dataset;
    const maps = [...row.querySelectorAll(".map")];
    for (const map of maps) map.hidden = !isShown(map, wanted);
    const isWanted = wanted.diagnosis === "patients" ? diagnosis !== "HC"
      : !wanted.diagnosis || diagnosis === wanted.diagnosis;
    row.hidden = !isWanted || maps.every(map => map.hidden) || (wanted.correct && correct !== wanted.correct)
      || (wanted.warned && warned !== wanted.warned) || !id.toLowerCase().includes(search);
    shown += !row.hidden;
  }
  table.classList.toggle("own", "own" in wanted);
  document.getElementById("count").textContent = `${shown} of ${rows.length} scans`;
  if (sorted.key in EXTREMES) sort();
}

// --- sorting ---

const EXTREMES = {strength: Math.max, share: Math.min, error: Math.max};  // of the shown maps of a scan
const sorted = {key: "correct", down: false};

function sortValue(row) {
  const {key} = sorted;
  if (key in EXTREMES) {
    const maps = [...row.querySelectorAll(".map:not([hidden])")].filter(map => key in map.dataset);
    return maps.length ? EXTREMES[key](...maps.map(map => Number(map.dataset[key]))) : null;
  }
  if (key === "correct") {  // wrong ones first, the least sure among them first
    return Number(row.dataset.confidence) + (row.dataset.correct === "true" ? 2 : 0);
  }
  return key === "probability" ? Number(row.dataset[key]) : row.dataset[key];
}

function sort() {
  const values = new Map(rows.map(row => [row, sortValue(row)]));
  const direction = sorted.down ? -1 : 1;
  rows.sort((rowA, rowB) => {
    const [a, b] = [values.get(rowA), values.get(rowB)];
    if (a === null || b === null) return (a === null) - (b === null);  // unknown ones last
    return direction * (typeof a === "string" ? a.localeCompare(b, undefined, {numeric: true}) : a - b);
  });
  body.append(...rows);
}

table.tHead.addEventListener("click", event => {
  const {key} = event.target.dataset;
  if (!key) return;
  const cell = event.target.parentElement;
  const first = EXTREMES[key] === Math.max ? "descending" : "ascending";
  const second = first === "ascending" ? "descending" : "ascending";
  const direction = cell.getAttribute("aria-sort") === first ? second : first;
  for (const other of cell.parentElement.cells) other.removeAttribute("aria-sort");
  cell.setAttribute("aria-sort", direction);
  Object.assign(sorted, {key, down: direction === "descending"});
  sort();
});

for (const kind of ["input", "change"]) controls.addEventListener(kind, filter);
controls.addEventListener("submit", event => event.preventDefault());
filter();

// --- a map's figure ---

const dialog = document.getElementById("figure");
let current = null;
const subjectOf = map => map.closest("tr").dataset.id;

function show(map) {
  current = map;
  const {method, figure, strength} = map.dataset;
  dialog.querySelector("img").src = figure;
  dialog.querySelector("img").alt = map.querySelector("img").alt;
  dialog.querySelector("span").textContent = `${subjectOf(map)}, ${method}`
    + (strength ? `. The figure is on its own scale, which is ${strength} of the cohort's.` : "");
  dialog.querySelector("[data-view]").hidden = !window.hasView?.(`${method}/${subjectOf(map)}`);
  if (!dialog.open) dialog.showModal();
}

function step(by) {
  const maps = [...body.querySelectorAll("tr:not([hidden]) .map:not([hidden])")];
  const next = maps[maps.indexOf(current) + by];
  if (next) show(next);
}

body.addEventListener("click", event => {
  const map = event.target.closest(".open")?.parentElement;
  if (map) show(map);
});
dialog.addEventListener("click", event => {
  const {step: by, view, close} = event.target.dataset;
  if (by) step(Number(by));
  if (event.target === dialog || close !== undefined || view !== undefined) dialog.close();
  if (view !== undefined) openViewer(`${current.dataset.method}/${subjectOf(current)}`);
});
dialog.addEventListener("close", () => current?.querySelector(".open").focus());
dialog.addEventListener("keydown", event => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});

// --- the text for a paper ---

document.querySelector("[data-copy]")?.addEventListener("click", ({target}) => {
  getSelection().selectAllChildren(document.querySelector(target.dataset.copy));
  const isDone = document.execCommand("copy");
  document.getElementById("copied").textContent = isDone ? "copied" : "selected: copy it with Ctrl-C";
});

// --- while a run goes on, its page is loaded again, unless someone looks into it ---

const isIdle = () => !document.querySelector("dialog[open]") && sorted.key === "correct"
  && [...new FormData(controls).values()].every(value => !value);
const {reloadS} = document.body.dataset;
if (reloadS) setInterval(() => isIdle() && location.reload(), 1000 * reloadS);
