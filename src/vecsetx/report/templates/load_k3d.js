// k3d is an AMD module: this is the loader that it asks for. It brings the fonts of a typesetter that
// is not used here, which would be asked for as soon as the browser lays out the page.
let k3d;
window.define = (name, needs, make) => { k3d = make(); };
await run("k3d");
delete window.define;
for (const style of document.head.querySelectorAll("style"))
  if (style.textContent.includes("KaTeX")) style.remove();
