// The viewer's controls: which heart and structures the 3-D scenes and the slices show, and how.
const heartChoice = byId("heart");
const layers = { input: byId("show-input"), truth: byId("show-truth"), reconstruction: byId("show-reconstruction") };
const structureColors = new Map(
  chips.map((chip) => [chip.dataset.name, chip.dataset.color.match(/[\d.]+/g).slice(0, 3).map(Number)]));
let heart = null;

const isShown = (name) => chips.some((chip) => chip.dataset.name === name && isPressed(chip));
const rgbInteger = ([red, green, blue]) => (Math.round(red) << 16) | (Math.round(green) << 8) | Math.round(blue);
const isOverlaid = () => byId("arrangement").value === "overlaid";
const byDistance = () => byId("colouring").value === "distance";

// Colour map of signed distances: blue where the reconstruction is inside the truth, red outside.
const ramp = [[33, 80, 168], [110, 165, 220], [238, 238, 234], [232, 140, 100], [172, 28, 44]];
function distanceColor(mm, most) {
  if (Number.isNaN(mm)) return 0x8a8f98;
  const at = (Math.max(-1, Math.min(1, mm / most)) + 1) * 2;
  const low = Math.min(Math.floor(at), 3);
  return rgbInteger(ramp[low].map((part, n) => part + (at - low) * (ramp[low + 1][n] - part)));
}

// Opacity of inferred structures, relative to observed ones, and of the truth in the overlaid view.
const translucent = { reconstruction: 0.25, ghost: 0.3 };

function opacityOf(kind, name) {
  if (kind === "ghost") return translucent.ghost;
  const isInferred = kind === "reconstruction" && heart.inferred.has(name);
  return Number(byId("opacity").value) * (isInferred ? translucent.reconstruction : 1);
}

function meshOptions(mesh, side) {
  const most = Number(byId("most").value);
  const colors = byDistance() ? Uint32Array.from(mesh.distances, (mm) => distanceColor(mm, most)) : null;
  const color = colors ? 0xffffff : rgbInteger(structureColors.get(mesh.name)); // k3d multiplies the two
  return { key: `${side} ${mesh.name}`, mesh, color, colors, opacity: opacityOf(side, mesh.name) };
}

async function redraw() {
  byId("viewer").dataset.ready = "";
  byId("scale").hidden = !byDistance();
  document.querySelector(".pair").classList.toggle("overlaid", isOverlaid());
  if (scenes.length) {
    const [truth, reconstruction] = ["truth", "reconstruction"].map((side) =>
      heart[side].map((mesh) => meshOptions(mesh, side)));
    const points = heart.points.map(({ name, points }) => ({
      key: `points ${name}`, points, color: rgbInteger(structureColors.get(name)), opacity: 1,
    }));
    const ghosts = heart.truth.map((mesh) => ({
      key: `ghost ${mesh.name}`, mesh, color: 0xb8bec8, opacity: translucent.ghost,
    }));
    await Promise.all([
      scenes[0].show([...truth, ...points]),
      scenes[1].show(isOverlaid() ? [...reconstruction, ...ghosts, ...points] : reconstruction)]);
    updateScenes();
  }
  byId("viewer").dataset.ready = heartChoice.value;
}

// Displacement of each structure from the heart's centre in the exploded view, mm.
function explodeOffsets() {
  const factor = Number(byId("explode").value);
  return new Map(chips.map(({ dataset: { name: structure } }) => {
    const mesh = [...heart.truth, ...heart.reconstruction].find(({ name }) => name === structure);
    if (!mesh) return [structure, [0, 0, 0]];
    const sums = [0, 0, 0];
    mesh.vertices.forEach((part, n) => { sums[n % 3] += part; });
    return [structure, sums.map((sum) => (factor * sum) / (mesh.vertices.length / 3))];
  }));
}

// Apply visibility, opacity, exploded view and clipping to all meshes of the scenes.
function updateScenes() {
  const offsets = explodeOffsets();
  for (const scene of scenes) {
    for (const key of scene.shown.keys()) {
      const [kind, name] = key.split(" ");
      const [x, y, z] = offsets.get(name);
      const matrix = [1, 0, 0, x, 0, 1, 0, y, 0, 0, 1, z, 0, 0, 0, 1];
      scene.change(key, {
        visible: isShown(name), opacity: opacityOf(kind, name),
        model_matrix: { data: Float32Array.from(matrix), shape: [4, 4] },
      });
    }
    scene.clip(clipPlanes());
    scene.plot.render();
  }
}

function clipPlanes() {
  const axis = { sagittal: 0, coronal: 1, axial: 2 }[byId("clip").value];
  byId("clip-place").disabled = byId("clip-side").disabled = axis === undefined;
  if (axis === undefined) return [];
  const at = heart.low[axis] + Number(byId("clip-place").value) * (heart.high[axis] - heart.low[axis]);
  const side = byId("clip-side").checked ? 1 : -1;
  const normal = [0, 0, 0];
  normal[axis] = side;
  return [[...normal, -side * at]];
}

function updateLabels() {
  const { dice, name } = data.hearts[heartChoice.value];
  const scored = Object.values(dice).some((found) => found != null);
  for (const chip of chips) {
    const found = dice[chip.dataset.name];
    chip.querySelector("small").textContent = found == null ? (scored ? "–" : "") : found.toFixed(3);
    const isInferred = heart.inferred.has(chip.dataset.name);
    chip.classList.toggle("inferred", isInferred);
    chip.querySelector("em").hidden = !isInferred;
  }
  byId("inferred-note").hidden = !heart.inferred.size;
  byId("inferred-note").querySelector("span").textContent = [...heart.inferred].join(", ");
  for (const button of document.querySelectorAll("[data-heart]"))
    button.setAttribute("aria-current", button.dataset.heart === name);
  for (const side of ["truth", "reconstruction"]) {
    const parts = side === "truth" ? [...heart.truth, ...heart.points] : heart.reconstruction;
    const there = new Set(parts.map(({ name }) => name));
    const missing = chips.map((chip) => chip.dataset.name).filter((part) => !there.has(part));
    byId(`${side}-note`).textContent = missing.length ? `without ${missing.join(", ")}` : "";
  }
}

async function openHeart() {
  const wanted = heartChoice.value;
  const opened = await unpackHeart(wanted);
  if (wanted !== heartChoice.value) return; // another heart was chosen in the meantime
  heart = opened;
  updateLabels();
  setSliderRanges(heart);
  drawPlanes(heart);
  fitHeart(heart.high);
  await redraw();
}

function stepHeart(by) {
  const count = heartChoice.options.length;
  heartChoice.value = (Number(heartChoice.value) + by + count) % count;
  openHeart();
}

function listen() {
  heartChoice.addEventListener("change", openHeart);
  byId("previous").addEventListener("click", () => stepHeart(-1));
  byId("next").addEventListener("click", () => stepHeart(1));
  listenToChips(() => {
    updateScenes();
    drawPlanes(heart);
  });
  for (const id of ["opacity", "explode", "clip", "clip-place", "clip-side"])
    byId(id).addEventListener("input", updateScenes);
  for (const id of ["colouring", "arrangement", "most"]) byId(id).addEventListener("change", redraw);
  for (const button of document.querySelectorAll("#views button"))
    button.addEventListener("click", () =>
      lookFrom(view.from[button.dataset.view].map((part) => part * view.distance)));
  for (const button of document.querySelectorAll("button[data-heart]"))
    button.addEventListener("click", () => {
      heartChoice.value = data.hearts.findIndex(({ name }) => name === button.dataset.heart);
      openHeart();
      byId("viewer").scrollIntoView();
    });
  for (const layer of Object.values(layers)) layer.addEventListener("change", () => drawPlanes(heart));
  for (const plane of planes) {
    plane.slider.addEventListener("input", () => {
      place[plane.axis] = Number(plane.slider.value);
      drawPlanes(heart);
    });
    const point = (event) => {
      if (!(event.buttons & 1)) return;
      const half = Math.max(...heart.high);
      const box = plane.canvas.getBoundingClientRect();
      place[plane.across] = half - ((event.clientX - box.left) / box.width) * 2 * half;
      place[plane.up] = half - ((event.clientY - box.top) / box.height) * 2 * half;
      drawPlanes(heart);
    };
    plane.canvas.addEventListener("pointerdown", point);
    plane.canvas.addEventListener("pointermove", point);
  }
  new ResizeObserver(() => heart && drawPlanes(heart)).observe(planes[0].canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const scene of scenes) scene.recolor();
  });
}

function createScenes() {
  for (const id of ["truth", "reconstruction"]) {
    const scene = new Scene(byId(id));
    scenes.push(scene);
    follow(scene);
  }
  labelDirections();
}

listen();
try {
  createScenes();
} catch (error) {
  scenes.length = 0;
  byId("no-webgl").hidden = false;
  byId("no-webgl").textContent = `The 3-D scenes need WebGL 2, which this browser does not provide (${error.message}).`;
}
await openHeart();
