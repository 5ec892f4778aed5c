"""JSON files with a hash of themselves, as somebody else might have written them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def rewritten(file: Path, hash_name: str = "description_sha256") -> Iterator[dict[str, Any]]:
    """Yield the content to change; it is written back without its hash, as earlier versions did.

    So the change is not found by the hash, but by the check that it is meant for.
    """
    content = json.loads(file.read_text())
    content.pop(hash_name, None)
    yield content
    file.write_text(json.dumps(content))
