// Reloads the page of an unfinished run; the filters and the order outlive a reload.
const fields = [...document.getElementById("controls").elements].filter(field => field.name);
const sortedCell = () => document.querySelector("#subjects [aria-sort]");
const orderOf = cell => cell.getAttribute("aria-sort");

const kept = JSON.parse(sessionStorage.getItem(location.pathname));
if (kept) {
  for (const field of fields) {
    if (field.type === "checkbox") field.checked = field.name in kept.values;
    else field.value = kept.values[field.name];
  }
  fields[0].dispatchEvent(new Event("change", {bubbles: true}));
  for (let click = 0; click < 2; click++) {  // the second turns the order round
    const cell = sortedCell();
    if (cell.cellIndex !== kept.column || orderOf(cell) !== kept.order) {
      cell.parentElement.cells[kept.column].querySelector("button").click();
    }
  }
}
addEventListener("pagehide", () => {
  const values = Object.fromEntries(new FormData(document.getElementById("controls")));
  const cell = sortedCell();
  const choices = {values, column: cell.cellIndex, order: orderOf(cell)};
  sessionStorage.setItem(location.pathname, JSON.stringify(choices));
});
setInterval(() => {
  if (!document.querySelector("dialog[open]")) location.reload();
}, 1000 * document.body.dataset.reloadS);
