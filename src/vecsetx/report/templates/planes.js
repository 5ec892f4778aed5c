// Input, truth and reconstruction on an axial, a coronal and a sagittal plane, in radiological
// convention: the patient's right is on the left; on the sagittal plane, the front is.
const planes = [
  { name: "axial", axis: 2, across: 0, up: 1, letter: ["S", "I"] },
  { name: "coronal", axis: 1, across: 0, up: 2, letter: ["A", "P"] },
  { name: "sagittal", axis: 0, across: 1, up: 2, letter: ["R", "L"] },
];
const background = [16, 19, 24];
const pointReachMm = 2; // points up to so far from a plane are drawn on it
const place = [0, 0, 0]; // intersection of the three planes, mm from the centre of the heart

for (const plane of planes) {
  plane.canvas = document.getElementById(plane.name);
  plane.slider = document.getElementById(`${plane.name}-place`);
  plane.output = document.getElementById(`${plane.name}-mm`);
}

// Intersection of a mesh with a plane: polylines of [across, up] positions, with a point on each edge
// of the mesh that the plane crosses.
function contours({ vertices, faces }, { axis, across, up }, at) {
  const adjacent = new Map(); // crossed edge → neighbouring crossed edges not yet drawn
  const link = (edge, other) => {
    if (!adjacent.has(edge)) adjacent.set(edge, []);
    adjacent.get(edge).push(other);
  };
  const count = vertices.length / 3;
  for (let n = 0; n < faces.length; n += 3) {
    const corners = [faces[n], faces[n + 1], faces[n + 2]];
    const above = corners.map((corner) => vertices[3 * corner + axis] > at);
    if (above[0] === above[1] && above[1] === above[2]) continue;
    const crossed = [];
    for (let side = 0; side < 3; side++) {
      const [a, b] = [side, (side + 1) % 3];
      if (above[a] !== above[b])
        crossed.push(Math.min(corners[a], corners[b]) * count + Math.max(corners[a], corners[b]));
    }
    link(crossed[0], crossed[1]);
    link(crossed[1], crossed[0]);
  }
  const placeOn = (edge) => {
    const [a, b] = [3 * Math.floor(edge / count), 3 * (edge % count)];
    const share = (at - vertices[a + axis]) / (vertices[b + axis] - vertices[a + axis]);
    return [across, up].map((other) => vertices[a + other] + share * (vertices[b + other] - vertices[a + other]));
  };
  const lines = [];
  for (const [start, neighbours] of adjacent)
    while (neighbours.length) {
      const line = [placeOn(start)];
      for (let edge = start, next; (next = adjacent.get(edge).pop()) !== undefined; edge = next) {
        const back = adjacent.get(next);
        back.splice(back.indexOf(edge), 1);
        line.push(placeOn(next));
      }
      lines.push(line);
    }
  return lines;
}

function drawContours(context, scale, meshes, plane, style) {
  for (const mesh of meshes) {
    if (!isShown(mesh.name)) continue;
    const path = new Path2D();
    for (const line of contours(mesh, plane, place[plane.axis]))
      line.forEach(([x, y], n) => path[n ? "lineTo" : "moveTo"](scale.x(x), scale.y(y)));
    style(context, path, structureColors.get(mesh.name), mesh.name);
  }
}

// Slice through the input's voxels in muted colours, one pixel per voxel.
function voxelSlice({ voxels, labels, low }, { axis, across, up }) {
  const { shape, spacing, structures } = voxels;
  const [width, height] = [shape[across], shape[up]];
  const image = new ImageData(width, height);
  const stride = [1, shape[0], shape[0] * shape[1]];
  const layer = Math.floor((place[axis] - low[axis]) / spacing);
  if (layer < 0 || layer >= shape[axis]) return image;
  for (let v = 0; v < height; v++)
    for (let u = 0; u < width; u++) {
      const label = labels[layer * stride[axis] + u * stride[across] + v * stride[up]];
      const name = structures[label - 1];
      if (!label || !isShown(name)) continue;
      const color = structureColors.get(name) ?? [128, 128, 128];
      const pixel = 4 * ((height - 1 - v) * width + (width - 1 - u));
      for (let part = 0; part < 3; part++)
        image.data[pixel + part] = 0.38 * color[part] + 0.62 * background[part];
      image.data[pixel + 3] = 255;
    }
  return image;
}

function drawVoxels(context, scale, heart, plane) {
  const image = voxelSlice(heart, plane);
  const pixels = document.createElement("canvas");
  [pixels.width, pixels.height] = [image.width, image.height];
  pixels.getContext("2d").putImageData(image, 0, 0);
  const { spacing } = heart.voxels;
  const right = heart.low[plane.across] + image.width * spacing;
  const top = heart.low[plane.up] + image.height * spacing;
  context.imageSmoothingEnabled = false;
  context.drawImage(pixels, scale.x(right), scale.y(top),
    image.width * spacing * scale.perMm, image.height * spacing * scale.perMm);
}

const paint = (color, light) => `rgb(${color.map((part) => part + light * (255 - part)).join(" ")})`;

function truthStyle(context, path, color) {
  context.lineWidth = 1.1 * devicePixelRatio;
  context.strokeStyle = paint(color, 0.82);
  context.stroke(path);
}

function reconstructionStyle(context, path, color, name) {
  if (heart.inferred.has(name)) context.setLineDash([7, 5].map((part) => part * devicePixelRatio));
  context.lineWidth = 3.4 * devicePixelRatio;
  context.strokeStyle = "rgb(5 7 10 / 70%)";
  context.stroke(path);
  context.lineWidth = 2 * devicePixelRatio;
  context.strokeStyle = paint(color, 0.12);
  context.stroke(path);
  context.setLineDash([]);
}

// Points near the plane, as dots.
function drawPoints(context, scale, clouds, { axis, across, up }) {
  for (const { name, points } of clouds) {
    if (!isShown(name)) continue;
    context.fillStyle = paint(structureColors.get(name), 0.5);
    for (let n = 0; n < points.length; n += 3) {
      if (Math.abs(points[n + axis] - place[axis]) > pointReachMm) continue;
      context.beginPath();
      context.arc(scale.x(points[n + across]), scale.y(points[n + up]), 1.5 * devicePixelRatio, 0, 7);
      context.fill();
    }
  }
}

function drawPlane(heart, plane) {
  const { canvas, across, up } = plane;
  const size = Math.round(canvas.clientWidth * devicePixelRatio);
  if (!size) return;
  [canvas.width, canvas.height] = [size, size];
  const context = canvas.getContext("2d");
  const half = Math.max(...heart.high);
  const perMm = size / (2 * half);
  const scale = { perMm, x: (mm) => (half - mm) * perMm, y: (mm) => (half - mm) * perMm };
  context.fillStyle = `rgb(${background.join(" ")})`;
  context.fillRect(0, 0, size, size);
  context.lineJoin = context.lineCap = "round";
  if (layers.input.checked && heart.labels) drawVoxels(context, scale, heart, plane);
  if (layers.reconstruction.checked)
    drawContours(context, scale, heart.reconstruction, plane, reconstructionStyle);
  if (layers.truth.checked) {
    drawContours(context, scale, heart.truth, plane, truthStyle);
    drawPoints(context, scale, heart.points, plane);
  }
  context.fillStyle = "rgb(255 255 255 / 22%)";
  context.fillRect(scale.x(place[across]), 0, devicePixelRatio, size);
  context.fillRect(0, scale.y(place[up]), size, devicePixelRatio);
}

function drawPlanes(heart) {
  for (const plane of planes) {
    const mm = place[plane.axis] + heart.center[plane.axis];
    plane.slider.value = place[plane.axis];
    plane.output.textContent = `${plane.letter[mm < 0 ? 1 : 0]} ${Math.abs(mm).toFixed(1)} mm`;
    plane.slider.ariaValueText = plane.output.textContent;
    drawPlane(heart, plane);
  }
}

function setSliderRanges(heart) {
  for (const { slider, axis } of planes) [slider.min, slider.max] = [heart.low[axis], heart.high[axis]];
}
