// Plotly figures in the page's colours.

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

// A click on a curve's name in the legend hides the curve or shows it again; so do Enter and space.
function reachLegend(element) {
  for (const toggle of element.querySelectorAll(".legendtoggle")) {
    const entry = toggle.parentNode;
    toggle.setAttribute("tabindex", 0);
    toggle.setAttribute("role", "button");
    toggle.setAttribute("aria-label", `Show ${entry.querySelector(".legendtext").textContent}`);
    toggle.setAttribute("aria-pressed", entry.style.opacity !== "0.5");
    toggle.onkeydown = (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      for (const kind of ["mousedown", "mouseup"])
        toggle.dispatchEvent(new MouseEvent(kind, { bubbles: true }));
    };
  }
}

function draw(element, figure) {
  plotted.push(element);
  element.style.height = `${figure.layout.height}px`; // else a resized plot is as low as it can be
  Plotly.newPlot(element, figure.data, { ...figure.layout, template: pageTemplate() }, plotOptions);
  element.on("plotly_afterplot", () => reachLegend(element));
  reachLegend(element);
}

for (const element of document.querySelectorAll("[data-plot]"))
  draw(element, data.plots[element.dataset.plot]);

function recolorPlots() {
  for (const element of plotted) Plotly.relayout(element, { template: pageTemplate() });
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolorPlots);
