"""What the folders of a set of images say: classes, splits, and StyleGAN's `dataset.json`."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
}


@dataclass(frozen=True)
class Layout:
    """How a set is taken.

    Attributes:
        names: of the images that are read, sorted.
        labels: int64 (N,), or None.   classes: their names.
        held: bool (N,), where folders say what is held out; else None.
        notes: sentences that a user must see.
    """

    names: list[str]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    held: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def layout_of(names: list[str], opener: Callable[[str], BinaryIO], title: str) -> Layout:
    """The layout of the images `names` (`folder/file`) of a set called `title`.

    The labels of a `dataset.json` go first. Then folders called train, val and test, at one level, are splits, if those
    held out have no other class folders than train: test is held out, or val where there is no test. What lies in two
    or more folders (below any that hold everything) is of as many classes.
    """
    folders = {name: normal(name).split("/")[:-1] for name in names}
    if (found := _dataset_json(folders, opener)) is not None:
        return _labelled(names, found, title)
    level, roles, notes, held = *_roles(folders), [], None
    if roles:
        folders = {name: folders[name][:level] + folders[name][level + 1 :] for name in roles}
    train = [name for name in folders if roles.get(name, "train") == "train"]
    depth = len(os.path.commonprefix([folders[name] for name in train]))  # of the folder that holds everything
    tops = {name: "/".join(folders[name][depth : depth + 1]) for name in folders}
    classes = sorted({tops[name] for name in train})
    has_classes = "" not in classes
    if roles:
        kinds = {role: {tops[n] for n, r in roles.items() if r == role} for role in ("test", "val")}
        alike = [role for role, kind in kinds.items() if kind and (not has_classes or kind <= set(classes))]
        others = [f"'{role}'" for role, kind in kinds.items() if kind and role not in alike[:1]]
        others += ["what lies beside them"] * (len(names) > len(roles))
        which = f"'{alike[0]}' is held out" if alike else "about a tenth of it is held out, by content"
        not_read = f" Not read: {', '.join(others)}." if others else ""
        notes.append(f"{title} comes in splits: it trains on 'train', and {which}.{not_read}")
        names = [name for name in names if roles.get(name) in ("train", *alike[:1])]
        held = np.array([roles[name] != "train" for name in names]) if alike else None
    if not has_classes:
        if len(classes) > 1:
            notes.append(f"Some images in {title} lie beside its sub-folders, so these are not taken as classes.")
        return Layout(names, held=held, notes=tuple(notes))
    labels = np.searchsorted(classes, [tops[name] for name in names]).astype(np.int64)
    return Layout(names, labels, tuple(map(printable, classes)), held, tuple(notes))


def normal(name: str) -> str:
    """A name in one spelling: macOS writes ä as two characters, others as one."""
    return unicodedata.normalize("NFC", name)


def printable(name: str) -> str:
    """A file name that can be printed, even where its bytes are not UTF-8."""
    return name.encode("utf-8", "replace").decode()


def _roles(folders: dict[str, list[str]]) -> tuple[int, dict[str, str]]:
    """The level of split folders, and name → train, test or val; 0 and {} where there are none.

    Images beside or above them have no role; images in other folders mean that these are no splits.
    """
    for level in range(max(map(len, folders.values()), default=0)):
        roles = {name: SPLIT_FOLDERS.get(f[level].lower()) for name, f in folders.items() if len(f) > level}
        found = set(roles.values())
        above = os.path.commonprefix([folders[name][:level] for name in roles])
        rest = [f for name, f in folders.items() if name not in roles]
        if None not in found and "train" in found and len(found) > 1 and all(f == above[: len(f)] for f in rest):
            return level, roles
    return 0, {}


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
        return Layout(names, notes=(f"The dataset.json of {title} {why}: they are taken without classes.",))
    numbers, labels = np.unique(np.array(labels), return_inverse=True)
    note = f"The classes of {title} are the labels of its dataset.json."
    return Layout(names, labels.astype(np.int64), tuple(map(str, numbers.tolist())), None, (note,))
