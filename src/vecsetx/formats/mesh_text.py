"""STL, PLY and OBJ files as text: what trimesh reads without a word, though a part is missing."""

import re
from collections.abc import Iterator
from pathlib import Path

from vecsetx.errors import InputError

__all__ = ["check_ascii_ply", "check_ascii_stl", "plain_obj"]

_STL_WORDS = re.compile(rb"^[ \t]*(solid|endsolid|facet|endfacet|vertex)\b", re.MULTILINE)
_MOST_CORNERS = 255  # of one face


def check_ascii_stl(text: bytes, path: Path) -> None:
    """Check that every solid and every facet of an ASCII STL file has an end, and three vertices.

    Raises:
        InputError: One does not.
    """
    counts = dict.fromkeys((b"solid", b"endsolid", b"facet", b"endfacet", b"vertex"), 0)
    for found in _STL_WORDS.finditer(text):
        counts[found[1]] += 1
    facets = counts[b"facet"]
    whole = counts[b"solid"] == counts[b"endsolid"] and facets == counts[b"endfacet"]
    if not whole or counts[b"vertex"] != 3 * facets:
        raise InputError(
            f"{path}: truncated or damaged ({counts[b'endsolid']} of {counts[b'solid']} solids and "
            f"{counts[b'endfacet']} of {facets} facets have an end, and it has {counts[b'vertex']} "
            "vertices); copy or export it again"
        )


def check_ascii_ply(text: bytes, path: Path) -> None:
    """Check that a PLY file, if it is ASCII, has as many rows as its header says.

    Raises:
        InputError: It has more or fewer.
    """
    head, _, body = text.partition(b"end_header")
    lines = [line.split() for line in head.splitlines()]
    if [b"format", b"ascii"] not in [words[:2] for words in lines]:
        return
    counts = [words[2] for words in lines if words[:1] == [b"element"] and len(words) == 3]
    claimed = sum(int(count) for count in counts if count.isdigit() and len(count) < 12)
    rows = sum(1 for line in body.splitlines() if line.strip())
    if rows != claimed:
        raise InputError(
            f"{path}: truncated or damaged, has {rows} of {claimed} rows; copy or export it again"
        )


def plain_obj(text: bytes, path: Path) -> bytes:
    """Return the vertices and faces alone of an OBJ file, without normals, textures and materials.

    Raises:
        InputError: Vertices have different numbers of coordinates, or a face has an index that is
            relative, 0 or missing, or too many corners.
    """
    sizes: set[int] = set()
    kept = [*_obj_lines(text, sizes, path)]
    # trimesh reads the numbers of all vertices as one sequence: one that a vertex lacks and
    # another has in excess would shift all vertices between the two.
    if len(sizes) > 1 or min(sizes, default=3) < 3:
        raise InputError(
            f"{path}: its vertices have {' or '.join(map(str, sorted(sizes)))} numbers each, "
            "which must be 3 for all, with or without weights or colours; copy or export it again"
        )
    return b"\n".join(kept) + b"\n"


def _obj_lines(text: bytes, sizes: set[int], path: Path) -> Iterator[bytes]:
    """Yield the lines of vertices and faces; add the vertices' numbers of coordinates."""
    joined = re.sub(rb"\\\r?\n", b" ", text)  # lines that go on
    for number, line in enumerate(joined.splitlines(), start=1):
        words = line.partition(b"#")[0].split()
        if words[:1] == [b"v"]:
            sizes.add(len(words) - 1)
        elif words[:1] == [b"f"]:
            # A corner is v, v/vt, v//vn or v/vt/vn.
            words = [word.partition(b"/")[0] for word in words]
            if not all(word.isdigit() and int(word) for word in words[1:]):
                raise InputError(
                    f"{path}, line {number}: a face has an index that is not a number from 1 on; "
                    "export it with absolute indices"
                )
            if len(words) > 1 + _MOST_CORNERS:
                raise InputError(
                    f"{path}, line {number}: a face has over {_MOST_CORNERS} corners; export "
                    "triangles"
                )
        else:
            continue
        yield b" ".join(words)
