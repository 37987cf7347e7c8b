"use strict";
{
// Three planes of one or two maps, with one crosshair. A map's file is a script that calls mriMap, because
// a page that was opened from disk may run scripts, but not read files.
const index = JSON.parse(document.getElementById("viewer-index").textContent);
const dialog = document.getElementById("map-viewer");
const settings = document.getElementById("view-settings").elements;
const PLANES = {coronal: [0, 2, 1], sagittal: [1, 2, 0], axial: [0, 1, 2]};  // axes: across, up, through
const {raises: RAISES, lowers: LOWERS, power: POWER} = index.colours;  // as in the figures
const OUTSIDE = -128;  // marks voxels outside the brain

const packed = new Map();  // key -> content, of files that called mriMap
window.mriMap = (key, content) => packed.set(key, content);
const panes = [...dialog.querySelectorAll(".pane")].map(element => {
  const [method, name] = element.querySelectorAll("select");
  return {element, method, name, map: null, voxel: null};
});
let atlas = null, cross = null;  // the crosshair: {voxel, mm} where it was last moved to

// --- files ---

async function contentOf(key, path) {
  if (packed.has(key)) return packed.get(key);  // the page contains it
  const script = document.createElement("script");
  script.src = path.map(encodeURIComponent).join("/");
  await new Promise((resolve, reject) => {
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${path.join("/")} is not in this page's folder.`));
    document.head.append(script);
  });
  script.remove();
  const content = packed.get(key);
  packed.delete(key);  // or memory would grow with every map
  return content;
}

const blobOf = text => new Blob([Uint8Array.from(atob(text), letter => letter.charCodeAt(0))]);
const inflate = text =>
  new Response(blobOf(text).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();

async function loadMap(key) {
  const [method, name] = key.split("/").slice(-2);
  const path = key.startsWith("group_maps/") ? ["group_maps", method, `${method}_${name}_mean_viewer.js`]
    : [method, name, `${name}_${method}_viewer.js`];
  const map = {...await contentOf(key, path), method};
  const {size, levels, largest} = map;
  map.q = new Int8Array(await inflate(map.values));
  map.raw = Float32Array.from(map.q, q => q === OUTSIDE ? 0 : Math.sign(q) * largest * (q / levels) ** 2);
  map.strides = [1, size[0], size[0] * size[1]];  // x is fastest
  const picture = await createImageBitmap(blobOf(map.anatomy));
  const canvas = new OffscreenCanvas(picture.width, picture.height), pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  map.anatomy = pen.getImageData(0, 0, picture.width, picture.height).data;  // four bytes a voxel, x fastest
  return map;
}

// --- values ---

function smoothed(map) {  // by a Gaussian along each axis; nothing lies outside the brain
  if (map.smooth) return map.smooth;
  let values = map.raw;
  for (const axis of [0, 1, 2]) {
    const sigma = map.smooth_mm / Math.sqrt(8 * Math.log(2)) / map.voxel_mm[axis];
    const reach = Math.ceil(4 * sigma), n = map.size[axis], stride = map.strides[axis];
    const offsets = Array.from({length: 2 * reach + 1}, (_, i) => i - reach);
    const weights = offsets.map(i => Math.exp(-((i / sigma) ** 2) / 2));
    const total = weights.reduce((sum, weight) => sum + weight);
    const result = new Float32Array(values.length);
    for (let at = 0; at < values.length; at++) {
      const place = Math.floor(at / stride) % n, last = Math.min(reach, n - 1 - place);
      for (let i = Math.max(-reach, -place); i <= last; i++) {
        result[at] += weights[i + reach] / total * values[at + i * stride];
      }
    }
    values = result;
  }
  return map.smooth = values;
}

const isSmooth = map => Boolean(settings.smoothed.value && map.smooth_mm);
const shown = map => isSmooth(map) ? smoothed(map) : map.raw;

function limitOf(map) {  // the end of the colours, and words on it
  const kind = isSmooth(map) ? 1 : 0, own = map.limits[kind], common = index.methods[map.method].limits[kind];
  if (common && settings.scale.value === "common") return [common, "one scale for all scans of this method"];
  const share = common ? `, ${number(own / common, 2)} of the one for all scans` : "";
  return [own, `scale as in its figure${share}`];
}

function colour(value, limit, signed) {  // red, green, blue, opacity: 0 to 255
  const share = Math.abs(value) / limit;
  if (!(share > 0) || share < settings.threshold.value / 100) return [0, 0, 0, 0];
  const hue = signed && value < 0 ? LOWERS : RAISES;
  return [...hue, 2.55 * settings.opacity.value * Math.min(share, 1) ** POWER];
}

const multiply = (matrix, [x, y, z]) => matrix.slice(0, 3).map(([a, b, c, d]) => a * x + b * y + c * z + d);
const minus = text => text.replaceAll("-", "\u2212");
const number = (value, digits = 3) => minus(String(Number(value.toPrecision(digits))));
const inMm = value => minus(value.toFixed(1));

function regionAt(place) {
  const [x, y, z] = multiply(atlas.inverse, place).map((v, axis) => Math.round(v) - atlas.offset[axis]);
  const [nx, ny, nz] = atlas.size, inside = x >= 0 && x < nx && y >= 0 && y < ny && z >= 0 && z < nz;
  return inside && atlas.names[atlas.regions[x + nx * (y + ny * z)]] || "none";
}

// --- pictures ---

// An index in the box, as one that rises to the right or up on the screen; and back.
const rising = (map, axis, i) => map.signs[axis] > 0 ? i : map.size[axis] - 1 - i;

function drawPlane({map, voxel}, figure, limit) {
  const [across, up, through] = PLANES[figure.dataset.plane], width = map.size[across], height = map.size[up];
  const anatomy = new ImageData(width, height), overlay = new ImageData(width, height), values = shown(map);
  const local = voxel.map((v, axis) => v - map.offset[axis]);
  for (let row = 0, pixel = 0; row < height; row++) {
    for (let column = 0; column < width; column++, pixel += 4) {
      const at = rising(map, across, column) * map.strides[across]
        + rising(map, up, height - 1 - row) * map.strides[up] + local[through] * map.strides[through];
      for (let k = 0; k < 4; k++) anatomy.data[pixel + k] = map.anatomy[4 * at + k];
      if (map.q[at] !== OUTSIDE) overlay.data.set(colour(values[at], limit, map.signed), pixel);
    }
  }
  const canvas = figure.querySelector("canvas"), pen = canvas.getContext("2d");
  canvas.style.aspectRatio = width * map.voxel_mm[across] / (height * map.voxel_mm[up]);
  canvas.width = canvas.clientWidth * devicePixelRatio;
  canvas.height = canvas.clientHeight * devicePixelRatio;
  const layer = new OffscreenCanvas(width, height);
  for (const [image, soft] of [[anatomy, true], [overlay, isSmooth(map)]]) {
    layer.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = soft;
    pen.drawImage(layer, 0, 0, canvas.width, canvas.height);
  }
  figure.style.setProperty("--across", (rising(map, across, local[across]) + 0.5) / width);  // the crosshair
  figure.style.setProperty("--up", (rising(map, up, local[up]) + 0.5) / height);
  figure.classList.toggle("placed", Boolean(map.affine));  // the sides are known
  const place = map.affine ? `${inMm(multiply(map.affine, voxel)[through])} mm` : `voxel ${voxel[through]}`;
  const title = `${figure.dataset.plane}, ${"xyz"[through]} = ${place}`;
  figure.querySelector("figcaption").textContent = title;
  canvas.setAttribute("aria-label", `${title}; arrow keys and page keys move the crosshair`);
}

function drawBar({map, element}, limit, note) {
  const bar = element.querySelector(".bar"), image = new ImageData(256, 1), low = map.signed ? -limit : 0;
  for (let i = 0; i < 256; i++) {
    const [red, green, blue, opacity] = colour(low + i / 255 * (limit - low), limit, map.signed);
    image.data.set([...[red, green, blue].map(c => 89 + (c - 89) * opacity / 255), 255], 4 * i);  // over grey
  }
  bar.querySelector("canvas").getContext("2d").putImageData(image, 0, 0);
  const ends = [map.signed ? number(-limit) : "0", map.signed ? "0" : "", `${number(limit)} ${map.unit}`];
  bar.querySelectorAll("span").forEach((span, i) => { span.textContent = ends[i]; });
  bar.setAttribute("aria-label", `colours from ${ends[0]} to ${ends[2]}`);
  element.querySelector("[data-note]").textContent = note + (map.signed ? "; red raises, blue lowers" : "");
}

function readValue({map, voxel, element}) {  // beside the planes, and to a screen reader
  const at = voxel.reduce((sum, v, axis) => sum + (v - map.offset[axis]) * map.strides[axis], 0);
  const q = map.q[at], error = map.largest * (q ? Math.abs(q) + 0.25 : 0.25) / map.levels ** 2;
  const rows = {value: `${number(map.raw[at])} ${map.unit}, to within ${number(error, 2)}`};
  if (isSmooth(map)) rows[`${map.smooth_mm} mm mean`] = `${number(smoothed(map)[at])} ${map.unit}`;
  if (q === OUTSIDE) rows.value = "outside the brain, not stored";
  if (map.affine) {
    const place = multiply(map.affine, voxel);
    rows["x, y, z (mm)"] = place.map(inMm).join(", ");
    if (atlas) rows.region = regionAt(place);
  }
  rows.voxel = voxel.join(", ");
  element.querySelector("dl").replaceChildren(...Object.entries(rows).flatMap(([name, text]) => [
    Object.assign(document.createElement("dt"), {textContent: name}),
    Object.assign(document.createElement("dd"), {textContent: text}),
  ]));
}

function draw() {
  for (const pane of panes.filter(one => one.voxel && !one.element.hidden)) {
    const {map, element} = pane, [limit, note] = limitOf(map);
    ["--x", "--y"].forEach((name, axis) =>
      element.style.setProperty(name, `minmax(0, ${map.size[axis] * map.voxel_mm[axis]}fr)`));
    for (const figure of element.querySelectorAll("figure")) drawPlane(pane, figure, limit);
    drawBar(pane, limit, note);
    readValue(pane);
  }
}

// --- the crosshair, and what is shown ---

const within = ({offset, size}, voxel) =>  // the voxel of the box that is nearest
  voxel.map((v, axis) => Math.min(Math.max(v, offset[axis]), offset[axis] + size[axis] - 1));

function placeCrosshair(pane) {  // by mm; by voxel where there are none
  const {affine, inverse} = pane.map, byMm = affine && cross.mm;
  pane.voxel = within(pane.map, byMm ? multiply(inverse, cross.mm).map(Math.round) : cross.voxel);
  requestAnimationFrame(draw);
}

function moveTo(pane, wanted) {
  const voxel = within(pane.map, wanted);
  cross = {voxel, mm: pane.map.affine && multiply(pane.map.affine, voxel)};
  panes.filter(one => one.map).forEach(placeCrosshair);
}

function moveToStrongest(pane) {
  const {map} = pane, magnitudes = shown(map).map((v, at) => map.q[at] === OUTSIDE ? -1 : Math.abs(v));
  const best = magnitudes.indexOf(magnitudes.reduce((a, b) => Math.max(a, b)));
  moveTo(pane, map.strides.map((step, k) => map.offset[k] + Math.floor(best / step) % map.size[k]));
}

async function show(pane, key, note = "") {
  const message = pane.element.querySelector(".message");
  pane.key = key;
  pane.element.querySelector(".title").textContent = titleOf(key);
  try {
    if (index.atlas && !atlas) {
      const content = await contentOf("atlas", index.atlas.split("/").map(decodeURIComponent));
      atlas = {...content, regions: new Uint16Array(await inflate(content.labels))};
    }
    const map = await loadMap(key);
    if (pane.key !== key) return;  // another was chosen meanwhile
    pane.map = map;
    message.textContent = note;
    (cross ? placeCrosshair : moveToStrongest)(pane);
  } catch (error) {
    if (pane.key !== key) return;
    pane.map = pane.voxel = null;
    message.textContent = error.message;
  }
  pane.element.classList.toggle("empty", !pane.map);
}

function titleOf(key) {
  const [method, name] = key.split("/").slice(-2), {title, groups} = index.methods[method];
  const what = key.startsWith("group_maps/") ? `mean of ${groups[name]}` : `${name}, ${index.scans[name]}`;
  return `${title}: ${what}`;
}

function keysOf(method) {
  const {groups, scans} = index.methods[method];
  const ofGroups = Object.keys(groups).map(name => `group_maps/${method}/${name}`);
  return [...ofGroups, ...scans.map(name => `${method}/${name}`)];
}

function keyOf(name) {  // METHOD/SCAN or METHOD/GROUP of an address, or a key -> the key, if there is one
  const [, method] = name?.match(/([^/]*)\/[^/]*$/) ?? [];
  const keys = index.methods[method] ? keysOf(method) : [];
  return [name, `group_maps/${name}`].find(key => keys.includes(key));
}

function choose(pane, key, note) {  // fills the lists as well
  const method = key.split("/").at(-2), {groups, scans} = index.methods[method];
  const option = (text, value) => new Option(text, value, false, value === key || value === method);
  const means = Object.keys(groups).map(name => [`mean of ${groups[name]}`, `group_maps/${method}/${name}`]);
  const maps = scans.map(name => [`${name} (${index.scans[name].split(";")[0]})`, `${method}/${name}`]);
  const methods = Object.entries(index.methods).map(([name, {title}]) => option(title, name));
  pane.method.replaceChildren(...methods);
  pane.name.replaceChildren(...[...means, ...maps].map(texts => option(...texts)));
  show(pane, pane.name.value, note);
}

function otherThan(key) {  // for the second pane: the same by another method, or else another map
  const method = key.split("/").at(-2);
  const same = Object.keys(index.methods).map(name => key.split("/").with(-2, name).join("/"));
  return [...same.filter(keyOf), ...keysOf(method)].find(other => other !== key) ?? key;
}

function listen(pane, figure) {
  const canvas = figure.querySelector("canvas"), [across, up, through] = PLANES[figure.dataset.plane];
  const keys = {ArrowRight: [across, 1], ArrowLeft: [across, -1], ArrowUp: [up, 1], ArrowDown: [up, -1],
    PageUp: [through, 1], PageDown: [through, -1]};
  const when = (type, action) => canvas.addEventListener(type, event => pane.voxel && action(event));
  const point = event => {
    const {map, voxel} = pane, box = canvas.getBoundingClientRect(), pointed = [...voxel];
    const place = (axis, share) => map.offset[axis] + rising(map, axis, Math.floor(share * map.size[axis]));
    pointed[across] = place(across, (event.clientX - box.left) / box.width);
    pointed[up] = place(up, (box.bottom - event.clientY) / box.height);
    moveTo(pane, pointed);
  };
  const stepBy = (event, [axis, by]) => {
    event.preventDefault();
    moveTo(pane, pane.voxel.map((v, i) => i === axis ? v + by * pane.map.signs[axis] : v));
  };
  when("pointerdown", event => { canvas.setPointerCapture(event.pointerId); point(event); });
  when("pointermove", event => canvas.hasPointerCapture(event.pointerId) && point(event));
  when("wheel", event => stepBy(event, [through, event.deltaY < 0 ? 1 : -1]));
  when("keydown", event => keys[event.key] && stepBy(event, keys[event.key]));
}

for (const pane of panes) {
  pane.method.addEventListener("change", () =>  // the same scan or group, if the method has it
    choose(pane, pane.name.value.split("/").with(-2, pane.method.value).join("/")));
  pane.name.addEventListener("change", () => show(pane, pane.name.value));
  pane.element.querySelector("[data-strongest]").addEventListener("click", () => moveToStrongest(pane));
  for (const figure of pane.element.querySelectorAll("figure")) listen(pane, figure);
}
settings.panes.form.addEventListener("input", () => {
  const two = settings.panes.value === "2";
  panes[1].element.hidden = !two;
  document.getElementById("panes").classList.toggle("two", two);
  if (two && !panes[1].map) choose(panes[1], otherThan(panes[0].name.value));
  document.getElementById("threshold-value").textContent = `${settings.threshold.value}%`;
  draw();
});
dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => history.replaceState(null, "", location.href.split("#")[0]));
new ResizeObserver(draw).observe(dialog);

window.hasView = name => Boolean(keyOf(name));
window.openViewer = name => {
  if (!dialog.open) dialog.showModal();
  cross = null;  // it goes to the strongest value
  const key = keyOf(name), isUnknown = name && !key;
  const methods = Object.keys(index.methods);
  const means = methods.map(method => `${method}/TLE`);
  const first = [index.first, ...means, ...methods.flatMap(keysOf)].find(keyOf);
  choose(panes[0], key ?? keyOf(first), isUnknown ? `There is no map “${name}” here; this is another.` : "");
};
const followAddress = () => {  // report.html#view, #view=METHOD/SCAN or #view=METHOD/GROUP
  const found = decodeURIComponent(location.hash).match(/^#view(?:=(.+))?$/);
  if (found) window.openViewer(found[1]);
};
for (const type of ["load", "hashchange"]) window.addEventListener(type, followAddress);
}
