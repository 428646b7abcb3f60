"""What the explorer knows and does, without widgets: where it stands, how it got there, and the code that says so."""

from __future__ import annotations

import copy
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from PIL import Image, PngImagePlugin
from torch import Tensor, nn

from .. import data, directions, environment, features, latent
from ..errors import CourseError
from ..files import save_atomically
from ..generators import class_names, load_generator
from ..models.blocks import OnePerClass
from ..plots import grid, to_uint8

REACH = 2  # the pad shows the seeds from -2 to 2 both ways
FRESH = {"amounts": {}, "psi": 1.0}
SETS = {  # letter in the code: what the sliders are called, and the line that makes them
    "P": ("first layer", "P = principal(generator)"),
    "A": ("activations", "A = activation_pca(generator)"),
    "T": ("attributes", 'T = attribute_directions(generator, Probe.fit(data.load("{data}", {size}, {channels})))'),
    "S": ("saved", 'S = load_directions("{file}", generator.latent_dim)'),
}


@dataclass(frozen=True)
class Point:
    """A latent vector z (1, latent_dim), and the Python expression that makes it."""

    z: Tensor
    code: str


@dataclass(frozen=True)
class View:
    """One state of the explorer; every change makes a new one, so that undo is a list.

    Attributes:
        base: where z starts: on the seed plane ("seeds"), on the path of `keys` ("path") or at A - B + C ("sum").
        seed, x, y: the middle of the seed plane, and the place on it, from -2 to 2.
        amounts: how far along which direction, by its name in the code, for example {"P[0]": 1.5}.
        psi: truncation, 0 to 1.
        keys, t, spherical, loop: the path's keyframes, the place on it (0 to 1), arc or line, and whether it returns.
        groups: the picked points A, B and C.
        label, other, mix: the class of a conditional generator, and how far it is mixed into another.
    """

    base: str = "seeds"
    seed: int = 0
    x: float = 0.0
    y: float = 0.0
    amounts: Mapping[str, float] = field(default_factory=dict)
    psi: float = 1.0
    keys: tuple[Point, ...] = ()
    t: float = 0.0
    spherical: bool = True
    loop: bool = True
    groups: tuple[tuple[Point, ...], ...] = ((), (), ())
    label: int = 0
    other: int = 0
    mix: float = 0.0


class Explorer:
    """A generator in the hand. The widgets only call this; it can be used and tested without them.

    Args:
        source: a generator, or whatever `load_generator` takes. A frozen copy is used, so a net may go on training.
        images: the training images, for attributes and nearest neighbours; None takes an embedded set that the
            generator's recipe names.
        folder: where snapshots, animations and saved directions go.

    Raises:
        CourseError: nothing there, or a net that is no generator.
    """

    def __init__(
        self, source: nn.Module | str | Path, images: data.ImageSet | None = None, folder: str | Path = "explored"
    ) -> None:
        named = not isinstance(source, nn.Module)
        net = load_generator(source) if named else copy.deepcopy(source)
        self.net = net.cpu().float().eval().requires_grad_(False)
        self.directions = {f"P[{i}]": v for i, v in enumerate(directions.principal(self.net))}
        self.source = f"load_generator({str(source)!r})" if named else "...  # the generator that you explored"
        self.class_names = class_names(self.net)
        self.mixes = not isinstance(self.net, OnePerClass)
        self.folder, self._images, self._pixels = environment.at_home(folder), images, None
        self.data = images.name if images is not None else getattr(getattr(self.net, "recipe", None), "data", "")
        self.judge = features.questioner(self.data)
        self.view, self.past, self.asked = View(), [], None
        self.changed, self.lock = ((), 0.0), threading.RLock()

    # --- where it stands -------------------------------------------------------------------------------------------

    def base(self) -> Point:
        """The point that the directions start from."""
        v, dim = self.view, self.net.latent_dim
        if v.base == "path" and len(v.keys) > 1:
            at = v.t * (len(v.keys) if v.loop else len(v.keys) - 1)
            leg = min(int(at), len(v.keys) - (1 if v.loop else 2))
            a, b = v.keys[leg], v.keys[(leg + 1) % len(v.keys)]
            path, t = latent.slerp if v.spherical else latent.lerp, round(at - leg, 4)
            return Point(path(a.z, b.z, t), f"{path.__name__}({a.code}, {b.code}, {t:g})")
        if v.base == "sum" and v.groups[0]:
            (a, b, c) = (torch.cat([p.z for p in group]) if group else None for group in v.groups)
            code = [f"torch.cat([{', '.join(p.code for p in group)}])" if group else "" for group in v.groups]
            plus, minus = [x for x in (a, c) if x is not None], [b] if b is not None else []
            added = ", ".join(filter(None, (code[0], code[2])))
            return Point(latent.arithmetic(plus, minus), f"arithmetic([{added}], [{code[1]}])")
        if v.x or v.y:
            return Point(latent.plane(v.x, v.y, dim, v.seed), f"plane({v.x:g}, {v.y:g}, {dim}, {v.seed})")
        return Point(latent.draw_z(1, dim, v.seed), f"draw_z(1, {dim}, {v.seed})")

    def point(self) -> Point:
        """z as shown: the base, moved along the directions, truncated."""
        point, amounts = self.base(), {name: a for name, a in self.view.amounts.items() if a}
        z = point.z + sum(a * self.directions[name] for name, a in amounts.items())
        code = point.code + "".join(f" {'-' if a < 0 else '+'} {abs(a):g} * {name}" for name, a in amounts.items())
        if self.view.psi == 1:
            return Point(z, f"({code})" if amounts else code)
        return Point(latent.truncate(z, self.view.psi), f"truncate({code}, {self.view.psi:g})")

    def generate(self, z: Tensor) -> Tensor:
        """Images (N, C, S, S) in [-1, 1] of z (N, latent_dim), of the class in view where there are classes."""
        if self.class_names:
            return latent.generate_class(self.net, z, self.view.label, self.view.other, self.view.mix)
        return latent.generate(self.net, z)

    def image(self) -> Tensor:
        """The image in view: (1, C, S, S) in [-1, 1]."""
        return self.generate(self.point().z)

    def sheet(self) -> Image.Image:
        """The 5 x 5 seeds of the pad, as one picture without gaps."""
        across = range(-REACH, REACH + 1)
        z = torch.cat([latent.plane(x, y, self.net.latent_dim, self.view.seed) for y in across for x in across])
        return grid(self.generate(z), 2 * REACH + 1, gap=0)

    def describe(self) -> str:
        """The view in words, for captions and alternative texts."""
        v = self.view
        where = {"path": f"{v.t:.0%} of the path through {len(v.keys)} keyframes", "sum": "arithmetic"}
        words = [where.get(v.base, f"seed {v.seed}" + (f", {v.x:+.2f} across, {v.y:+.2f} down" if v.x or v.y else ""))]
        words += [f"{label(name)} {amount:+g}" for name, amount in v.amounts.items() if amount]
        words += [f"truncation {v.psi:g}"] * (v.psi != 1)
        if self.class_names:
            mixed = f" mixed with {v.mix:.0%} {self.class_names[v.other]}" if v.mix else ""
            words.append(f"class {self.class_names[v.label]}{mixed}")
        return ", ".join(words)

    def code(self) -> str:
        """A cell that shows the image in view, from nothing but the course's functions."""
        v, z = self.view, self.point().code
        z = z[1:-1] if z.startswith("(") else z
        makers = [line for letter, (_, line) in SETS.items() if re.search(rf"\b{letter}\[", z)]
        _, channels, size, _ = self.images.images.shape if "T[" in z else [0] * 4
        values = {"data": self.data, "size": size, "channels": channels}
        makers = [line.format(file=(self.folder / "directions.safetensors").as_posix(), **values) for line in makers]
        picture = f"generate_class(generator, z, {v.label}, {v.other}, {v.mix:g})" if self.class_names else None
        body = "\n".join([f"generator = {self.source}", *makers, f"z = {z}  # (1, {self.net.latent_dim})",
                          f"grid({picture or 'generate(generator, z)'}, scale=4)"])  # fmt: skip
        homes = {
            "generators": ("load_generator",),
            "directions": ("Probe", "activation_pca", "attribute_directions", "load_directions", "principal"),
            "latent": ("arithmetic", "draw_z", "generate", "generate_class", "lerp", "plane", "slerp", "truncate"),
            "plots": ("grid",),
        }
        used = {module: [n for n in names if re.search(rf"\b{n}\b(?=[(.])", body)] for module, names in homes.items()}
        lines = [f"from gan_helpers.{module} import {', '.join(names)}" for module, names in used.items() if names]
        first = ["import torch"] * ("torch." in body) + ["from gan_helpers import data"] * ("data.load" in body)
        return "\n".join([*first, *lines, "", body])

    # --- what changes it -------------------------------------------------------------------------------------------

    def change(self, **fields) -> None:
        """Set fields of the view. Changes of the same fields within a second, as of a drag, are undone together."""
        with self.lock:
            now, before = time.monotonic(), self.view
            self.view = replace(before, **fields)
            if self.view == before:
                self.view = before
                return
            if self.changed[0] != tuple(fields) or now - self.changed[1] > 1:
                self.past = [*self.past[-199:], before]
            self.changed = (tuple(fields), now)

    def move(self, name: str, amount: float) -> None:
        """Set how far the view is along one direction."""
        self.change(amounts={**self.view.amounts, name: amount})

    def undo(self) -> None:
        """The view before the last change."""
        with self.lock:
            if self.past:
                self.view, self.changed = self.past.pop(), ((), 0.0)

    def reset(self) -> None:
        """Directions, truncation and place as at the start; seed, keyframes, groups and class stay."""
        self.change(**FRESH, base="seeds", x=0.0, y=0.0, t=0.0, mix=0.0)

    def add_key(self) -> None:
        """Make the view a keyframe of the path."""
        self.change(keys=(*self.view.keys, self.point()))

    def pick(self, group: int) -> None:
        """Put the view into group A (0), B (1) or C (2) of the arithmetic."""
        groups = list(self.view.groups)
        groups[group] = (*groups[group], self.point())
        self.change(groups=tuple(groups))

    def along(self, t: float) -> None:
        """Go to a place on the path, 0 to 1. Keyframes carry their own directions and truncation: these start anew."""
        self.change(**({} if self.view.base == "path" else FRESH), base="path", t=t)

    def combine(self) -> None:
        """Go to A - B + C.

        Raises:
            CourseError: nothing was picked for A.
        """
        if not self.view.groups[0]:
            raise CourseError("Put an image into A first.")
        self.change(**FRESH, base="sum")

    # --- directions ------------------------------------------------------------------------------------------------

    @property
    def images(self) -> data.ImageSet:
        """The training images.

        Raises:
            CourseError: none were given, and none that are at hand are known.
        """
        if self._images is None:
            if self.data not in data.EMBEDDED:
                raise CourseError("The training images are not at hand: explore(generator, images=data.load(…)).")
            shape = self.generate(torch.zeros(1, self.net.latent_dim)).shape
            self._images = data.load(self.data, shape[-1], shape[1])
        return self._images

    def find(self, letter: str) -> list[str]:
        """The names of the directions of a set of SETS, worked out when it is first asked for.

        Raises:
            CourseError: attributes without images that have a table, or a damaged file of saved directions.
        """
        names = [name for name in self.directions if name.startswith(f"{letter}[")]
        if names:
            return names
        found: dict[str, Tensor] = {}
        if letter == "A":
            found = {f"A[{i}]": v for i, v in enumerate(directions.activation_pca(self.net))}
        elif letter == "T":
            fitted = directions.attribute_directions(self.net, directions.Probe.fit(self.images))
            found = {f'T["{name}"]': v for name, v in fitted.items()}
        elif (file := self.folder / "directions.safetensors").exists():
            kept = directions.load_directions(file, self.net.latent_dim)
            found = {f'S["{name}"]': v for name, v in kept.items()}
        self.directions |= found
        return list(found)

    def moved(self) -> list[tuple[str, str, str, float]]:
        """What the directions have changed in the view's image, by the answers of the set's network, most first.

        Returns:
            Question, answer without the directions, answer with them, and how far the probabilities of the answers
            have moved: 0 not at all, 1 entirely (half the sum of absolute differences).

        Raises:
            CourseError: no network that comes with the course answers questions about such images.
        """
        if self.judge is None:
            raise CourseError("No network that comes with the course answers several questions about such images.")
        start, psi = replace(self.view, amounts={}), self.view.psi
        if self.asked is None or self.asked[0] != start:
            image = self.generate(latent.truncate(self.base().z, psi))
            self.asked = (start, self.judge.answers(to_uint8(image)))
        found, words = [], {"False": "no", "True": "yes"}
        for name, after in self.judge.answers(to_uint8(self.image())).items():
            before, answers = self.asked[1][name], [words.get(a, a) for a in self.judge.heads[name]]
            way = (after - before).abs().sum().item() / 2
            if name != "class":  # of attributed sets it is one of the attributes
                found.append((name.replace("_", " "), answers[before.argmax()], answers[after.argmax()], way))
        return sorted(found, key=lambda row: -row[3])

    def save_direction(self, name: str) -> str:
        """Name the direction that the sliders make together, and keep it in `directions.safetensors`.

        Raises:
            CourseError: no slider is moved, or the name is taken or not made of letters, digits, - and spaces.
        """
        moved = sum(a * self.directions[n] for n, a in self.view.amounts.items())
        kept, key = self.find("S"), f'S["{name}"]'
        if not isinstance(moved, Tensor) or not moved.norm():
            raise CourseError("Move a slider first: what the sliders make together gets the name.")
        if not re.fullmatch(r"[\w -]{1,40}", name) or key in kept:
            raise CourseError(f"'{name}' is taken." if key in kept else "A name is letters, digits, spaces and -.")
        found = {n: self.directions[n] for n in kept} | {key: moved / moved.norm()}
        directions.save_directions(self.out("directions.safetensors"), {label(n): v for n, v in found.items()})
        self.directions |= found
        return key

    # --- what it leaves --------------------------------------------------------------------------------------------

    def out(self, name: str) -> Path:
        """A file in the folder, which is made."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CourseError(f"The folder {self.folder} cannot be made ({error.strerror}).") from None
        return self.folder / name

    def snapshot(self) -> Path:
        """The image in view as a PNG of at least 256 pixels, with the code that makes it in its text `code`."""
        image, number = self.image(), 1
        while (path := self.out(f"snapshot-{number:03d}.png")).exists():
            number += 1
        text = PngImagePlugin.PngInfo()
        text.add_itxt("code", self.code())
        picture = grid(image, scale=max(1, 256 // image.shape[-1]))
        save_atomically(path, lambda part: picture.save(part, pnginfo=text))
        return path

    def nearest(self, count: int = 6) -> tuple[Tensor, Tensor]:
        """The training images most like the one in view, the nearest first, and how far off they are.

        Both are averaged down to 16 x 16; distances are root mean squares of the difference, in grey levels of 255.

        Returns:
            Images uint8 (count, C, S, S) and distances (count,).
        """
        if self._pixels is None:
            stored = self.images.images
            parts = [torch.from_numpy(stored[i : i + 2048].copy()) for i in range(0, len(stored), 2048)]
            self._pixels = torch.cat([directions.Probe.pixels(part, 16) for part in parts])
        away = (self._pixels - directions.Probe.pixels(self.image(), 16)).square().mean(1).sqrt() * 127.5
        distances, rows = away.topk(min(count, len(away)), largest=False)
        return torch.from_numpy(self.images.images[rows.numpy()].copy()), distances


def label(name: str) -> str:
    """What a direction's slider is called: `P[0]` is 'direction 1', `T["glasses"]` is 'glasses'."""
    inside = name[2:-1]
    return inside.strip('"') if '"' in inside else f"{SETS[name[0]][0]} {int(inside) + 1}"
