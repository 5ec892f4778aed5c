// Reads the parts of a heart from its bytes, in the order in which scene.py wrote them.
class Parts {
  constructor(bytes) {
    this.bytes = bytes;
    this.offset = 0;
  }

  take(count) {
    this.offset += count;
    return this.bytes.subarray(this.offset - count, this.offset);
  }

  // The lowest bytes of all numbers, then the middle bytes, then the highest.
  numbers(count) {
    const [low, middle, high] = [this.take(count), this.take(count), this.take(count)];
    return Int32Array.from(low, (byte, n) => byte | (middle[n] << 8) | (high[n] << 16));
  }

  // All x, then y, then z, each as zigzag-encoded differences; `shift` is added.
  vertices(count, step, shift) {
    const found = new Float32Array(3 * count);
    for (let axis = 0; axis < 3; axis++) {
      let steps = 0;
      this.numbers(count).forEach((code, n) => {
        steps += code & 1 ? -(code + 1) / 2 : code / 2;
        found[3 * n + axis] = steps * step + shift[axis];
      });
    }
    return found;
  }

  // Each index is stored as its offset below the lowest index not yet used.
  faces(count) {
    let unused = 0;
    return Uint32Array.from(this.numbers(3 * count), (code) => {
      if (code === 0) unused += 1;
      return code === 0 ? unused - 1 : unused - code;
    });
  }

  // The points of each structure.
  clouds(layout, step, shift) {
    return layout.map(({ name, points }) => ({ name, points: this.vertices(points, step, shift) }));
  }

  // Distances in mm, NaN where the other side lacks the structure.
  distances(count, step) {
    const bytes = this.take(count);
    return Float32Array.from(bytes, (byte) => (byte === 128 ? NaN : (byte > 127 ? byte - 256 : byte) * step));
  }
}

// Unpack a heart, centred on its bounding box: the meshes of both sides, the names of inferred
// structures, and the labels or the points of the input.
async function unpackHeart(number) {
  const { layout } = data.hearts[number];
  const center = layout.low.map((low, axis) => (low + layout.high[axis]) / 2);
  const shift = layout.low.map((low, axis) => low - center[axis]);
  const parts = new Parts(await unpacked(`heart-${number}`));
  const meshes = (side) => layout[side].map(({ name, vertices, faces }) => ({
    name,
    vertices: parts.vertices(vertices, layout.step, shift),
    faces: parts.faces(faces),
    distances: parts.distances(vertices, data.distanceStep),
  }));
  const [truth, reconstruction] = [meshes("truth"), meshes("reconstruction")];
  const { voxels, inferred } = layout;
  const labels = voxels && parts.take(voxels.shape.reduce((product, size) => product * size, 1));
  const points = parts.clouds(layout.points, layout.step, shift);
  return { truth, reconstruction, points, center, low: shift, high: shift.map((low) => -low),
    inferred: new Set(inferred), voxels, labels };
}
