// Fill the table of structures by heart with the chosen quantity.
const chosen = document.getElementById("quantity");

function cell(tag, value, text) {
  const element = document.createElement(tag);
  element.dataset.value = value ?? "";
  element.textContent = text;
  return element;
}

function showQuantity() {
  const { places, rows } = data.quantities[chosen.value];
  const digits = { minimumFractionDigits: places, maximumFractionDigits: places };
  const tableRows = rows.map((values, heart) => {
    const row = document.createElement("tr");
    row.append(cell("th", data.hearts[heart], data.hearts[heart]));
    for (const [k, value] of values.entries()) {
      const state = data.states[heart][k];
      const missing = state === "absent" ? "absent" : "–";
      const td = cell("td", value, value === null ? missing : value.toLocaleString("en", digits));
      td.className = value === null ? "number none" : "number";
      td.title = state ?? "unknown: the heart’s samples cannot be read";
      row.append(td);
    }
    return row;
  });
  const table = document.getElementById("quantities");
  table.tBodies[0].replaceChildren(...tableRows);
  for (const heading of table.tHead.rows[0].cells) heading.ariaSort = "none";
}

if (chosen) {
  chosen.addEventListener("change", showQuantity);
  showQuantity();
}
