// On all pages: the page's data, and tables that a click sorts.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const scenes = []; // 3-D scenes, see scenes.js

// A click on a heading sorts by its column, a second click reverses. Missing values stay last.
function sortBy(heading) {
  const descending = heading.ariaSort === "ascending";
  const column = [...heading.parentNode.children].indexOf(heading);
  const valueOf = (row) => row.children[column].dataset.value;
  const body = heading.closest("table").tBodies[0];
  const rows = [...body.rows].sort((first, second) => {
    const [a, b] = [valueOf(first), valueOf(second)];
    if (a === "" || b === "") return (a === "") - (b === "");
    const order = a.localeCompare(b, "en", { numeric: true });
    const compared = isNaN(a) || isNaN(b) ? order : a - b;
    return descending ? -compared : compared;
  });
  for (const other of heading.parentNode.children) other.ariaSort = "none";
  heading.ariaSort = descending ? "descending" : "ascending";
  body.append(...rows);
}

for (const button of document.querySelectorAll("thead button"))
  button.addEventListener("click", () => sortBy(button.closest("th")));
