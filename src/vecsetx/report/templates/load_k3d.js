// Minimal AMD loader for k3d. The styles that k3d adds for KaTeX, which is not used here, are removed:
// otherwise the browser would request their fonts.
let k3d;
window.define = (name, dependencies, factory) => { k3d = factory(); };
await run("k3d");
delete window.define;
for (const style of document.head.querySelectorAll("style"))
  if (style.textContent.includes("KaTeX")) style.remove();
