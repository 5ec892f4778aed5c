// Plotly figures and sortable tables, on all pages.
const data = JSON.parse(document.getElementById("data").textContent);

// Plotly ignores style sheets, so the page's colours are passed to it as a template.
function pageTemplate() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const font = { family: getComputedStyle(document.body).fontFamily, size: 13, color: color("--text") };
  const axis = { gridcolor: color("--line"), linecolor: color("--line"),
    ticks: "outside", ticklen: 5, tickcolor: "rgba(0,0,0,0)", // transparent: only keeps labels off the axis
    title: { standoff: 10, font: { size: 13, color: color("--quiet") } } };
  return {
    layout: {
      font,
      colorway: color("--curves").split(",").map((part) => part.trim()),
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: axis,
      yaxis: axis,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      hoverlabel: { bgcolor: color("--panel"), bordercolor: color("--line"), font },
    },
  };
}

const plotOptions = { displayModeBar: false, responsive: true };
const plotted = [];

function draw(element, figure) {
  if (!plotted.includes(element)) plotted.push(element);
  return Plotly.react(element, figure.data, { ...figure.layout, template: pageTemplate() }, plotOptions);
}

for (const element of document.querySelectorAll("[data-plot]"))
  draw(element, data.plots[element.dataset.plot]);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const element of plotted) Plotly.relayout(element, { template: pageTemplate() });
});

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
