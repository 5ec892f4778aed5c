// What keeps readers from using a page; accessible.py runs it in the browser.
const shown = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true });
const called = (e) =>
  `${e.tagName.toLowerCase()}#${e.id}.${e.getAttribute("class") ?? ""} ${e.textContent.trim().slice(0, 30)}`;
const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
const controls = () =>
  all("button, select, input, a, [tabindex]").filter((e) => !e.disabled && e.tabIndex >= 0);

function nameOf(e) {
  const labels = [...(e.labels ?? [])].map((label) => label.textContent).join("");
  return (e.getAttribute("aria-label") ?? (labels || (e.matches("select, input") ? "" : e.textContent))).trim();
}

function structureFaults() {
  const faults = [];
  if (!document.documentElement.lang) faults.push("no language");
  if (!document.title.trim()) faults.push("no title");
  const levels = all("h1, h2, h3, h4").map((e) => Number(e.tagName[1]));
  const steps = levels.every((level, n) => !n || level <= levels[n - 1] + 1);
  if (levels[0] !== 1 || levels.lastIndexOf(1) !== 0 || !steps) faults.push(`headings ${levels}`);
  for (const table of all("table"))
    if (![...table.rows].every((row) => row.querySelector("th"))) faults.push(`no headings: ${called(table)}`);
  for (const picture of all("img")) if (!picture.alt) faults.push(`no text: ${called(picture)}`);
  for (const canvas of all("canvas"))
    if (!canvas.closest("[role=application][aria-label], [role=img][aria-label]"))
      faults.push(`no text: ${called(canvas)}`);
  for (const e of [...all(".plot"), ...controls()]) if (!nameOf(e)) faults.push(`no name: ${called(e)}`);
  for (const sign of all("span[title]"))
    if (sign.textContent.trim().length < 2 && !sign.ariaLabel) faults.push(`no name: ${called(sign)}`);
  // Plots set the cursor of texts, too, that take no clicks.
  const pointed = (e) => getComputedStyle(e).cursor === "pointer" && getComputedStyle(e).pointerEvents !== "none";
  for (const e of all("*"))
    if (pointed(e) && !pointed(e.parentElement) && e.tabIndex < 0 && !e.disabled)
      faults.push(`no key reaches ${called(e)}`);
  return faults;
}

// Colour of a stack of CSS colours, the lowest first.
const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function painted(colors) {
  for (const color of ["white", ...colors]) {
    brush.fillStyle = color;
    brush.fillRect(0, 0, 1, 1);
  }
  return [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

function luminance(color) {
  const [r, g, b] = color.map((part) => part / 255).map((part) =>
    part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// Of text on what lies below it, by WCAG; letters at the edges of a picture lie on the picture.
function contrast(e) {
  const below = [], style = getComputedStyle(e);
  for (let at = e.closest(".framed")?.querySelector(":scope > canvas") ?? e; at; at = at.parentElement)
    below.unshift(getComputedStyle(at).backgroundColor);
  const ink = e instanceof SVGElement ? style.fill : style.color;
  const [light, dark] = [painted([...below, ink]), painted(below)].map(luminance).sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function contrastFaults() {
  const faults = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || e.closest("script, style, :disabled") || !shown(e)) continue;
    const { fontSize, fontWeight } = getComputedStyle(e), pixels = parseFloat(fontSize);
    const least = pixels >= 24 || (pixels >= 18.66 && fontWeight >= 700) ? 3 : 4.5; // WCAG 2.2, AA
    seen += 1;
    if (contrast(e) < least) faults.push(`contrast ${contrast(e).toFixed(2)}: ${called(e)}`);
  }
  return seen < 20 ? ["no text"] : faults;
}
