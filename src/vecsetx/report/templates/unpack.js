// Undoes packing.py: gzip in base64 → bytes, and scripts that run.
async function unpacked(id) {
  const packed = atob(document.getElementById(id).textContent);
  const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

async function run(id) {
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await unpacked(id));
  document.head.append(script);
}
