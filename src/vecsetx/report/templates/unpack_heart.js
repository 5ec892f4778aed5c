// Takes the parts of a heart off its bytes, in the order in which they were put there.
class Parts {
  constructor(bytes) {
    this.bytes = bytes;
    this.place = 0;
  }

  take(count) {
    this.place += count;
    return this.bytes.subarray(this.place - count, this.place);
  }

  // The lowest bytes of all numbers, then the middle ones, then the highest.
  numbers(count) {
    const [low, middle, high] = [this.take(count), this.take(count), this.take(count)];
    return Int32Array.from(low, (byte, n) => byte | (middle[n] << 8) | (high[n] << 16));
  }

  // x, y, z after one another, each as differences; `shift` comes on top.
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

  // Every index is stored as what it lies below the first one not used yet.
  faces(count) {
    let unused = 0;
    return Uint32Array.from(this.numbers(3 * count), (code) => {
      if (code === 0) unused += 1;
      return code === 0 ? unused - 1 : unused - code;
    });
  }

  // Distances in mm, NaN where the other side lacks the structure.
  distances(count, step) {
    const bytes = this.take(count);
    return Float32Array.from(bytes, (byte) => (byte === 128 ? NaN : (byte > 127 ? byte - 256 : byte) * step));
  }
}

// A heart about the middle of its box: meshes of both sides, the names of those in the
// reconstruction that the model was not shown, and the labels of the input.
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
  return { truth, reconstruction, center, low: shift, high: shift.map((low) => -low),
    inferred: new Set(inferred), voxels, labels };
}
