// The table of every heart's structures, filled with the quantity that is chosen.
const chosen = document.getElementById("quantity");

function cell(tag, value, text) {
  const made = document.createElement(tag);
  made.dataset.value = value ?? "";
  made.textContent = text;
  return made;
}

function showQuantity() {
  const { places, rows } = data.quantities[chosen.value];
  const digits = { minimumFractionDigits: places, maximumFractionDigits: places };
  const made = rows.map((values, heart) => {
    const row = document.createElement("tr");
    row.append(cell("th", data.hearts[heart], data.hearts[heart]));
    for (const [k, value] of values.entries()) {
      const state = data.states[heart][k];
      const missing = state === "absent" ? "absent" : "–";
      const made = cell("td", value, value === null ? missing : value.toLocaleString("en", digits));
      made.className = value === null ? "number none" : "number";
      made.title = state ?? "unknown: the heart’s samples cannot be read";
      row.append(made);
    }
    return row;
  });
  const table = document.getElementById("quantities");
  table.tBodies[0].replaceChildren(...made);
  for (const heading of table.tHead.rows[0].cells) heading.ariaSort = "none";
}

if (chosen) {
  chosen.addEventListener("change", showQuantity);
  showQuantity();
}
