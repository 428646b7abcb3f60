"""The leaderboard: what judges say of each shipped generator, and the tables that show it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ... import evaluation, features, generators
from ...environment import DATA
from ...errors import CourseError
from ...evaluation import Score, half_interval
from ...files import save_text

KEPT = DATA / "generators" / "leaderboard.json"
PAGE = DATA / "generators" / "README.md"  # which shows it
MARKS = "<!-- leaderboard -->", "<!-- end of leaderboard -->"
DRAWS = 5  # fresh sets of images
SETS = {
    "cifar10": "CIFAR-10",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "celeba": "CelebA",
    "faces": "Cartoon faces",
}
COLUMNS = (
    "place", "generator", "1000 x KD", "FD", "precision", "recall", "own network: 1000 x KD", "parameters",
    "images seen", "GFLOP an image", "minutes",
)  # fmt: skip
NOTES = """\
**How to read the columns.** Each generator is *one run*: another seed of training would move most of them further than
the ± does, which is half the 95 % interval over five fresh sets of images from that one run. Generators whose KD differ
by less than these intervals share a place. **KD** is the kernel distance and **FD** the Fréchet distance between
generated and real images; smaller is better. The first columns look at the images through `imagenet`, a network that
was trained on photographs of a thousand kinds of things and never saw these data. For digits, clothes and drawings its
eyes are weak. The column *own network* looks through the course's own small network, which was trained on these very
data (for digits: on others than the generators). Both sides come to the network in the generator's own size. FD is left
out where there are fewer images than twice the network's features. *At the end* is the KD of a run's last generator,
where that is not the one that was kept. GFLOP count one training step of both nets, for each image. Minutes are of the
whole run without the scoring, on two CPU cores where the card says nothing else; early runs show the minutes that they
were planned for.

**This is not the official FID**, which needs the weights of Inception and 50,000 images. On a GPU, at a recipe's full
width and length, these two commands measure it, against the official test images (papers mostly take the training
images):

```
python -m gan_helpers train NAME --out runs/NAME-full
python -m gan_helpers evaluate runs/NAME-full --data cifar10 --n 50000 --features inception
```"""

Judged = dict[str, dict[str, Score]]  # network → metric → score


def judges_of(kind: str, channels: int) -> tuple[str, ...]:
    """The networks that the board asks about a data set: `imagenet` where it is installed, and the set's own."""
    own = features.own_of(kind, channels)
    return (features.IMAGENET, own) if features.imagenet_installed() else (own,)


def judged(path: str | Path, source: str, networks: Sequence[str], n: int | None = None) -> Judged:
    """What each network says of n images of a generator."""
    options = dict(n=n, draws=DRAWS, progress=False)
    return {network: evaluation.evaluate(path, source, network=network, **options) for network in networks}


def as_json(found: Judged) -> dict[str, dict[str, dict]]:
    """Network → metric → the fields of its score."""
    return {network: {metric: asdict(score) for metric, score in by.items()} for network, by in found.items()}


def keep(name: str, scores: dict[str, Judged], curve: list[tuple[int, float]], judge: str) -> None:
    """Write what judges say of a generator's best and last state into the board, and the curve of its run."""
    board = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    board[name] = {which: as_json(found) for which, found in scores.items()}
    board[name]["curve"] = {"judge": judge, "scores": curve}
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in board.items())
    save_text(KEPT, f"{{\n{lines}\n}}\n")  # a line for each generator


def read() -> dict[str, dict]:
    """Of each shipped generator on the board: `best` and perhaps `last` (`Judged`), and `curve`, {} where unknown."""
    kept = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    shipped, found = generators.shipped(), {}
    for name in [name for name in kept if name in shipped]:
        states = {which: by for which, by in kept[name].items() if which != "curve"}
        found[name] = {
            which: {network: {metric: Score(**s) for metric, s in by.items()} for network, by in judges.items()}
            for which, judges in states.items()
        } | {"curve": kept[name].get("curve", {})}
    return found


def kind_of(name: str) -> str:
    """The data set that a shipped generator learned from, as its card says."""
    told = str(generators.load_generator(name).card.get("data", ""))
    return next((kind for kind in SETS if told.startswith(kind)), "")


def interval(score: Score, scale: float = 1.0, digits: int = 1) -> str:
    """The mean over draws, and half its 95 % interval, times `scale`."""
    return f"{scale * score.value:.{digits}f} ± {scale * half_interval(score):.{digits}f}"


def places(scores: Sequence[Score]) -> list[int]:
    """The place of each score, best first: one that is not surely worse than the best of a place shares it."""
    found: list[int] = []
    for k, score in enumerate(scores):
        first = scores[found[-1] - 1] if found else None
        tied = first is not None and score.value - first.value <= half_interval(score, first)
        found.append(found[-1] if tied else k + 1)
    return found


def leaderboard(names: Sequence[str] | None = None) -> tuple[list[str], str]:
    """The shipped generators among `names` (all), a table for each data set, smallest kernel distance first."""
    found = {name: scores for name, scores in read().items() if names is None or name in names}
    order, lines = [], []
    for kind, title in SETS.items():
        own = [name for name in found if kind_of(name) == kind]
        own.sort(key=lambda name: first_of(found[name]["best"])["kernel"].value)
        if own:
            order += own
            lines += [f"**{title}**", "", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
            for place, name in zip(places([first_of(found[n]["best"])["kernel"] for n in own]), own, strict=True):
                lines.append(row(place, name, found[name]))
            judges = {s["kernel"].network: s["kernel"] for name in own for s in found[name]["best"].values()}
            lines += ["", *map(protocol_line, judges.values()), ""]
    return order, "\n".join([*lines, NOTES])


def first_of(judges: Judged) -> dict[str, Score]:
    """What the first network says."""
    return next(iter(judges.values()))


def row(place: int, name: str, found: dict) -> str:
    """A generator's line of the board."""
    card, (first, *others) = generators.load_generator(name).card, found["best"].values()
    last = first_of(found["last"])["kernel"] if "last" in found else None
    cells = (
        str(place),
        f"[`{name}`]({name}.md)",
        interval(first["kernel"], 1000) + (f", at the end {1000 * last.value:.1f}" if last else ""),
        interval(first["frechet"]) if "frechet" in first else "—",
        *(f"{first[metric].value:.2f}" for metric in ("precision", "recall")),
        interval(others[0]["kernel"], 1000) if others else "—",
        f"{card['parameters'] / 1e6:.1f} M",
        f"{card['images_seen']:,}",
        f"{card.get('GFLOP_an_image', '—')}",
        f"{card.get('minutes_of_the_run', card['minutes'])}",
    )
    return f"| {' | '.join(cells)} |"


def protocol_line(score: Score) -> str:
    """What a table's numbers depend on, and what real images score."""
    floor = f"; real images among themselves {abs(1000 * score.floor):.1f}" if score.floor is not None else ""
    return (
        f"- {score.name}: {score.draws} x {score.n:,} images against {score.reference.rpartition(' ')[0]}; network "
        f"{score.weights}, {score.resize}{floor}"
    )


def films(order: Sequence[str]) -> str:
    """The animations of the generators in `order`, three in a row, as Markdown that folds up."""
    lines = ["<details><summary>How they learned: an animation of each, from fixed noise</summary>", ""]
    for start in range(0, len(order), 3):
        row = order[start : start + 3]
        alt = "Generated images of {0} form from noise while it trains"
        shown = (f'<img src="../../images/{name}.webp" width="270" alt="{alt.format(name)}">' for name in row)
        lines += [f"| {' | '.join(row)} |", "|---" * len(row) + "|", f"| {' | '.join(shown)} |", ""]
    return "\n".join([*lines, "</details>"])


def write() -> list[str]:
    """Write tables and animations into the generators' page; returns the generators in the order of the tables.

    Raises:
        CourseError: the page has no place for them.
    """
    order, table = leaderboard()
    print(table)
    before, mark, rest = PAGE.read_text("utf-8").partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not (mark and end):
        raise CourseError(f"{PAGE} has no place for the table, between {MARKS[0]} and {MARKS[1]}.")
    save_text(PAGE, f"{before}{mark}\n{table}\n\n{films(order)}\n{end}{after}")
    return order
