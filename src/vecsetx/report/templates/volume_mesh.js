// The viewer of tetrahedral meshes: the interfaces of one heart at a time.
const heartChoice = byId("heart");
let heart = null;

// Unpack the interfaces of a heart, centred on their box.
async function unpackMesh(number) {
  const { layout } = data.hearts[number];
  const shift = layout.low.map((low, axis) => (low - layout.high[axis]) / 2);
  const parts = new Parts(await unpacked(`heart-${number}`));
  const meshes = layout.meshes.map(({ name, color, vertices, faces }) => ({
    name, color, vertices: parts.vertices(vertices, layout.step, shift), faces: parts.faces(faces),
  }));
  return { meshes, low: shift, high: shift.map((low) => -low) };
}

function clipPlanes() {
  const axis = { sagittal: 0, coronal: 1, axial: 2 }[byId("clip").value];
  byId("clip-place").disabled = byId("clip-side").disabled = axis === undefined;
  if (axis === undefined) return [];
  const at = heart.low[axis] + Number(byId("clip-place").value) * (heart.high[axis] - heart.low[axis]);
  const normal = [0, 0, 0];
  normal[axis] = byId("clip-side").checked ? 1 : -1;
  return [[...normal, -normal[axis] * at]];
}

function update() {
  for (const scene of scenes) {
    for (const chip of chips)
      scene.change(chip.dataset.name, {
        visible: isPressed(chip), opacity: Number(byId("opacity").value),
      });
    scene.clip(clipPlanes());
    scene.plot.render();
  }
}

async function openHeart() {
  const wanted = heartChoice.value;
  byId("viewer").dataset.ready = "";
  const opened = await unpackMesh(wanted);
  if (wanted !== heartChoice.value) return; // another heart was chosen in the meantime
  heart = opened;
  const there = new Set(heart.meshes.map(({ name }) => name));
  for (const chip of chips) chip.hidden = !there.has(chip.dataset.name);
  fitHeart(heart.high);
  for (const scene of scenes) {
    await scene.show(heart.meshes.map((mesh) => {
      const [red, green, blue] = mesh.color.match(/\d+/g).map(Number);
      return { key: mesh.name, mesh, color: (red << 16) | (green << 8) | blue, opacity: 1 };
    }));
  }
  update();
  byId("viewer").dataset.ready = wanted;
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
  listenToChips(update);
  byId("inner").addEventListener("click", () =>
    showChips((chip) => chip.dataset.outer === undefined, update));
  for (const id of ["opacity", "clip", "clip-place", "clip-side"])
    byId(id).addEventListener("input", update);
  for (const button of document.querySelectorAll("button[data-heart]"))
    button.addEventListener("click", () => {
      heartChoice.value = button.dataset.heart;
      openHeart();
      byId("viewer").scrollIntoView();
    });
  for (const button of document.querySelectorAll("button[data-details]"))
    button.addEventListener("click", () =>
      byId(`details-${button.dataset.details}`).scrollIntoView());
}

listen();
openScene(byId("mesh-scene"));
await openHeart();
