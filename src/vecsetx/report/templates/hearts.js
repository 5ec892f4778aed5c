// Truth beside reconstruction: one heart, one camera, one set of structures on both sides.
const sides = ["truth", "reconstruction"].map((id) => document.getElementById(id));
const chips = [...document.querySelectorAll(".chip")];
const heartChoice = document.getElementById("heart");
const opacity = document.getElementById("opacity");
const distance = 1.65;
const eyes = {
  Front: [0, 1, 0], Back: [0, -1, 0], Left: [-1, 0, 0], Right: [1, 0, 0],
  Above: [0, 0.02, 1], Below: [0, 0.02, -1],
};
let camera = data.hearts[0].truth.layout.scene.camera;

const isShown = (name) =>
  chips.some((chip) => chip.dataset.structure === name && chip.ariaPressed === "true");

function drawHeart() {
  const heart = data.hearts[heartChoice.value];
  for (const side of sides) {
    const { data: traces, layout } = heart[side.id];
    for (const trace of traces)
      Object.assign(trace, { visible: isShown(trace.name), opacity: Number(opacity.value) });
    draw(side, { data: traces, layout: { ...layout, scene: { ...layout.scene, camera } } });
    const missing = chips
      .map((chip) => chip.dataset.structure)
      .filter((name) => !traces.some((trace) => trace.name === name));
    const dice = side.id === "reconstruction" ? `Dice ${heart.dice?.toFixed(3) ?? "–"}` : "";
    const without = missing.length ? `without ${missing.join(", ")}` : "";
    document.getElementById(`${side.id}-note`).textContent = [dice, without].filter(Boolean).join(" · ");
  }
}

// The patient's directions at the edges of a side: R, L, A, P, S, I, or two of them when oblique.
function letters(way) {
  const length = Math.hypot(...way);
  return way
    .map((part, axis) => [Math.abs(part) / length, ["LR", "PA", "IS"][axis][Number(part > 0)]])
    .filter(([share]) => share > 0.4)
    .sort((first, second) => second[0] - first[0])
    .map(([, letter]) => letter)
    .join("");
}

function nameDirections() {
  const { eye, up, center } = camera;
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const ahead = [center.x - eye.x, center.y - eye.y, center.z - eye.z];
  const right = cross(ahead, [up.x, up.y, up.z]);
  const top = cross(right, ahead);
  const edges = { right, top, left: right.map((part) => -part), bottom: top.map((part) => -part) };
  for (const [edge, way] of Object.entries(edges))
    for (const mark of document.querySelectorAll(`.edge.${edge}`)) mark.textContent = letters(way);
}

function look(from, except) {
  camera = from;
  nameDirections();
  for (const side of sides) if (side !== except) Plotly.relayout(side, { "scene.camera": from });
}

function change(side, traces) {
  if (side.data.length) Plotly.update(side, traces, { "scene.camera": camera });
}

function showStructures(shown) {
  for (const chip of chips) chip.ariaPressed = String(shown(chip));
  for (const side of sides)
    change(side, { visible: side.data.map((trace) => isShown(trace.name)) });
}

nameDirections();
drawHeart();
heartChoice.addEventListener("change", drawHeart);
opacity.addEventListener("input", () => {
  for (const side of sides) change(side, { opacity: Number(opacity.value) });
});

for (const chip of chips) {
  chip.addEventListener("click", () =>
    showStructures((other) => (other.ariaPressed === "true") !== (other === chip)));
  chip.addEventListener("dblclick", () => showStructures((other) => other === chip));
}
document.getElementById("all").addEventListener("click", () => showStructures(() => true));

for (const button of document.querySelectorAll("#views button"))
  button.addEventListener("click", () => {
    const [x, y, z] = eyes[button.dataset.view].map((part) => part * distance);
    look({ eye: { x, y, z }, up: { x: 0, y: 0, z: 1 }, center: { x: 0, y: 0, z: 0 } });
  });

// The side last touched leads. Plotly's own events leave out touch and tell of the wheel too early,
// so the leader's camera is asked for at every frame.
let leader = null;
document.addEventListener("pointerdown", (event) => {
  leader = sides.find((side) => side.contains(event.target)) ?? null;
}, { capture: true });

(function follow() {
  const turned = leader?._fullLayout.scene._scene.getCamera();
  if (turned && JSON.stringify(turned) !== JSON.stringify(camera)) look(turned, leader);
  requestAnimationFrame(follow);
})();

// Scrolling the page must not zoom a heart that the reader only passes.
for (const side of sides)
  side.addEventListener("wheel", (event) => {
    if (side !== leader) event.stopPropagation();
  }, { capture: true });
