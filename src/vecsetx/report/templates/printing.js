// Paper is light and as wide as print.css says: before printing, plots are drawn so, and each 3-D
// scene is copied into a still picture.
function still(canvas) {
  const copy = document.createElement("canvas");
  [copy.width, copy.height, copy.className] = [canvas.width, canvas.height, "still"];
  copy.getContext("2d").drawImage(canvas, 0, 0);
  return copy;
}

addEventListener("beforeprint", () => {
  document.documentElement.toggleAttribute("data-printing", true);
  for (const element of plotted)
    if (element.clientWidth)
      Plotly.relayout(element, { template: pageTemplate(), autosize: false, width: element.clientWidth });
  for (const { element } of scenes) element.after(still(element.querySelector("canvas")));
});

addEventListener("afterprint", () => {
  document.documentElement.toggleAttribute("data-printing", false);
  for (const copy of document.querySelectorAll(".still")) copy.remove();
  for (const element of plotted)
    Plotly.relayout(element, { template: pageTemplate(), autosize: true, width: null });
});
