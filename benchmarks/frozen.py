"""Shipped generators measured once, and kept: what later gains refer to.

    python benchmarks/frozen.py measure --data cifar10=PATH celeba=PATH [--out FOLDER] [NAME ...]
    python benchmarks/frozen.py table [--out FOLDER]

Five fresh draws of as many images as report; `measure` writes a JSON file a generator, `table` their table.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gan_helpers import evaluation, features, generators, recipes
from gan_helpers.course.authoring import board

HERE = Path(__file__).parent / "results" / "today"


def measure(name: str, source: str, out: Path, judges: list[str], n: int | None) -> None:
    """Score one generator by the judges, by default those of the board; what others said of it stays."""
    path, recipe = out / f"{name}.json", recipes.get(name)
    found = json.loads(path.read_text("utf-8")) if path.exists() else {}
    judges = judges or board.judges_of(recipe.data, recipe.channels)
    found |= board.as_json(board.judged(name, source, judges, n))
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(name, {network: {k: s["value"] for k, s in scores.items()} for network, scores in found.items()}, flush=True)


def cell(scores: dict, network: str, metric: str, scale: float = 1.0) -> str:
    """Mean and half the 95 % interval of the mean over draws; what real images score, in brackets."""
    if metric not in scores.get(network, {}):
        return "—"
    score = evaluation.Score(**scores[network][metric])
    floor = f" ({scale * score.floor:.2f})" if score.floor is not None else ""
    return board.interval(score, scale, 2) + floor


def table(out: Path) -> str:
    """All that was measured, as Markdown."""
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(out.glob("*.json"))}
    heads = ["generator", "images", "1000 KD(imagenet)", "FD(imagenet)", "own network", "1000 KD", "FD"]
    heads += ["precision", "recall"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, scores in found.items():
        own = next((network for network in scores if network != features.IMAGENET), "—")
        first = scores[features.IMAGENET]
        cells = (
            name,
            f"{first['kernel']['n']:,} at {first['kernel']['pixels']}",
            cell(scores, features.IMAGENET, "kernel", 1000),
            cell(scores, features.IMAGENET, "frechet"),
            own,
            cell(scores, own, "kernel", 1000),
            cell(scores, own, "frechet"),
            *(f"{first[metric]['value']:.2f}" for metric in ("precision", "recall")),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("job", choices=("measure", "table"))
    p.add_argument("names", nargs="*")
    p.add_argument("--data", nargs="+", default=[], metavar="NAME=PATH")
    p.add_argument("--network", nargs="+", default=[])
    p.add_argument("--n", type=int, help="images in a draw (default: as many as report)")
    p.add_argument("--out", type=Path, default=HERE)
    o = p.parse_args()
    if o.job == "table":
        print(table(o.out))
        return 0
    sources = dict(pair.split("=", 1) for pair in o.data)
    for name in o.names or generators.shipped():
        kind = board.kind_of(name)
        measure(name, sources.get(kind, kind), o.out, o.network, o.n)
    return 0


if __name__ == "__main__":
    sys.exit(main())
