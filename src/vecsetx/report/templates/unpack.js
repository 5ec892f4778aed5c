// Decode what packing.py encoded: base64 and gzip to bytes, or to a script to run.
async function unpacked(id) {
  const compressed = atob(document.getElementById(id).textContent);
  const bytes = Uint8Array.from(compressed, (letter) => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

async function run(id) {
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await unpacked(id));
  document.head.append(script);
}
