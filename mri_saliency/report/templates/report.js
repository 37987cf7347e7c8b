// --- tabs ---

for (const list of document.querySelectorAll("[role=tablist]")) {
  const tabs = [...list.children];
  const select = tab => tabs.forEach(one => {
    one.setAttribute("aria-selected", one === tab);
    one.tabIndex = one === tab ? 0 : -1;
    document.getElementById(one.getAttribute("aria-controls")).hidden = one !== tab;
  });
  list.addEventListener("click", event => tabs.includes(event.target) && select(event.target));
  list.addEventListener("keydown", event => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!by) return;
    const next = tabs.at((tabs.indexOf(document.activeElement) + by) % tabs.length);
    select(next);
    next.focus();
  });
}

const openTarget = () => {  // what an address names is not left collapsed
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (const one of target ? target.querySelectorAll(":scope > details") : []) one.open = true;
};
addEventListener("hashchange", openTarget);
openTarget();

// --- filters of the scans ---

const controls = document.getElementById("controls");
const list = document.getElementById("subjects");
const scans = [...list.children].map(element => {
  const maps = [...element.querySelectorAll(".map")].map(map => (
    {element: map, regions: map.querySelector(".regions")?.textContent.toLowerCase() ?? ""}));
  return {element, maps, name: `${element.dataset.id}\n${element.dataset.file}`.toLowerCase()};
});

function isShown({element, regions}, wanted, isNamed) {
  const {method, verdict, below} = element.dataset;
  return (!wanted.method || method === wanted.method) && (isNamed || regions.includes(wanted.search))
    && (!wanted.kind || verdict === wanted.kind || (below && wanted.kind === "below"));
}

function filter() {
  const wanted = Object.fromEntries(new FormData(controls));
  wanted.search = wanted.search.trim().toLowerCase();
  let shown = 0;
  for (const {element, maps, name} of scans) {
    const {diagnosis, correct, warned = "false"} = element.dataset;
    const isNamed = name.includes(wanted.search);
    for (const map of maps) map.element.hidden = !isShown(map, wanted, isNamed);
    const isWanted = wanted.diagnosis === "patients" ? diagnosis !== "HC"
      : !wanted.diagnosis || diagnosis === wanted.diagnosis;
    element.hidden = !isWanted || maps.every(map => map.element.hidden)
      || (wanted.correct && correct !== wanted.correct) || (wanted.warned && warned !== wanted.warned);
    shown += !element.hidden;
  }
  list.classList.toggle("own", "own" in wanted);
  list.classList.toggle("all", !wanted.method);
  document.getElementById("count").textContent = `${shown} of ${scans.length} scans`;
  sort(wanted.order);
}

// --- order ---

const EXTREMES = {strength: Math.max, share: Math.min, error: Math.max};  // of the shown maps of a scan
let order = "correct";  // as the page is written

function sortValue({element, maps}) {
  const {id, confidence, correct, probability} = element.dataset;
  if (order in EXTREMES) {
    const known = maps.map(map => map.element).filter(map => !map.hidden && order in map.dataset);
    if (!known.length) return null;
    const value = EXTREMES[order](...known.map(map => Number(map.dataset[order])));
    return order === "share" ? value : -value;
  }
  if (order === "correct") return Number(confidence) + (correct === "true" ? 2 : 0);
  return order === "probability" ? -Number(probability) : id;
}

function sort(wanted) {
  if (wanted === order && !(order in EXTREMES)) return;
  order = wanted;
  const values = new Map(scans.map(scan => [scan, sortValue(scan)]));
  scans.sort((scanA, scanB) => {
    const [a, b] = [values.get(scanA), values.get(scanB)];
    if (a === null || b === null) return (a === null) - (b === null);  // unknown ones last
    return typeof a === "string" ? a.localeCompare(b, undefined, {numeric: true}) : a - b;
  });
  list.append(...scans.map(scan => scan.element));
}

for (const kind of ["input", "change"]) controls.addEventListener(kind, filter);
controls.addEventListener("submit", event => event.preventDefault());
filter();

// --- a map's figure ---

const dialog = document.getElementById("figure");
let current = null;
const subjectOf = map => map.closest("li").dataset.id;

function show(map) {
  current = map;
  const {method, figure, strength} = map.dataset, picture = dialog.querySelector("img");
  picture.src = figure;
  picture.alt = `Key slices of the scan, the map and the map over the scan: ${map.querySelector("img").alt}`;
  dialog.querySelector("span").textContent = `${subjectOf(map)}, ${map.querySelector(".which").textContent}`
    + (strength ? `. Drawn on a scale of its own, ${strength} times the one that all scans share.` : "");
  dialog.querySelector("[data-view]").hidden = !window.hasView?.(`${method}/${subjectOf(map)}`);
  if (!dialog.open) dialog.showModal();
}

function step(by) {
  const maps = [...list.querySelectorAll("li:not([hidden]) .map:not([hidden])")];
  const next = maps[maps.indexOf(current) + by];
  if (next) show(next);
}

list.addEventListener("click", event => {
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

// --- the text and the figures for a paper ---

document.querySelector("[data-copy]")?.addEventListener("click", ({target}) => {
  getSelection().selectAllChildren(document.querySelector(target.dataset.copy));
  const isDone = document.execCommand("copy");
  document.getElementById("copied").textContent = isDone ? "copied" : "selected: copy it with Ctrl-C";
});

const names = document.getElementById("figure-names");
const figures = [...document.querySelectorAll("main figure img")];
names?.append(...figures.map((image, place) => new Option(image.alt.split(". ")[0].slice(0, 90), place)));
document.getElementById("print-figure")?.addEventListener("click", async () => {
  const copy = figures[names.value].cloneNode();
  copy.id = "printed";
  copy.loading = "eager";
  document.body.append(copy);
  await copy.decode();
  print();
  copy.remove();
});

// --- while a run goes on, its page is loaded again, unless someone looks into it ---

const untouched = JSON.stringify([...new FormData(controls)]);
const isIdle = () => !document.querySelector("dialog[open]")
  && JSON.stringify([...new FormData(controls)]) === untouched;
const {reloadS} = document.body.dataset;
if (reloadS) setInterval(() => isIdle() && location.reload(), 1000 * reloadS);
