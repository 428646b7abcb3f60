"""The explorer: a generator's latent space in the hand. What it does is in `state`; here is what one sees and moves."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets
import torch
from PIL import Image
from torch import nn

from .. import animate, latent
from ..data.images import ImageSet
from ..errors import CourseError
from ..plots import grid, to_hwc
from .pad import Pad
from .picture import Picture, png
from .state import REACH, SETS, Explorer, label

STEPS = 100  # of the path slider
SLIDERS = 8
START = {"max_width": "100%", "align_self": "flex-start"}  # not stretched over the panel
WIDE = {"description_width": "110px"}
STYLE = """<style>
.gan-explorer .widget-tab-contents, .gan-explorer .jupyter-widget-tab-contents { padding: 8px; overflow: hidden }
.gan-explorer .gan-say { min-height: 1.6em }
.gan-meter th { text-align: left; padding-right: 1em } .gan-meter td { padding-right: 1em }
</style>"""


class ExplorerView:
    """The widgets around an `Explorer`: `box` to show, `explorer` behind it, every control by name in `controls`."""

    def __init__(self, explorer: Explorer, size: int) -> None:
        self.explorer, self.controls, self.syncs = explorer, {}, []
        self.drawn, self.drawing = None, threading.Lock()
        self.picture, self.message = Picture(width=size, crisp=True), widgets.HTML()
        self.picture.add_class("gan-view")
        self.message.add_class("gan-say")
        panels = {
            "Directions": self.directions(),
            "Seeds": self.seeds(),
            "Path": self.path(),
            "Arithmetic": self.arithmetic(),
            **({"Class": self.classes()} if explorer.class_names else {}),
            "Nearest": self.nearest(),
            "Code": self.code(),
        }
        tabs = widgets.Tab(list(panels.values()), layout=widgets.Layout(flex="1 1 430px", max_width="640px"))
        for i, title in enumerate(panels):
            tabs.set_title(i, title)
        self.controls["tabs"] = tabs
        left = widgets.VBox([self.picture, *self.toolbar(), self.message])
        left.layout.width = f"{max(size, 310) + 10}px"
        self.box = widgets.VBox([widgets.HTML(STYLE), widgets.HBox([left, tabs], layout={"flex_flow": "row wrap"})])
        self.box.add_class("gan-explorer")
        self.sync()

    # --- drawing ---------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Show the newest view. Of callbacks side by side one draws for all, and views passed over are never drawn."""
        while self.explorer.view is not self.drawn and self.drawing.acquire(blocking=False):
            try:
                self.drawn, began = self.explorer.view, time.perf_counter()
                image, words = png(Image.fromarray(to_hwc(self.explorer.image())[0])), self.explorer.describe()
                ms = 1000 * (time.perf_counter() - began)
                self.picture.show(image, f"Generated image: {words}", f"{words} · {ms:.0f} ms")
                self.measure()
            finally:
                self.drawing.release()

    def measure(self) -> None:
        """Show what the sliders have changed besides, if asked to: after the picture, which waits for nothing."""
        meter = self.controls.get("what else moved")
        if meter is None or not self.controls["show what else moves"].value:
            return
        rows = (
            [row for row in self.explorer.moved() if row[3] > 0.1] if any(self.explorer.view.amounts.values()) else []
        )
        cells = (
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(a if a == b else f'{a} → {b}')}</td>"
            f'<td><meter max="1" value="{way:.2f}">{way:.0%}</meter></td></tr>'
            for name, a, b, way in rows
        )
        meter.value = f"<table>{''.join(cells)}</table>" if rows else "Nothing has moved: no answer has changed."

    def sync(self) -> None:
        """Draw, then move every control to where the view is."""
        self.draw()
        for follow in self.syncs:
            follow()

    def bind(self, name: str, widget, read: Callable, write: Callable, trait: str = "value"):
        """Tie a control to the view: `read()` gives its value, `write(value)` changes the view."""

        def moved(change) -> None:
            if change.new != read():  # not what sync() has just set
                write(change.new)
                self.sync()

        widget.observe(moved, trait)
        self.syncs.append(lambda: setattr(widget, trait, read()))
        self.controls[name] = widget
        return widget

    def field(self, name: str, widget, **also):
        """Tie a control to the view's field of the same name; moving it sets the fields `also`, too."""
        return self.bind(
            name, widget, lambda: getattr(self.explorer.view, name), lambda v: self.explorer.change(**{name: v}, **also)
        )

    def button(self, name: str, act: Callable, tip: str = ""):
        """A button that does something to the explorer; what goes wrong is said below the picture."""
        button = widgets.Button(description=name, tooltip=tip or name, layout=START | {"width": "auto"})

        def press(_) -> None:
            self.message.value = ""
            try:
                said = act()
                self.sync()
                self.message.value = html.escape(str(said)) if said else ""
            except CourseError as error:
                self.message.value = f"<b>{html.escape(str(error))}</b>"

        button.on_click(press)
        self.controls[name] = button
        return button

    # --- panels ----------------------------------------------------------------------------------------------------

    def toolbar(self) -> list:
        e = self.explorer
        seed = widgets.BoundedIntText(min=0, max=2**32 - 1, description="seed", layout=widgets.Layout(width="190px"))
        new_seed = self.button("New seed", lambda: e.change(**AT_SEED, seed=(e.view.seed + 1) % 2**32), "the next seed")
        psi = widgets.FloatSlider(min=0, max=1.5, step=0.05, description="truncation")
        return [
            widgets.HBox([self.field("seed", seed, **AT_SEED), new_seed]),
            self.field("psi", psi),
            widgets.HBox(
                [
                    self.button("Reset", e.reset, "directions, truncation and place as at the start"),
                    self.button("Undo", e.undo, "take back the last change"),
                    self.button("Snapshot", lambda: f"Saved {e.snapshot()}", "keep the image as a PNG"),
                ]
            ),
        ]

    def directions(self):
        e, shown = self.explorer, []
        which = widgets.Dropdown(options=[(title, k) for k, (title, _) in SETS.items()], description="found in")
        start = widgets.IntSlider(min=0, max=0, description="from", layout=widgets.Layout(display="none"))
        sliders = [
            widgets.FloatSlider(min=-6, max=6, step=0.1, readout_format=".1f", layout={"width": "98%"}, style=WIDE)
            for _ in range(SLIDERS)
        ]
        hint = widgets.HTML("Strongest first. The step is one standard deviation of z; ±3 is far.")

        def amount(i: int) -> float:
            return e.view.amounts.get(shown[i], 0.0) if i < len(shown) else 0.0

        def choose(change=None) -> None:
            hint.value = "Looking …"
            try:
                names = e.find(which.value)
                hint.value = "" if names else "None saved yet: move sliders, type a name, press Save direction."
            except CourseError as error:
                names, hint.value = [], f"<b>{html.escape(str(error))}</b>"
            start.max = max(0, len(names) - SLIDERS)
            start.layout.display = None if start.max else "none"
            shown[:] = names[start.value : start.value + SLIDERS]
            for i, slider in enumerate(sliders):
                slider.layout.display = None if i < len(shown) else "none"
                slider.description = label(shown[i]) if i < len(shown) else ""
                slider.value = amount(i)

        for i, slider in enumerate(sliders):
            self.bind(f"direction {i + 1}", slider, lambda i=i: amount(i), lambda v, i=i: e.move(shown[i], v))
        which.observe(choose, "value")
        start.observe(choose, "value")
        self.controls["directions"] = which
        name = self.controls["name"] = widgets.Text(placeholder="a name, for example: older", description="name")

        def save() -> str:
            key = e.save_direction(name.value.strip())
            which.value = "S"
            choose()
            return f"Saved {label(key)} in {e.folder / 'directions.safetensors'}"

        keep = self.button("Save direction", save, "what the sliders make together, under this name")
        choose()
        return widgets.VBox([which, hint, start, *sliders, widgets.HBox([name, keep]), *self.meter()])

    def meter(self) -> list:
        """What else the sliders moved, by a network's answers about the image; nothing where no network fits."""
        if self.explorer.judge is None:
            return []
        tick = widgets.Checkbox(description="show what else moves", indent=False)
        said = widgets.HTML()
        said.add_class("gan-meter")
        self.controls["show what else moves"], self.controls["what else moved"] = tick, said

        def switch(change) -> None:
            said.layout.display = None if tick.value else "none"
            self.measure()

        tick.observe(switch, "value")
        return [tick, said]

    def seeds(self):
        e = self.explorer
        pad = self.bind("pad", Pad(reach=REACH), lambda: (e.view.x, e.view.y),
                        lambda at: e.change(base="seeds", x=at[0], y=at[1]), "place")  # fmt: skip
        tiles: list = [None]

        def paint() -> None:
            new = (e.view.seed, e.view.label, e.view.other, e.view.mix)
            if tiles[0] != new:
                tiles[0] = new
                pad.show(e.sheet())

        self.syncs.append(paint)
        across = widgets.FloatSlider(min=-REACH, max=REACH, step=0.01, description="across")
        down = widgets.FloatSlider(min=-REACH, max=REACH, step=0.01, description="down")
        hint = widgets.HTML("Drag, or use the arrow keys. In the middle is the seed; one to the right the next, "
                            "one down a hundred further.")  # fmt: skip
        return widgets.VBox([hint, pad, self.field("x", across, base="seeds"), self.field("y", down, base="seeds")])

    def path(self):
        e = self.explorer
        slider = widgets.IntSlider(min=0, max=STEPS, description="place", readout=False)
        play = widgets.Play(min=0, max=STEPS, interval=60)
        widgets.jslink((play, "value"), (slider, "value"))
        self.bind("t", slider, lambda: round(e.view.t * STEPS), lambda v: e.along(v / STEPS))
        ways = widgets.ToggleButtons(options=[("arc", True), ("line", False)], style={"button_width": "70px"})
        loop = widgets.Checkbox(description="back to the first", indent=False)
        kind = widgets.Dropdown(options=animate.SUFFIXES, layout=widgets.Layout(width="80px"))
        bar = widgets.IntProgress(max=2 * STEPS, layout=widgets.Layout(visibility="hidden"))
        strip = self.strip("keyframes", lambda: e.view.keys)

        def export() -> str:
            if len(e.view.keys) < 2:
                raise CourseError("A path needs two keyframes.")
            keys, bar.layout.visibility = torch.cat([p.z for p in e.view.keys]), "visible"
            way = latent.slerp if e.view.spherical else latent.lerp
            z, frames = latent.walk(keys, max(len(keys), 2 * STEPS), way, e.view.loop)[:, None], []
            for frame in animate.film(e.generate, z):
                frames.append(frame)
                bar.value = len(frames)
            path = animate.animate(frames, e.out(f"path{kind.value}"), fps=25, hold=0 if e.view.loop else 1)
            bar.layout.visibility = "hidden"
            return f"Saved {path} ({path.stat().st_size / 1e6:.1f} MB, {len(frames) / 25:.0f} s)"

        first = widgets.HBox(
            [
                self.button("Add keyframe", e.add_key, "the view becomes the path's next stop"),
                self.button("Clear path", lambda: e.change(keys=(), base="seeds")),
            ]
        )
        last = widgets.HBox([kind, self.button("Export", export, "the whole path as an animation"), bar])
        return widgets.VBox(
            [first, strip, widgets.HBox([play, slider]), self.field("spherical", ways), self.field("loop", loop), last]
        )

    def strip(self, name: str, points: Callable):
        """A row of small images of points, drawn anew when there are other points."""
        image, drawn = Picture(crisp=True, layout=START), [()]

        def follow() -> None:
            if points() != drawn[0]:
                drawn[0] = points()
                z = [p.z for p in drawn[0]]
                tiles = grid(self.explorer.generate(torch.cat(z)), columns=min(8, len(z))) if z else b""
                image.show(tiles, f"{name}: {len(z)} generated images")

        self.syncs.append(follow)
        self.controls[name] = image
        return image

    def arithmetic(self):
        e = self.explorer
        rows = [
            widgets.HTML("Find an image in another tab, put it into a group; about three images a group work best.")
        ]
        for i, (letter, what) in enumerate((("A", "start from"), ("B", "take away"), ("C", "add"))):
            add = self.button(f"Into {letter}", lambda i=i: e.pick(i), f"put the view into group {letter}")
            strip = self.strip(f"group {letter}", lambda i=i: e.view.groups[i])
            rows += [widgets.HBox([widgets.HTML(f"<b>{letter}</b> {what}", layout={"width": "110px"}), add]), strip]

        clear = self.button("Clear groups", lambda: e.change(groups=((), (), ()), base="seeds"))
        return widgets.VBox([*rows, widgets.HBox([self.button("Show A − B + C", e.combine), clear])])

    def classes(self):
        options = [(name, i) for i, name in enumerate(self.explorer.class_names)]
        rows = [self.field("label", widgets.Dropdown(options=options, description="class"))]
        if not self.explorer.mixes:
            return widgets.VBox(
                [*rows, widgets.HTML("Each class has a net of its own here: two nets cannot be mixed.")]
            )
        other = self.field("other", widgets.Dropdown(options=options, description="mix with"))
        mix = self.field("mix", widgets.FloatSlider(min=0, max=1, step=0.02, description="how much"))
        return widgets.VBox([*rows, other, mix])

    def nearest(self):
        found = Picture(crisp=True, layout=START)
        self.controls["neighbours"] = found

        def look() -> None:
            images, distances = self.explorer.nearest()
            words = "Off by " + ", ".join(f"{d:.0f}" for d in distances) + " grey levels of 255, at 16 x 16."
            found.show(grid(images, columns=len(images)), "The nearest training images, nearest first", words)

        hint = widgets.HTML("Has the generator copied? The training images nearest to the one in view:")
        return widgets.VBox([hint, self.button("Find nearest", look), found])

    def code(self):
        text = widgets.Textarea(layout=widgets.Layout(width="100%", height="220px"), disabled=False)
        self.controls["code"] = text

        def write() -> None:
            text.value = self.explorer.code()

        hint = widgets.HTML("The cell that makes the image in view: select all, copy.")
        return widgets.VBox([hint, self.button("Write the code", write), text])


AT_SEED = {"base": "seeds", "x": 0.0, "y": 0.0}


def explore(
    source: nn.Module | str | Path,
    images: ImageSet | None = None,
    folder: str | Path = "explored",
    size: int = 320,
) -> widgets.VBox:
    """The latent explorer: directions, seed plane, path, arithmetic, classes, nearest training images, code.

    Args:
        source: a generator, or a shipped name, run folder or checkpoint.
        images: its training images, for attributes and nearest neighbours; not needed where they are embedded.
        folder: where snapshots, animations and saved directions go.
        size: how large the image is shown, in pixels of the page.

    Returns:
        A box to show, with `explorer` (the state, usable from code) and `controls` (every widget by name).

    Raises:
        CourseError: nothing there, or a net that is no generator.
    """
    view = ExplorerView(Explorer(source, images, folder), size)
    view.box.view, view.box.explorer, view.box.controls = view, view.explorer, view.controls
    return view.box
