// Show only the figure of the chosen measure, and its table.
const measureChoice = byId("measure");
measureChoice.addEventListener("change", () => {
  for (const { value } of measureChoice.options) {
    const section = byId(value);
    section.hidden = value !== measureChoice.value;
    if (!section.hidden) for (const plot of section.querySelectorAll(".plot")) Plotly.Plots.resize(plot);
  }
});
