"""The explorer: a generator's latent space in the hand. What it does is in `state`; here is what one sees and moves."""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import ipywidgets as widgets
import torch
from PIL import Image
from torch import nn

from .. import animate, latent
from ..data.images import ImageSet
from ..errors import CourseError
from ..page import FARTHEST, PSI
from ..plots import grid, to_hwc
from .pad import Pad
from .picture import Newest, Picture, png
from .state import REACH, SETS, Explorer, View, label

STEPS = 100  # of the path slider
SLIDERS = 8
AT_SEED = {"base": "seeds", "x": 0.0, "y": 0.0}
START = {"max_width": "100%", "align_self": "flex-start"}  # not stretched over the panel
STYLE = """<style>
.gan-explorer .widget-tab-contents, .gan-explorer .jupyter-widget-tab-contents { padding: 8px; overflow: hidden }
.gan-explorer .gan-say { min-height: 1.6em }
.gan-meter th { text-align: left; padding-right: 1em } .gan-meter td { padding-right: 1em }
</style>"""


def display(widget, on: bool) -> None:
    """Let a widget be seen, or not."""
    widget.layout.display = None if on else "none"


class ExplorerView:
    """The widgets around an `Explorer`.

    Attributes:
        box: what to show.   explorer: what is behind it.   controls: every widget by name.
        syncs: what to call so that each control stands where the view is.
    """

    def __init__(self, explorer: Explorer, size: int) -> None:
        self.explorer, self.controls, self.syncs = explorer, {}, []
        self.draw = Newest(lambda: explorer.view, self.show)
        self.picture, self.message = Picture(width=size, crisp=True), widgets.HTML(html.escape(explorer.note))
        self.picture.add_class("gan-view")
        self.message.add_class("gan-say")
        panels = {"Directions": Directions(self), "Seeds": self.seeds(), "Path": self.path()}
        panels["Arithmetic"] = self.arithmetic()
        if explorer.class_names:
            panels["Class"] = self.classes()
        panels |= {"Nearest": self.nearest(), "Code": self.code()}
        tabs = widgets.Tab(list(panels.values()), layout=widgets.Layout(flex="1 1 430px", max_width="640px"))
        for i, title in enumerate(panels):
            tabs.set_title(i, title)
        self.controls["tabs"] = tabs
        left = widgets.VBox([self.picture, *self.toolbar(), self.message])
        left.layout.width = f"{max(size, 310) + 10}px"
        self.box = widgets.VBox([widgets.HTML(STYLE), widgets.HBox([left, tabs], layout={"flex_flow": "row wrap"})])
        self.box.add_class("gan-explorer")
        self.sync()

    # --- what controls have in common ------------------------------------------------------------------------------

    def show(self, view: View) -> None:
        """Show a view's image; what else has moved comes after it, for a drag waits for nothing."""
        began = time.perf_counter()
        image, words = png(Image.fromarray(to_hwc(self.explorer.image())[0])), self.explorer.describe()
        ms = 1000 * (time.perf_counter() - began)
        self.picture.show(image, f"Generated image: {words}", f"{words} · {ms:.0f} ms")
        self.measure()

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

    def strip(self, name: str, points: Callable):
        """A row of small images of latents, drawn anew when there are others."""
        picture = Picture(crisp=True, layout=START)

        def draw(points: tuple) -> None:
            z = [point.value for point in points]
            tiles = grid(self.explorer.generate(torch.cat(z)), columns=min(8, len(z))) if z else b""
            picture.show(tiles, f"{name}: {len(z)} generated images")

        self.syncs.append(Newest(points, draw))
        self.controls[name] = picture
        return picture

    # --- panels ----------------------------------------------------------------------------------------------------

    def toolbar(self) -> list:
        e = self.explorer
        seed = widgets.BoundedIntText(min=0, max=2**32 - 1, description="seed", layout=widgets.Layout(width="190px"))
        new_seed = self.button("New seed", lambda: e.change(**AT_SEED, seed=(e.view.seed + 1) % 2**32), "the next seed")
        psi = widgets.FloatSlider(min=0, max=PSI, step=0.05, description="truncation")
        reset = self.button("Reset", e.reset, "directions, truncation and place as at the start")
        undo = self.button("Undo", e.undo, "take back the last change")
        keep = self.button("Snapshot", lambda: f"Saved {e.snapshot()}", "keep the image as a PNG")
        above, below = widgets.HBox([self.field("seed", seed, **AT_SEED), new_seed]), widgets.HBox([reset, undo, keep])
        return [above, self.field("psi", psi), below]

    def meter(self) -> list:
        """What else the sliders moved, by a network's answers about the image; nothing where no network fits."""
        if self.explorer.judge is None:
            return []
        tick = widgets.Checkbox(description="show what else moves", indent=False)
        said = widgets.HTML()
        said.add_class("gan-meter")
        self.controls["show what else moves"], self.controls["what else moved"] = tick, said
        tick.observe(lambda _: self.measure(), "value")
        return [tick, said]

    def measure(self) -> None:
        """Show what the sliders have changed besides, if asked to."""
        if "what else moved" not in self.controls:
            return
        said, wanted = self.controls["what else moved"], self.controls["show what else moves"].value
        display(said, wanted)
        if wanted:
            rows = self.explorer.moved() if any(self.explorer.view.amounts.values()) else []
            cells = [
                f"<tr><th>{html.escape(name)}</th><td>{html.escape(a if a == b else f'{a} → {b}')}</td>"
                f'<td><meter max="1" value="{way:.2f}">{way:.0%}</meter></td></tr>'
                for name, a, b, way in rows
                if way > 0.1
            ]
            said.value = f"<table>{''.join(cells)}</table>" if cells else "Nothing has moved: no answer has changed."

    def seeds(self):
        e = self.explorer
        hint = "Drag, or use the arrow keys. In the middle is the seed; to the right the next, below a hundred further."
        pad, reach = Pad(reach=REACH), {"min": -REACH, "max": REACH, "step": 0.01}
        x = self.field("x", widgets.FloatSlider(description="across", **reach), base="seeds")
        y = self.field("y", widgets.FloatSlider(description="down", **reach), base="seeds")

        def go(place: tuple[float, float]) -> None:
            e.change(base="seeds", x=place[0], y=place[1])

        self.bind("pad", pad, lambda: (e.view.x, e.view.y), go, "place")
        shown = Newest(lambda: (e.view.seed, e.view.label, e.view.other, e.view.mix), lambda _: pad.show(e.sheet()))
        self.syncs.append(shown)
        return widgets.VBox([widgets.HTML(hint), pad, x, y])

    def path(self):
        e = self.explorer
        slider = widgets.IntSlider(min=0, max=STEPS, description="place", readout=False)
        play = widgets.Play(min=0, max=STEPS, interval=60)
        widgets.jslink((play, "value"), (slider, "value"))
        self.bind("t", slider, lambda: round(e.view.t * STEPS), lambda v: e.along(v / STEPS))
        ways = widgets.ToggleButtons(options=[("arc", True), ("line", False)], style={"button_width": "70px"})
        loop = widgets.Checkbox(description="back to the first", indent=False)
        suffix = widgets.Dropdown(options=animate.SUFFIXES, layout=widgets.Layout(width="80px"))
        bar = widgets.IntProgress(max=2 * STEPS)
        display(bar, False)

        def export() -> str:
            if len(e.view.keys) < 2:
                raise CourseError("A path needs two keyframes.")
            keys = torch.cat([point.value for point in e.view.keys])
            way = latent.slerp if e.view.spherical else latent.lerp
            z, frames = latent.walk(keys, max(len(keys), 2 * STEPS), way, e.view.loop)[:, None], []
            display(bar, True)
            for frame in animate.film(e.generate, z):
                frames.append(frame)
                bar.value = len(frames)
            display(bar, False)
            path = animate.animate(frames, e.out(f"path{suffix.value}"), fps=25, hold=0 if e.view.loop else 1)
            return f"Saved {path} ({path.stat().st_size / 1e6:.1f} MB, {len(frames) / 25:.0f} s)"

        add = self.button("Add keyframe", e.add_key, "the view becomes the path's next stop")
        clear = self.button("Clear path", lambda: e.change(keys=(), base="seeds"))
        save = self.button("Export", export, "the whole path as an animation")
        rows = [widgets.HBox([add, clear]), self.strip("keyframes", lambda: e.view.keys), widgets.HBox([play, slider])]
        rows += [self.field("spherical", ways), self.field("loop", loop), widgets.HBox([suffix, save, bar])]
        return widgets.VBox(rows)

    def arithmetic(self):
        e = self.explorer
        hint = "Find an image in another tab, put it into a group; about three images a group work best."
        rows = [widgets.HTML(hint)]
        for i, (letter, what) in enumerate({"A": "start from", "B": "take away", "C": "add"}.items()):
            name = widgets.HTML(f"<b>{letter}</b> {what}", layout={"width": "110px"})
            add = self.button(f"Into {letter}", partial(e.pick, i), f"put the view into group {letter}")
            rows += [widgets.HBox([name, add]), self.strip(f"group {letter}", lambda i=i: e.view.groups[i])]
        clear = self.button("Clear groups", lambda: e.change(groups=((), (), ()), base="seeds"))
        return widgets.VBox([*rows, widgets.HBox([self.button("Show A − B + C", e.combine), clear])])

    def classes(self):
        options = [(name, i) for i, name in enumerate(self.explorer.class_names)]
        rows = [self.field("label", widgets.Dropdown(options=options, description="class"))]
        if self.explorer.mixes:
            rows.append(self.field("other", widgets.Dropdown(options=options, description="mix with")))
            rows.append(self.field("mix", widgets.FloatSlider(min=0, max=1, step=0.02, description="how much")))
        else:
            rows.append(widgets.HTML("Each class has a net of its own here: two nets cannot be mixed."))
        return widgets.VBox(rows)

    def nearest(self):
        found = self.controls["neighbours"] = Picture(crisp=True, layout=START)

        def look() -> None:
            images, distances = self.explorer.nearest()
            words = "Off by " + ", ".join(f"{d:.0f}" for d in distances) + " grey levels of 255, at 16 x 16."
            found.show(grid(images, columns=len(images)), "The nearest training images, nearest first", words)

        hint = widgets.HTML("Has the generator copied? The training images nearest to the one in view:")
        return widgets.VBox([hint, self.button("Find nearest", look), found])

    def code(self):
        text = self.controls["code"] = widgets.Textarea(layout=widgets.Layout(width="100%", height="220px"))

        def write() -> None:
            text.value = self.explorer.code()

        hint = widgets.HTML("The cell that makes the image in view: select all, copy.")
        return widgets.VBox([hint, self.button("Write the code", write), text])


class Directions(widgets.VBox):
    """The panel of directions: a choice of their set, and sliders along eight of it.

    Attributes:
        shown: the directions on the sliders, by their names in the code.
    """

    def __init__(self, view: ExplorerView) -> None:
        self.explorer, self.shown = view.explorer, []
        sets = [(title, letter) for letter, (title, _) in SETS.items()]
        self.which = widgets.Dropdown(options=sets, description="found in")
        self.start = widgets.IntSlider(min=0, max=0, description="from")
        self.hint = widgets.HTML()
        look = {"layout": {"width": "98%"}, "style": {"description_width": "110px"}, "readout_format": ".1f"}
        self.sliders = [widgets.FloatSlider(min=-FARTHEST, max=FARTHEST, step=0.1, **look) for _ in range(SLIDERS)]
        for i, slider in enumerate(self.sliders):
            view.bind(f"direction {i + 1}", slider, partial(self.amount, i), partial(self.move, i))
        self.which.observe(self.choose, "value")
        self.start.observe(self.choose, "value")
        self.name = widgets.Text(placeholder="a name, for example: older", description="name")
        view.controls |= {"directions": self.which, "name": self.name}
        save = view.button("Save direction", self.save, "what the sliders make together, under this name")
        self.choose()
        self.hint.value = "Strongest first. The step is one standard deviation of z; ±3 is far."
        rows = [self.which, self.hint, self.start, *self.sliders, widgets.HBox([self.name, save]), *view.meter()]
        super().__init__(rows)

    def amount(self, i: int) -> float:
        """How far the view is along the direction of slider i."""
        return self.explorer.view.amounts.get(self.shown[i], 0.0) if i < len(self.shown) else 0.0

    def move(self, i: int, amount: float) -> None:
        """Slider i was moved."""
        self.explorer.move(self.shown[i], amount)

    def choose(self, change=None) -> None:
        """Put directions of the chosen set on the sliders, from the chosen one on."""
        self.hint.value = "Looking …"
        try:
            names = self.explorer.find(self.which.value)
            self.hint.value = "" if names else "None saved yet: move sliders, type a name, press Save direction."
        except CourseError as error:
            names, self.hint.value = [], f"<b>{html.escape(str(error))}</b>"
        self.start.max = max(0, len(names) - SLIDERS)
        display(self.start, self.start.max > 0)
        self.shown = names[self.start.value : self.start.value + SLIDERS]
        for i, slider in enumerate(self.sliders):
            display(slider, i < len(self.shown))
            slider.description = label(self.shown[i]) if i < len(self.shown) else ""
            slider.value = self.amount(i)

    def save(self) -> str:
        """Keep what the sliders make together under the name that was typed."""
        key = self.explorer.save_direction(self.name.value.strip())
        self.which.value = "S"
        self.choose()
        return f"Saved {label(key)} in {self.explorer.saved}"


def explore(
    source: nn.Module | str | Path, images: ImageSet | None = None, folder: str | Path = "explored", size: int = 320
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
