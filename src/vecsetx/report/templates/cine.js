// The viewer of a heart's cycle: the meshes of all frames are in the scene, and one frame is visible.
const slider = byId("frame");
const low = [0, 1, 2].map((axis) => Math.min(...data.frames.map(({ layout }) => layout.low[axis])));
const high = [0, 1, 2].map((axis) => Math.max(...data.frames.map(({ layout }) => layout.high[axis])));
const center = low.map((part, axis) => (part + high[axis]) / 2);
const cycleMs = data.step === null ? 1500 : Math.max(600, data.step * data.frames.length);
let played = null; // when playing began, ms
let shown = -1;

async function unpackFrame({ layout }, number) {
  const parts = new Parts(await unpacked(`frame-${number}`));
  const shift = layout.low.map((part, axis) => part - center[axis]);
  return layout.meshes.map(({ name, vertices, faces }) => ({
    name, key: `${number} ${name}`,
    vertices: parts.vertices(vertices, layout.step, shift), faces: parts.faces(faces),
  }));
}

const meshes = await Promise.all(data.frames.map(unpackFrame));
const pressed = (name) => isPressed(chips.find((chip) => chip.dataset.name === name));

function show(number) {
  const changed = new Set([shown, number]);
  shown = number;
  for (const scene of scenes) {
    for (const place of changed)
      for (const { key, name } of meshes[place] ?? [])
        scene.change(key, { visible: place === number && pressed(name), opacity: Number(byId("opacity").value) });
    scene.plot.render();
  }
  slider.value = number;
  const { number: named, time, mark } = data.frames[number];
  byId("frame-text").textContent =
    `${named}${time === null ? "" : `, ${Math.round(time)} ms`}${mark ? `, ${mark}` : ""}`;
  byId("viewer").dataset.frame = number;
}

function play() {
  const started = performance.now(), first = Number(slider.value);
  played = started;
  byId("play").textContent = "Pause";
  const step = (now) => {
    if (played !== started) return;
    const passed = Math.floor((Math.max(0, now - started) / cycleMs) * meshes.length);
    const number = (first + passed) % meshes.length;
    if (number !== shown) show(number);
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

function pause() {
  played = null;
  byId("play").textContent = "Play";
}

function listen() {
  byId("play").addEventListener("click", () => (played === null ? play() : pause()));
  slider.addEventListener("input", () => { pause(); show(Number(slider.value)); });
  byId("opacity").addEventListener("input", () => show(shown));
  listenToChips(() => show(shown));
}

listen();
openScene(byId("cine-scene"));
for (const scene of scenes)
  await scene.show(meshes.flat().map((mesh) => {
    const chip = chips.find((one) => one.dataset.name === mesh.name);
    return { key: mesh.key, mesh, color: chipColor(chip), opacity: 1 };
  }));
for (const scene of scenes)
  for (const { key } of meshes.slice(1).flat()) scene.change(key, { visible: false });
fitHeart(high.map((part, axis) => (part - low[axis]) / 2));
for (const scene of scenes) scene.look();
show(0);
byId("viewer").dataset.ready = "1";
