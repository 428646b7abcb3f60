"""What the explorer knows and does, without widgets: where it stands, how it got there, and the code that says so."""

from __future__ import annotations

import copy
import json
import math
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image, PngImagePlugin
from torch import Tensor, nn

from .. import data, environment, features, latent
from ..directions import Probe, activation_pca, attribute_directions, load_directions, principal, save_directions
from ..errors import CourseError
from ..files import save_atomically
from ..generators import class_names, load_generator
from ..models.blocks import OnePerClass
from ..plots import grid, to_uint8
from .expression import Expression, call, import_lines

REACH = 2  # the pad shows the seeds from -2 to 2 both ways
FRESH = {"amounts": {}, "psi": 1.0}
NONE = Expression({}, "{}")  # no directions
SETS = {  # of directions, by their letter in the code: what the sliders are called, and what finds them
    "P": ("first layer", lambda e: call(principal, e.generator)),
    "A": ("activations", lambda e: call(activation_pca, e.generator)),
    "T": ("attributes", lambda e: call(attribute_directions, e.generator, call(Probe.fit, e.images))),
    "S": ("saved", lambda e: call(load_directions, e.saved.as_posix(), e.net.latent_dim) if e.saved.exists() else NONE),
}


def key(letter: str, name: int | str) -> str:
    """A direction in the code: `P[0]`, `T["glasses"]`."""
    return f"{letter}[{json.dumps(name, ensure_ascii=False)}]"


def label(key: str) -> str:
    """What a direction's slider is called: `P[0]` is 'first layer 1', `T["glasses"]` is 'glasses'."""
    name = json.loads(key[2:-1])
    return name if isinstance(name, str) else f"{SETS[key[0]][0]} {name + 1}"


@dataclass(frozen=True)
class View:
    """One state of the explorer; every change makes a new one, so that undo is a list.

    Attributes:
        base: where z starts: on the seed plane ("seeds"), on the path of `keys` ("path") or at A - B + C ("sum").
        seed, x, y: the middle of the seed plane, and the place on it, from -2 to 2.
        amounts: how far along which direction, by its name in the code, for example {"P[0]": 1.5}.
        psi: truncation: 1 leaves z as it is, see `latent.truncate`.
        keys, t, spherical, loop: the path's keyframes, the place on it (0 to 1), arc or line, and whether it returns.
        groups: the picked latents A, B and C.
        label, other, mix: the class of a conditional generator, and how far it is mixed into another.
    """

    base: str = "seeds"
    seed: int = 0
    x: float = 0.0
    y: float = 0.0
    amounts: Mapping[str, float] = field(default_factory=dict)
    psi: float = 1.0
    keys: tuple[Expression, ...] = ()
    t: float = 0.0
    spherical: bool = True
    loop: bool = True
    groups: tuple[tuple[Expression, ...], ...] = ((), (), ())
    label: int = 0
    other: int = 0
    mix: float = 0.0


class Explorer:
    """A generator in the hand. The widgets only call this; it can be used and tested without them.

    Attributes:
        view: where it stands.   past: the views before.
        note: what this explorer has to do without, or "".

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
        if isinstance(source, nn.Module):
            self.source = Expression(copy.deepcopy(source), "...  # the generator that you explored")
        else:
            self.source = call(load_generator, str(source))
        self.net = self.source.value.cpu().float().eval().requires_grad_(False)
        self.generator = Expression(self.net, "generator")
        self.class_names, self.mixes = class_names(self.net), not isinstance(self.net, OnePerClass)
        self.given, self.folder = images, environment.at_home(folder)
        self.saved = self.folder / "directions.safetensors"
        self.directions: dict[str, Tensor] = {}  # (latent_dim,) each, by their names in the code
        self.found: dict[str, Expression] = {}  # by the letters of SETS
        self.find("P")
        self.data = images.name if images is not None else getattr(getattr(self.net, "recipe", None), "data", "")
        self.judge, self.asked, self.note = None, None, ""
        try:
            self.judge = features.questioner(self.data)
        except CourseError as error:
            self.note = f"What else the sliders move cannot be told. {error}"
        self.view, self.past = View(), []
        self.changed, self.lock = ((), 0.0), threading.RLock()

    # --- where it stands -------------------------------------------------------------------------------------------

    def base(self) -> Expression:
        """The latent (1, latent_dim) that the directions start from."""
        v, dim = self.view, self.net.latent_dim
        if v.base == "path" and len(v.keys) > 1:
            at = v.t * (len(v.keys) if v.loop else len(v.keys) - 1)
            leg = min(int(at), len(v.keys) - (1 if v.loop else 2))
            way = latent.slerp if v.spherical else latent.lerp
            return call(way, v.keys[leg], v.keys[(leg + 1) % len(v.keys)], round(at - leg, 4))
        if v.base == "sum" and v.groups[0]:
            a, b, c = ([call(torch.cat, [*group])] if group else [] for group in v.groups)
            return call(latent.arithmetic, a + c, b)
        if v.x or v.y:
            return call(latent.plane, v.x, v.y, dim, v.seed)
        return call(latent.draw_z, 1, dim, v.seed)

    def point(self) -> Expression:
        """The latent (1, latent_dim) in view: the base, moved along the directions, truncated."""
        point = self.base()
        for name, amount in self.view.amounts.items():
            if amount:
                steps = f"{abs(amount):g}"
                z = point.value + math.copysign(float(steps), amount) * self.directions[name]
                code = f"{point.code} {'-' if amount < 0 else '+'} {steps} * {name}"
                point = Expression(z, code, point.uses, point.sets | {name[0]})
        return point if self.view.psi == 1 else call(latent.truncate, point, self.view.psi)

    def drawn(self, z: Expression) -> Expression:
        """Images (N, C, S, S) in [-1, 1] of latents (N, latent_dim), of the class in view where there are classes."""
        if self.class_names:
            return call(latent.generate_class, self.generator, z, self.view.label, self.view.other, self.view.mix)
        return call(latent.generate, self.generator, z)

    def generate(self, z: Tensor) -> Tensor:
        """Images (N, C, S, S) in [-1, 1] of z (N, latent_dim), of the class in view where there are classes."""
        return self.drawn(Expression(z, "z")).value

    def image(self) -> Tensor:
        """The image in view: (1, C, S, S) in [-1, 1]."""
        return self.drawn(self.point()).value

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
        point = self.point()
        images = self.drawn(replace(point, code="z"))
        named = {"generator": self.source} | {letter: self.found[letter] for letter in SETS if letter in point.sets}
        uses = images.uses.union({grid}, *(expression.uses for expression in named.values()))
        body = [f"{name} = {expression.code}" for name, expression in named.items()]
        body += [f"z = {point.code}  # (1, {self.net.latent_dim})", f"plots.grid({images.code}, scale=4)"]
        return "\n".join([*import_lines(uses), "", *body])

    # --- what changes it -------------------------------------------------------------------------------------------

    def change(self, **fields) -> None:
        """Set fields of the view. Changes of the same fields within a second, as of a drag, are undone together."""
        with self.lock:
            now, before, after = time.monotonic(), self.view, replace(self.view, **fields)
            if after == before:
                return
            if self.changed[0] != tuple(fields) or now - self.changed[1] > 1:
                self.past = [*self.past[-199:], before]
            self.view, self.changed = after, (tuple(fields), now)

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

    @cached_property
    def images(self) -> Expression:
        """The training images.

        Raises:
            CourseError: none were given, and none that are at hand are known.
        """
        if self.given is None and self.data not in data.EMBEDDED:
            raise CourseError("The training images are not at hand: explore(generator, images=data.load(…)).")
        _, channels, size, _ = (self.image() if self.given is None else self.given.images).shape
        return call(data.load, self.data, size, channels, value=self.given)

    def find(self, letter: str) -> list[str]:
        """The names of the directions of a set of SETS, worked out when it is first asked for.

        Raises:
            CourseError: attributes without images that have a table, or a damaged file of saved directions.
        """
        if not any(name[0] == letter for name in self.directions):
            self.found[letter] = SETS[letter][1](self)
            found = self.found[letter].value  # (latent_dim,) by name, or (K, latent_dim)
            found = found if isinstance(found, dict) else dict(enumerate(found))
            self.directions |= {key(letter, name): direction for name, direction in found.items()}
        return [name for name in self.directions if name[0] == letter]

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
        start = replace(self.view, amounts={})
        if self.asked is None or self.asked[0] != start:
            image = self.generate(latent.truncate(self.base().value, start.psi))
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
        moved = sum(amount * self.directions[n] for n, amount in self.view.amounts.items())
        kept = {label(n): self.directions[n] for n in self.find("S")}
        if not isinstance(moved, Tensor) or not moved.norm():
            raise CourseError("Move a slider first: what the sliders make together gets the name.")
        if not re.fullmatch(r"[\w -]{1,40}", name) or name in kept:
            raise CourseError(f"'{name}' is taken." if name in kept else "A name is letters, digits, spaces and -.")
        self.directions[key("S", name)] = moved / moved.norm()
        save_directions(self.out(self.saved.name), kept | {name: moved / moved.norm()})
        self.found["S"] = SETS["S"][1](self)
        return key("S", name)

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

    @cached_property
    def pixels(self) -> Tensor:
        """The training images, averaged down to 16 x 16: one in each row."""
        stored = self.images.value.images
        parts = (torch.from_numpy(stored[i : i + 2048].copy()) for i in range(0, len(stored), 2048))
        return torch.cat([Probe.pixels(part, 16) for part in parts])

    def nearest(self, count: int = 6) -> tuple[Tensor, Tensor]:
        """The training images most like the one in view, the nearest first, and how far off they are.

        Both are averaged down to 16 x 16; distances are root mean squares of the difference, in grey levels of 255.

        Returns:
            Images uint8 (count, C, S, S) and distances (count,).
        """
        away = (self.pixels - Probe.pixels(self.image(), 16)).square().mean(1).sqrt() * 127.5
        distances, rows = away.topk(min(count, len(away)), largest=False)
        return torch.from_numpy(self.images.value.images[rows.numpy()].copy()), distances
