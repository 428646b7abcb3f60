"""What the folders of a set of images say: classes, splits, and StyleGAN's `dataset.json`."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
}
FEW = 10  # images of a folder `val` that are too few to choose by


@dataclass(frozen=True)
class Layout:
    """How a set is taken.

    Attributes:
        names: of the images that are read, sorted.
        labels: int64 (N,), or None.   classes: their names, in natural order: 2 before 10.
        roles: str (N,), 'train', 'held-out' or 'choose', where folders say so; None where the content decides.
        notes: sentences that a user must see.
    """

    names: list[str]
    labels: np.ndarray | None = None
    classes: list[str] = field(default_factory=list)
    roles: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)


def layout_of(names: list[str], opener: Callable[[str], BinaryIO], title: str) -> Layout:
    """The layout of the images `names` (`folder/file`, sorted) of a set called `title`.

    The labels of a `dataset.json` go first. Then folders called train, val and test, at one level, are splits (see
    `_roles`). What lies in two or more folders (below any that hold everything) is of as many classes.
    """
    folders = {name: normal(name).split("/")[:-1] for name in names}
    if (found := _dataset_json(folders, opener)) is not None:
        return _labelled(names, found, title)
    splits, folders = _split_folders(folders)
    train = [name for name in folders if splits.get(name, "train") == "train"]
    depth = len(os.path.commonprefix([folders[name] for name in train]))  # of the folder that holds everything
    class_of = {name: "/".join(folder[depth : depth + 1]) for name, folder in folders.items()}
    classes = sorted({class_of[name] for name in train}, key=natural)
    roles, notes = None, []
    if splits:
        used, note = _roles(splits, class_of, classes)
        beside = " What lies beside these is not read." if len(names) > len(splits) else ""
        notes.append(f"{title} comes in splits: {note}{beside}")
        names = [name for name in names if splits.get(name) in used]
        roles = np.array([used[splits[name]] for name in names]) if len(used) > 1 else None
    if "" in classes:
        if len(classes) > 1:
            notes.append(f"Some images in {title} lie beside its sub-folders, so these are not taken as classes.")
        return Layout(names, roles=roles, notes=notes)
    number = {name: k for k, name in enumerate(classes)}
    labels = np.array([number[class_of[name]] for name in names])
    return Layout(names, labels, [printable(name) for name in classes], roles, notes)


def normal(name: str) -> str:
    """A name in one spelling: macOS writes ä as two characters, others as one."""
    return unicodedata.normalize("NFC", name)


def natural(name: str) -> tuple[str, str]:
    """A key to sort names as people do: numbers by their value, so `10` comes after `2`."""
    return re.sub(r"\d+", lambda number: number[0].zfill(99), name), name


def printable(name: str) -> str:
    """A file name that can be printed, even where its bytes are not UTF-8."""
    return name.encode("utf-8", "replace").decode()


def _split_folders(folders: dict[str, list[str]]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Name → train, test or val, and its folders without that one; {} and all folders where there are no splits.

    Images beside or above the splits are left out; images in other folders mean that these are none.
    """
    for level in range(max(map(len, folders.values()), default=0)):
        deep = {name: folder for name, folder in folders.items() if len(folder) > level}
        splits = {name: SPLIT_FOLDERS.get(folder[level].lower()) for name, folder in deep.items()}
        found = set(splits.values())
        above = os.path.commonprefix([folder[:level] for folder in deep.values()])
        beside = [folder for name, folder in folders.items() if name not in deep]
        if None in found or "train" not in found or len(found) == 1:
            continue
        if all(folder == above[: len(folder)] for folder in beside):
            return splits, {name: folder[:level] + folder[level + 1 :] for name, folder in deep.items()}
    return {}, folders


def _roles(splits: dict[str, str], class_of: dict[str, str], classes: list[str]) -> tuple[dict[str, str], str]:
    """What the splits are for, as train, test or val → 'train', 'held-out' or 'choose', and a sentence that says so.

    `test` is held out, and `val` chooses the best of a run; without `test`, `val` is held out. Neither is used where it
    has other classes than `train`; where nothing is left, the content of the training images decides.
    """
    used, told, unused = {"train": "train"}, [], ""
    for split in ("test", "val"):
        mine = [class_of[name] for name, found in splits.items() if found == split]
        role = "choose" if "test" in used else "held-out"
        if not mine:
            continue
        if "" not in classes and not set(mine) <= set(classes):
            unused += f" '{split}' is not read: it has other classes than 'train'."
        elif role == "choose" and len(mine) < FEW:
            unused += f" '{split}' is not read: it has too few images to choose by (under {FEW})."
        else:
            used[split] = role
            told.append(f"'{split}' {'is held out' if role == 'held-out' else 'chooses the best of a run'}")
    told = told or ["about a tenth of it is held out, by content"]
    return used, f"it trains on 'train', {' and '.join(told)}.{unused}"


def _dataset_json(folders: dict[str, list[str]], opener: Callable[[str], BinaryIO]) -> dict[str, object] | None:
    """Normal name → label, of a `dataset.json` beside the images or above; {} if it has none, None if there is no file.

    StyleGAN's format: {"labels": [["00000/img00000000.png", 3], …]}, or {"labels": null}. Any other is no such file.
    """
    top = os.path.commonprefix(list(folders.values()))
    for depth in range(len(top) + 1):
        above = "".join(f"{part}/" for part in top[:depth])
        try:
            with opener(f"{above}dataset.json") as file:
                pairs = json.loads(file.read())["labels"]
            return {normal(above + name): label for name, label in pairs or ()}
        except Exception:  # no such file, or another's: zipfile, json and the disk raise several kinds
            continue
    return None


def _labelled(names: list[str], found: dict[str, object], title: str) -> Layout:
    """The layout that a `dataset.json` gives: its labels, where every image has a whole number, and no folders."""
    labels = [found.get(normal(name)) for name in names]
    if missing := sum(type(label) is not int for label in labels):
        why = f"names no class for {missing:,} of {len(names):,} images" if found else "has no labels"
        return Layout(names, notes=[f"The dataset.json of {title} {why}: they are taken without classes."])
    numbers, labels = np.unique(np.array(labels), return_inverse=True)
    note = f"The classes of {title} are the labels of its dataset.json."
    return Layout(names, labels, [str(number) for number in numbers], notes=[note])
