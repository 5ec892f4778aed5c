// The viewer of a shape space: the mean heart turns into others, whose vertices correspond to its own.
const choice = byId("shape"), slider = byId("place");
const { layout, mean, shapes } = await unpackSpace();
let played = null; // when playing began, ms

// Unpack meshes of the mean heart and, of each shape, the vertices at its places; centred on their box.
async function unpackSpace() {
  const layout = data.space;
  const shift = layout.low.map((low, axis) => (low - layout.high[axis]) / 2);
  const parts = new Parts(await unpacked("space-hearts"));
  const mean = layout.meshes.map(({ name, vertices, faces }) => ({
    name, vertices: parts.vertices(vertices, layout.step, shift), faces: parts.faces(faces),
  }));
  const shapes = layout.shapes.map(({ name, places }) => ({
    name,
    places,
    hearts: places.map(() => layout.meshes.map(({ vertices }) => parts.vertices(vertices, layout.step, shift))),
  }));
  for (const shape of shapes) { // the mean heart is at 0
    const at = shape.places.filter((place) => place < 0).length;
    shape.places = shape.places.toSpliced(at, 0, 0);
    shape.hearts = shape.hearts.toSpliced(at, 0, mean.map(({ vertices }) => vertices));
  }
  return { layout, mean, shapes };
}

const shape = () => shapes[choice.value];
const isMode = () => shape().places.length > 2;

// Vertices of a structure between the two hearts around a place.
function verticesAt(number, place) {
  const { places, hearts } = shape();
  const after = Math.max(1, places.findIndex((other) => other >= place));
  const [low, high] = [hearts[after - 1][number], hearts[after][number]];
  const share = (place - places[after - 1]) / (places[after] - places[after - 1]);
  return low.map((part, n) => part + share * (high[n] - part));
}

function move() {
  const place = Number(slider.value);
  byId("place-text").textContent = isMode()
    ? `${place < 0 ? "−" : ""}${Math.abs(place).toFixed(1)} s.d.` : `${Math.round(100 * place)}% of the way`;
  for (const scene of scenes) {
    mean.forEach(({ name }, number) => {
      const vertices = verticesAt(number, place);
      scene.change(name, { vertices: { data: vertices, shape: [vertices.length / 3, 3] } });
    });
    scene.plot.render();
  }
  byId("viewer").dataset.place = place;
}

function choose() {
  const [low, high] = [shape().places[0], shape().places.at(-1)];
  Object.assign(slider, { min: low, max: high });
  slider.value = isMode() ? 0 : high;
  for (const button of document.querySelectorAll("[data-heart]"))
    button.setAttribute("aria-current", button.dataset.heart === shape().name);
  if (played !== null) play();
  move();
}

// Go to and fro between the ends of the slider, from where it is.
function play() {
  const [low, high] = [Number(slider.min), Number(slider.max)];
  const period = isMode() ? 5000 : 3000;
  const begin = Math.acos(1 - (2 * (slider.value - low)) / (high - low));
  const started = performance.now();
  played = started;
  byId("play").textContent = "Stop";
  const step = (now) => {
    if (played !== started) return;
    const phase = begin + (2 * Math.PI * Math.max(0, now - started)) / period;
    slider.value = low + ((high - low) * (1 - Math.cos(phase))) / 2;
    move();
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

function stop() {
  played = null;
  byId("play").textContent = "Play";
}

function update() {
  for (const scene of scenes) {
    for (const chip of chips)
      scene.change(chip.dataset.name, {
        visible: isPressed(chip), opacity: Number(byId("opacity").value),
      });
    scene.plot.render();
  }
}

function listen() {
  choice.addEventListener("change", choose);
  const step = (by) => {
    choice.value = (Number(choice.value) + by + shapes.length) % shapes.length;
    choose();
  };
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("play").addEventListener("click", () => (played === null ? play() : stop()));
  slider.addEventListener("input", () => { stop(); move(); });
  byId("opacity").addEventListener("input", update);
  listenToChips(update);
  for (const button of document.querySelectorAll("button[data-heart]"))
    button.addEventListener("click", () => {
      choice.value = shapes.findLastIndex(({ name }) => name === button.dataset.heart);
      choose();
      byId("viewer").scrollIntoView();
    });
}

listen();
openScene(byId("space-scene"));
for (const scene of scenes)
  await scene.show(mean.map((mesh, number) => {
    const own = { ...mesh, vertices: mesh.vertices.slice() }; // k3d keeps the array, and moves it
    return { key: mesh.name, mesh: own, color: chipColor(chips[number]), opacity: 1 };
  }));
fitHeart(layout.high.map((high, axis) => (high - layout.low[axis]) / 2));
for (const scene of scenes) scene.look();
choose();
byId("viewer").dataset.ready = "1";
