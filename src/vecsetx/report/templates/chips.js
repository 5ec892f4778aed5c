// Buttons of structures or interfaces: a click shows or hides one; a double click, or a click or
// Enter with Shift, shows it alone.
const chips = [...document.querySelectorAll(".chip")];
const isPressed = (chip) => chip.ariaPressed === "true";

function chipColor(chip) {
  const [red, green, blue] = chip.dataset.color.match(/\d+/g).map(Number);
  return (red << 16) | (green << 8) | blue;
}

function showChips(shown, changed) {
  for (const chip of chips) chip.ariaPressed = String(shown(chip));
  changed();
}

function listenToChips(changed) {
  for (const chip of chips) {
    const alone = (other) => other === chip;
    const switched = (other) => isPressed(other) !== (other === chip);
    chip.addEventListener("click", (event) => showChips(event.shiftKey ? alone : switched, changed));
    chip.addEventListener("dblclick", () => showChips(alone, changed));
  }
  byId("all").addEventListener("click", () => showChips(() => true, changed));
}
