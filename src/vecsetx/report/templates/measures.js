// Show only the figure of the chosen measure.
const measureChoice = document.getElementById("measure");
measureChoice.addEventListener("change", () => {
  for (const { value } of measureChoice.options) {
    const figure = document.getElementById(value);
    figure.hidden = value !== measureChoice.value;
    if (!figure.hidden) Plotly.Plots.resize(figure);
  }
});
