"""Draws docs/architecture.svg: the folders of the package and what they import.

    python scripts/draw_architecture.py

The order of the folders and the imports are those that tests/test_layering.py checks.
Arrows that follow from others are left out: if a imports b, and b imports c, then a may
import c as well.
"""

import argparse
import itertools
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"
PACKAGE = "keras_fpn"
FILES = "*.py"  # stands for the lowest layer, which is single files
_WIDTH, _HEIGHT, _ROW, _GAP = 128, 34, 62, 26  # pixels
_PASS = 14  # pixels between boxes for an arrow that passes a row
_SWEEPS = 12
_STYLE = """
  rect { fill: #eaf1fb; stroke: #4a6fa5; stroke-width: 1.5 }
  text { font: 15px sans-serif; fill: #1f2933; text-anchor: middle }
  .note { font-size: 12px; fill: #616e7c }
  path { fill: none; stroke: #8aa1c1; stroke-width: 1.5 }
"""


def read_imports():
    """Returns the package's units by layer, lowest first, and what each unit imports.

    Returns:
        layers: list of list of str; the single files of the lowest layer are one unit.
        imports: unit -> set of the units that it imports.
    """
    if str(ROOT / "tests") not in sys.path:
        sys.path.append(str(ROOT / "tests"))
    from test_layering import LAYERS, package_arrows

    lowest = LAYERS[0].split()
    imports: dict[str, set[str]] = {PACKAGE: set(), FILES: set()}
    for _, _, here, there in package_arrows():
        here, there = (FILES if unit in lowest else unit for unit in (here, there))
        imports.setdefault(there, set())
        if here != there:
            imports.setdefault(here, set()).add(there)
    layers = [[unit for unit in line.split() if unit in imports] for line in LAYERS]
    return [[FILES], *filter(None, layers[1:])], imports


def reduced(imports):
    """Returns the imports without those that follow from others."""

    def reachable(unit):
        below = imports[unit]
        return below.union(*(reachable(other) for other in below))

    return {
        unit: {b for b in below if not any(b in reachable(o) for o in below - {b})}
        for unit, below in imports.items()
    }


def rows_of(layers, imports):
    """Returns unit -> row, from 0 at the bottom; no unit imports another of its row."""
    rows, row = {}, 0
    for layer in layers:
        left = set(layer)
        while left:
            free = {unit for unit in left if not imports[unit] & left}
            rows |= dict.fromkeys(sorted(free), row)
            left -= free
            row += 1
    return rows


def placed(rows, imports):
    """Returns the center of every box, and of every arrow where it passes a row.

    Nodes of a row are sorted by the mean position of their neighbors, as in Sugiyama et
    al. 1981, so that few arrows cross.

    Returns:
        dict of node -> x, pixels; a node is a unit, or (unit, imported unit, row).
    """
    chains = []
    for unit, below in imports.items():
        for other in sorted(below):
            between = range(rows[unit] - 1, rows[other], -1)
            chains.append([unit, *((unit, other, row) for row in between), other])
    nodes: dict = {row: [] for row in range(max(rows.values()) + 1)}
    for unit, row in rows.items():
        nodes[row].append(unit)
    neighbors: dict = {unit: [] for unit in rows}
    for chain in chains:
        for node in chain[1:-1]:
            nodes[node[2]].append(node)
        for upper, lower in itertools.pairwise(chain):
            neighbors.setdefault(upper, []).append(lower)
            neighbors.setdefault(lower, []).append(upper)
    x = {}
    for _ in range(_SWEEPS):
        for row in [*nodes, *reversed(nodes)]:
            nodes[row].sort(key=lambda node: _mean(x, neighbors[node], x.get(node, 0)))
            x |= _spread(nodes[row])
    return x


def _mean(x, nodes, default):
    known = [x[node] for node in nodes if node in x]
    return statistics.fmean(known) if known else default


def _spread(nodes):
    """Returns node -> x of the nodes of a row side by side, around 0."""
    widths = [_WIDTH if isinstance(node, str) else _PASS for node in nodes]
    left = -(sum(widths) + _GAP * (len(nodes) - 1)) / 2
    x = {}
    for node, width in zip(nodes, widths, strict=True):
        x[node] = left + width / 2
        left += width + _GAP
    return x


def drawing():
    """Returns the picture as SVG, str."""
    layers, imports = read_imports()
    imports = reduced(imports)
    rows = rows_of(layers, imports)
    x = placed(rows, imports)
    top = max(rows.values())
    half = max(abs(value) for value in x.values()) + _WIDTH / 2 + _GAP
    width, height = 2 * half, top * _ROW + 3.5 * _HEIGHT

    def at(node):
        row = rows[node] if isinstance(node, str) else node[2]
        return x[node] + half, (top - row) * _ROW + _HEIGHT

    paths, boxes = [], []
    for unit in sorted(imports):
        for other in sorted(imports[unit]):
            between = range(rows[unit] - 1, rows[other], -1)
            passed = [at((unit, other, row)) for row in between]
            paths.append(_arrow(at(unit), passed, at(other)))
    for unit in sorted(rows):
        boxes.append(_box(unit, *at(unit)))
    notes = (
        "Arrows point to what is imported when a module is loaded; those that follow",
        "from others are left out. *.py: single files in keras_fpn/, such as boxes.py.",
    )
    lines = []
    for i, note in enumerate(notes):
        y = height - 30 + 17 * i
        lines.append(f'<text class="note" x="{half:.0f}" y="{y:.0f}">{note}</text>')
    size = f'width="{width:.0f}" height="{height:.0f}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{_STYLE}</style>\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M1 1 L7 4 L1 7"/></marker></defs>\n'
        f'<rect {size} style="fill: white; stroke: none"/>\n'
    )
    return head + "\n".join([*paths, *boxes, *lines]) + "\n</svg>\n"


def _arrow(start, passed, end):
    """Returns a smooth line from a box down through points to another box."""
    points = [
        (start[0], start[1] + _HEIGHT / 2),
        *passed,
        (end[0], end[1] - _HEIGHT / 2),
    ]
    path = f"M{points[0][0]:.0f} {points[0][1]:.0f}"
    for (x1, y1), (x2, y2) in itertools.pairwise(points):
        middle = (y1 + y2) / 2
        path += f" C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"
    return f'<path d="{path}" marker-end="url(#tip)"/>'


def _box(unit, x, y):
    folder = (ROOT / PACKAGE / unit).is_dir()
    name = f"{unit}/" if folder else unit if unit in (PACKAGE, FILES) else f"{unit}.py"
    corner = f'x="{x - _WIDTH / 2:.0f}" y="{y - _HEIGHT / 2:.0f}"'
    return (
        f'<rect {corner} width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>\n'
        f'<text x="{x:.0f}" y="{y + 5:.0f}">{name}</text>'
    )


def main(argv: list[str] | None = None):
    """Writes the picture; returns 0."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
    PICTURE.write_text(drawing(), "utf-8")
    print(PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
