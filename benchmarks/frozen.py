"""Shipped generators measured once, and kept: what later gains refer to.

    python benchmarks/frozen.py measure --data cifar10=PATH celeba=PATH [--out FOLDER] [NAME ...]
    python benchmarks/frozen.py table [--out FOLDER]

Five fresh draws of as many images as report; `measure` writes a JSON file a generator, `table` their table.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from gan_helpers import checkpoints, evaluation, features
from gan_helpers.gallery import kind_of

HERE = Path(__file__).parent / "results" / "today"
DRAWS = 5
T = 2.776  # Student's t of 95 % for five draws, 4 degrees of freedom


def measure(name: str, source: str, out: Path, judges: list[str]) -> None:
    """Score one generator by the judges, imagenet and the course's own network by default; others' scores stay."""
    net, path = checkpoints.load_generator(name), out / f"{name}.json"
    found = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for network in judges or (features.IMAGENET, features.own_of(kind_of(net.recipe), net.recipe.channels)):
        scores = evaluation.evaluate(name, source, network=network, draws=DRAWS, progress=False)
        found[network] = {metric: asdict(score) for metric, score in scores.items()}
        print(name, *(str(score) for score in scores.values()), sep="\n  ", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def cell(scores: dict, network: str, metric: str, scale: float = 1) -> str:
    """Mean and half the 95 % interval of the mean over draws, or a dash."""
    if metric not in scores[network]:
        return "-"
    score = evaluation.Score(**scores[network][metric])
    floor = f" ({scale * score.floor:.3g})" if score.floor is not None else ""
    return f"{scale * score.value:.4g} ± {scale * T * score.spread / DRAWS**0.5:.2g}{floor}"


def table(out: Path) -> str:
    """All that was measured, as Markdown; real training images among the reporting ones in brackets."""
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(out.glob("*.json"))}
    lines = [
        "| generator | images | 1000 KD(imagenet) | FD(imagenet) | own network | 1000 KD | FD | precision | recall |",
        "|---" * 9 + "|",
    ]
    for name, scores in found.items():
        own = next(network for network in scores if network != features.IMAGENET)
        first = scores[features.IMAGENET]["kernel"]
        cells = (
            name,
            f"{first['n']:,} at {first['pixels']}",
            cell(scores, features.IMAGENET, "kernel", 1000),
            cell(scores, features.IMAGENET, "frechet"),
            own,
            cell(scores, own, "kernel", 1000),
            cell(scores, own, "frechet"),
            f"{scores[features.IMAGENET]['precision']['value']:.2f}",
            f"{scores[features.IMAGENET]['recall']['value']:.2f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("job", choices=("measure", "table"))
    p.add_argument("names", nargs="*")
    p.add_argument("--data", nargs="+", default=[], metavar="NAME=PATH")
    p.add_argument("--network", nargs="+", default=[])
    p.add_argument("--out", type=Path, default=HERE)
    o = p.parse_args()
    if o.job == "table":
        print(table(o.out))
        return 0
    sources = dict(pair.split("=", 1) for pair in o.data)
    for name in o.names or checkpoints.shipped():
        kind = kind_of(checkpoints.load_generator(name).recipe) if name in checkpoints.shipped() else ""
        measure(name, sources.get(kind, kind), o.out, o.network)
    return 0


if __name__ == "__main__":
    sys.exit(main())
