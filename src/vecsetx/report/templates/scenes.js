// 3-D scenes, such as truth and reconstruction: meshes and points drawn by k3d, with a shared camera.
const identity = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
const view = {
  fov: 28, distance: 330,
  bounds: [-150, -150, -150, 150, 150, 150], // around all objects: k3d clips what is far outside
  from: {
    Front: [0, 1, 0], Back: [0, -1, 0], Left: [-1, 0, 0], Right: [1, 0, 0],
    Above: [0, 0.001, 1], Below: [0, 0.001, -1],
  },
};
let camera = [0, view.distance, 0, 0, 0, 0, 0, 0, 1];

const cssColor = (name) => {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return parseInt(probe.fillStyle.slice(1), 16);
};

const meshObject = ({ vertices, faces }) => ({
  type: "Mesh",
  vertices: { data: vertices, shape: [vertices.length / 3, 3] },
  indices: { data: faces, shape: [faces.length / 3, 3] },
  slice_planes: [], side: "double", flat_shading: false, wireframe: false,
});

const pointsObject = (points) => ({
  type: "Points", positions: { data: points, shape: [points.length / 3, 3] },
  point_size: 1.4, shader: "3d",
});

class Scene {
  constructor(element) {
    this.element = element;
    this.shown = new Map();
    this.plot = new k3d.K3D(k3d.ThreeJsProvider, element, {
      menuVisibility: false, gridVisible: false, axesHelper: 0, cameraAutoFit: false,
      gridAutoFit: false, grid: view.bounds, cameraMode: "orbit", cameraUpAxis: "z", cameraFov: view.fov,
      clearColor: cssColor("--ground"), lighting: 1.6,
    });
  }

  // Replace what is shown. Each has key, color, opacity, and mesh (with or without colors) or points.
  async show(parts) {
    for (const { id } of this.shown.values()) this.plot.removeObject(id);
    this.shown.clear();
    const objects = parts.map(({ key, mesh, points, color, colors, opacity }, number) => {
      const object = {
        id: number + 1, name: key, visible: true, opacity,
        color, colors: { data: colors ?? new Uint32Array(0), shape: [colors?.length ?? 0] },
        attribute: { data: [], shape: [0] }, color_range: [], color_map: { data: [], shape: [0] },
        model_matrix: { data: Float32Array.from(identity), shape: [4, 4] },
        roughness: 0.55, metalness: 0, ...(points ? pointsObject(points) : meshObject(mesh)),
      };
      this.shown.set(key, object);
      return object;
    });
    await this.plot.load({ objects });
    this.look();
  }

  change(key, changes) {
    const object = this.shown.get(key);
    if (!object) return;
    Object.assign(object, changes);
    this.plot.reload(object, changes, true);
  }

  clip(planes) {
    this.plot.setClippingPlanes(planes);
  }

  look() {
    this.plot.setCamera(camera);
    this.plot.render();
  }

  recolor() {
    this.plot.setClearColor(cssColor("--ground"));
    this.plot.render();
  }
}

// Anatomical direction of a vector: R, L, A, P, S or I, or two letters if it is oblique.
function directionLetters(vector) {
  const length = Math.hypot(...vector);
  return vector
    .map((part, axis) => [Math.abs(part) / length, ["LR", "PA", "IS"][axis][Number(part > 0)]])
    .filter(([share]) => share > 0.4)
    .sort((first, second) => second[0] - first[0])
    .map(([, letter]) => letter)
    .join("");
}

const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

function labelDirections() {
  const ahead = [0, 1, 2].map((axis) => camera[3 + axis] - camera[axis]);
  const right = cross(ahead, camera.slice(6));
  const top = cross(right, ahead);
  const edges = { right, top, left: right.map((part) => -part), bottom: top.map((part) => -part) };
  for (const [edge, vector] of Object.entries(edges))
    for (const mark of document.querySelectorAll(`.pair .edge.${edge}`)) mark.textContent = directionLetters(vector);
}

function lookFrom(eye, up = [0, 0, 1]) {
  camera = [...eye, 0, 0, 0, ...up];
  labelDirections();
  for (const scene of scenes) scene.look();
}

// Move the camera so far back that a heart with these half extents, in mm, fits from every side.
function fitHeart([x, y, z]) {
  if (!scenes.length) return;
  const { clientWidth, clientHeight } = scenes.at(-1).element;
  const across = Math.max(x, y), aspect = Math.min(1, clientWidth / clientHeight || 1);
  const middle = Math.max(across / aspect, z) / Math.tan((view.fov * Math.PI) / 360);
  const distance = Math.max(330, middle + across / 2); // what is nearer than the middle looks larger
  const eye = camera.slice(0, 3).map((part) => (part * distance) / view.distance);
  camera = [...eye, ...camera.slice(3)]; // the scenes look from there once they show the heart
  labelDirections();
  view.distance = distance;
}

// Rotate the camera about the heart by angles in degrees, and zoom by a factor.
function rotate(horizontal, vertical, zoom = 1) {
  const [x, y, z] = [0, 1, 2].map((axis) => camera[axis] - camera[3 + axis]);
  const distance = Math.hypot(x, y, z) / zoom;
  const longitude = Math.atan2(y, x) + (horizontal * Math.PI) / 180;
  const latitude = Math.asin(z / Math.hypot(x, y, z)) + (vertical * Math.PI) / 180;
  const safe = Math.max(-1.55, Math.min(1.55, latitude));
  lookFrom([
    distance * Math.cos(safe) * Math.cos(longitude),
    distance * Math.cos(safe) * Math.sin(longitude),
    distance * Math.sin(safe),
  ]);
}

// The scene clicked last is the leader: its camera moves the other scene's. Only the leader reacts to
// the mouse wheel, so that scrolling past a heart does not zoom it.
let leader = null;

function follow(scene) {
  scene.plot.on(scene.plot.events.CAMERA_CHANGE, (moved) => {
    if (scene !== leader) return;
    camera = Array.from(moved);
    labelDirections();
    for (const other of scenes) if (other !== scene) other.look();
  });
  const moves = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, 10], ArrowDown: [0, -10],
    "+": [0, 0, 1.15], "=": [0, 0, 1.15], "-": [0, 0, 1 / 1.15] };
  scene.element.addEventListener("keydown", (event) => {
    if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    leader = null;
    rotate(...moves[event.key]);
  });
  scene.element.addEventListener("wheel", (event) => {
    if (scene !== leader) event.stopPropagation();
  }, { capture: true });
}

document.addEventListener("pointerdown", (event) => {
  leader = scenes.find((scene) => scene.element.contains(event.target)) ?? null;
}, { capture: true });

// A page with a single scene: open it, or say why there is none; hear its buttons and the colours.
function openScene(place) {
  for (const button of document.querySelectorAll("#views button"))
    button.addEventListener("click", () =>
      lookFrom(view.from[button.dataset.view].map((part) => part * view.distance)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const scene of scenes) scene.recolor();
  });
  try {
    const scene = new Scene(place);
    scenes.push(scene);
    follow(scene);
  } catch (error) {
    scenes.length = 0;
    byId("no-webgl").hidden = false;
    byId("no-webgl").textContent = `The 3-D scene needs WebGL 2, which this browser does not provide (${error.message}).`;
  }
}
