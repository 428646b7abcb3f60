"""A ranking by eye, sealed before anything is measured: notebook 04 seals it, notebook 05 opens it."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable
from pathlib import Path

from ..errors import CourseError
from ..files import save_text

SEAL = Path("exports") / "ranking.json"


# best first, by somebody who saw the page of notebook 04 and neither names nor scores
LOOKED: tuple[str, ...] = (
    "best-cifar10-uncond", "best-cifar10", "aux-cifar10", "lin-cifar10", "small-cifar10",
    "acgan-cifar10", "conv-cifar10", "dcgan-fid-cifar10", "sagan-cifar10", "class-cifar10",
    "genzoo-cifar10",
)  # fmt: skip


def blind(names: Iterable[str]) -> dict[str, str]:
    """Letter → name; the same names always get the same letters, in an order that says nothing."""
    names = sorted(names)
    random.Random(",".join(names)).shuffle(names)
    return {chr(ord("A") + k): name for k, name in enumerate(names)}


def digest_of(ranking: str, names: list[str]) -> str:
    """What seals a ranking: 8 hex digits of its SHA-256."""
    return hashlib.sha256(json.dumps([ranking, sorted(names)]).encode()).hexdigest()[:8]


def seal(ranking: str, letters: dict[str, str], path: Path = SEAL) -> None:
    """Keep `ranking`, letters best first, in a file with a digest, and print the digest. The first ranking stays.

    Raises:
        CourseError: not every letter of `blind` once.
    """
    ranking = "".join(filter(str.isalpha, ranking)).upper()
    if not ranking:
        return print("Nothing is sealed yet: put every letter into `ranking`, the best first.")
    if sorted(ranking) != sorted(letters):
        raise CourseError(f"The ranking needs each of {''.join(sorted(letters))} once; got {ranking}.")
    if path.exists():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))["digest"]
        except (ValueError, KeyError, TypeError):
            raise CourseError(f"The seal is broken: {path} was changed. Delete it, and seal again.") from None
        return print(f"There is a seal already, {there}, and it stays. To rank anew, delete {path.name} in exports/.")
    kept = {"ranking": ranking, "names": sorted(letters.values()), "digest": digest_of(ranking, list(letters.values()))}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_text(path, json.dumps(kept, indent=1) + "\n")
    print(f"Sealed: {kept['digest']}. Write these eight characters down; notebook 05 opens the seal.")


def unseal(path: Path = SEAL) -> tuple[list[str], str]:
    """The sealed ranking as names, best first, and whose it is; the authors' own where nothing was sealed.

    Raises:
        CourseError: the file was changed after it was sealed.
    """
    if not path.exists():
        return list(LOOKED), "the authors' ranking, for none is sealed here"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        ranking, names = kept["ranking"], kept["names"]
        whole, letters = kept["digest"] == digest_of(ranking, names), blind(names)
        found = [letters[letter] for letter in ranking]
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise CourseError(f"The seal is broken: {path} was changed. Delete it, and rank again in notebook 04.")
    return found, f"your ranking, seal {kept['digest']}"
