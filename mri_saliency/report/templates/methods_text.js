// Copies what a button's data-copy selects; without a clipboard, the text is selected for Ctrl-C.
async function copy(source) {
  const collapsed = source.closest("details");
  if (collapsed) collapsed.open = true;  // text that is not shown cannot be selected
  getSelection().selectAllChildren(source);
  try {
    await navigator.clipboard.writeText(source.innerText);
  } catch {  // no clipboard, or no permission
    return document.execCommand("copy") ? "copied" : "selected: copy it with Ctrl-C";
  }
  return "copied";
}
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const done = await copy(document.querySelector(button.dataset.copy));
    document.getElementById("copied").textContent = done;
  });
}
