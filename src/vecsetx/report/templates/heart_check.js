// The surface points of a heart in 3-D.
const { layout, clouds } = await unpackClouds();

async function unpackClouds() {
  const layout = data.scene;
  const shift = layout.low.map((low, axis) => (low - layout.high[axis]) / 2);
  const parts = new Parts(await unpacked("points"));
  return { layout, clouds: parts.clouds(layout.points, layout.step, shift) };
}

function update() {
  for (const scene of scenes) {
    for (const chip of chips) scene.change(chip.dataset.name, { visible: isPressed(chip) });
    scene.plot.render();
  }
}

listenToChips(update);
openScene(byId("points-scene"));
for (const scene of scenes)
  await scene.show(clouds.map(({ name, points }, number) =>
    ({ key: name, points, color: chipColor(chips[number]), opacity: 1 })));
fitHeart(layout.high.map((high, axis) => (high - layout.low[axis]) / 2));
for (const scene of scenes) scene.look();
byId("viewer").dataset.ready = "1";
