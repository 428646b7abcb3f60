"""A laboratory for GANs in the plane, live: choose, play, slow down, scrub back. And a slider through pictures.

Playing is driven by a clock in the browser, for callbacks reach the kernel between cells only, and Colab shows nothing
that a background thread updates.
"""

from __future__ import annotations

import html
import threading
import time
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import traitlets
from PIL import Image, ImageColor, ImageDraw

from ...animate import animate
from ...errors import CourseError
from ...plots import BLUE, ORANGE, grid
from ...widgets.picture import PICTURE_JS, Newest, Picture
from ..toy import LOSSES, SHAPES, VIEW, Frame, Loss, Shape, ToyGAN, drawing

SIZE, BANDS = 400, 20  # pixels of a picture's side; colours of D's field
KEEP = 600  # frames of history; beyond, every second one is dropped
STOPS = 200  # of the time slider
FAKE_AREA, REAL_AREA = "#E69F00", "#56B4E9"  # paler colours of Okabe & Ito for D's field
REAL, FAKE, DARK, WHITE = range(BANDS + 1, BANDS + 5)  # places in the palette, after the field's


def make_palette() -> list[int]:
    """D's field from orange by way of white to blue, then the colours of points and lines: 3 numbers each."""
    t = np.linspace(-1, 1, BANDS + 1)[:, None]
    ends = np.where(t < 0, ImageColor.getrgb(FAKE_AREA), ImageColor.getrgb(REAL_AREA))
    field = (255 + 0.75 * np.abs(t) * (ends - 255)).round().astype(int)
    return [
        *field.ravel().tolist(),
        *(c for name in (BLUE, ORANGE, "#222222", "white") for c in ImageColor.getrgb(name)),
    ]


PALETTE = make_palette()


def shade(field: np.ndarray, loss: Loss) -> np.ndarray:
    """D's logits → [-1, 1], fake to real; for the logarithmic losses that is 2D - 1."""
    middle = field.mean() if loss.middle is None else loss.middle
    return np.tanh((field - middle) / (loss.scale or field.std() + 1e-9))


def canvas(tint: np.ndarray) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """A picture whose background is `tint` (rows, columns) in [-1, 1], enlarged; a dark line where it changes sign."""
    big = np.asarray(Image.fromarray(tint.astype(np.float32)).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    index = ((big + 1) * (BANDS / 2) + 0.5).astype(np.uint8)
    real = big > 0
    index[:-1, :-1][(real[1:, :-1] != real[:-1, :-1]) | (real[:-1, 1:] != real[:-1, :-1])] = DARK
    image = Image.fromarray(index).convert("P")
    image.putpalette(PALETTE)
    return image, ImageDraw.Draw(image)


def to_pixels(points: np.ndarray) -> np.ndarray:
    """Points (N, 2) of the plane → pixels (N, 2), y downwards."""
    return (points * (1, -1) + VIEW) * (SIZE / (2 * VIEW))


def arrows(draw: ImageDraw.ImageDraw, starts: np.ndarray, pull: np.ndarray, longest: float = 40.0) -> None:
    """Strokes in pixels from points along `pull`: length in proportion while short, never beyond `longest`."""
    length = np.linalg.norm(pull, axis=1, keepdims=True) + 1e-12
    ends = starts + pull / length * longest * np.tanh(length)
    for a, b in zip(starts.tolist(), ends.tolist(), strict=True):
        draw.line([*a, *b], fill=DARK)


def render(gan: ToyGAN, frame: Frame) -> Image.Image:
    """A frame of a GAN as a picture with a palette, SIZE pixels wide and high.

    In the plane: D's field, real points (blue squares), generated ones (orange discs), where G's loss pushes them.
    On the line: D as a curve, the data's density (blue), a histogram of the generated points (orange).
    """
    tint = shade(frame.field, gan.loss)
    if tint.ndim == 1:
        image, draw = draw_line(frame, tint, gan.shape)
    else:
        image, draw = canvas(tint)
        for x, y in to_pixels(gan.real.numpy()).tolist():
            draw.rectangle([x - 2, y - 2, x + 2, y + 2], fill=REAL, outline=WHITE)
        fake = to_pixels(frame.fake)
        arrows(draw, fake[::4], frame.pull[::4] * (1, -1))
        for x, y in fake.tolist():
            draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=FAKE, outline=WHITE)
    draw.text((6, 4), f"step {frame.step:,}", fill=DARK, font_size=16)
    return image


def draw_line(frame: Frame, tint: np.ndarray, shape: Shape) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """The picture of a GAN on the line."""
    image, draw = canvas(np.repeat(tint[None], 2, 0))
    base, tall, edges = SIZE - 40, SIZE - 80, np.linspace(-VIEW, VIEW, 61)
    x, scale = (edges[1:] + edges[:-1]) / 2, SIZE / (2 * VIEW)
    peak = 1 / (shape.spread * (2 * np.pi) ** 0.5)  # a density of 1.5 peaks fills the picture
    data = np.exp(-0.5 * ((x - shape.points.numpy()) / shape.spread) ** 2).mean(0) / 1.5
    fake = np.histogram(frame.fake, edges)[0] / len(frame.fake) / (x[1] - x[0]) / peak / 1.5
    d = np.interp(x, (np.arange(len(tint)) + 0.5) * (2 * VIEW / len(tint)) - VIEW, (tint + 1) / 2)
    across = (x + VIEW) * scale
    for left, high in zip(across, fake.clip(max=1), strict=True):
        draw.rectangle([left - 3, base - high * tall, left + 3, base], fill=FAKE, outline=WHITE)
    for heights, colour, width in ((data, REAL, 3), (d, DARK, 2)):
        draw.line(list(zip(across, base - heights * tall, strict=True)), fill=colour, width=width)
    draw.line([0, base, SIZE, base], fill=DARK)
    starts = np.stack([(frame.fake[::4, 0] + VIEW) * scale, np.linspace(base + 6, SIZE - 4, 64)], 1)
    arrows(draw, starts, np.pad(frame.pull[::4], ((0, 0), (0, 1))))
    return image, draw


def filmstrip(gan: ToyGAN, count: int = 5, size: int = 200) -> Image.Image:
    """`count` moments of a GAN's history side by side, the first and the newest among them."""
    chosen = [gan.frames[round(k)] for k in np.linspace(0, len(gan.frames) - 1, count)]
    pictures = [render(gan, frame).convert("RGB").resize((size, size), Image.Resampling.LANCZOS) for frame in chosen]
    return grid(np.stack([np.asarray(picture).transpose(2, 0, 1) for picture in pictures]), columns=count)


def describe(frame: Frame, shape: Shape) -> str:
    """A frame in words."""
    modes = f"{frame.modes} of {len(shape.points)} modes, " if shape.modes else ""
    return f"step {frame.step:,}: {modes}{frame.on_shape:.0%} of the samples lie on the shape"


LEGEND = (
    "<b>Blue squares</b>: real. <b>Orange discs</b>: generated. <b>Strokes</b>: where G's loss pushes them. "
    "D leans to <i>real</i> in blue areas, to <i>generated</i> in orange ones; the dark line is where it is undecided."
)
SKETCH = """\
..####..####..
.#....##....#.
.#..........#.
..#........#..
....#....#....
......##......"""
SPEEDS = {"slow: 1 step a frame": (1, 250), "5 steps a frame": (5, 30), "20 steps a frame": (20, 30)}  # steps, ms
CLOCK_JS = Path(__file__).with_name("clock.js").read_text(encoding="utf-8")


class Screen(Picture):
    """A picture with a clock: a message from the browser every `interval` ms, while `playing`; each is to be answered.

    The answer, the message itself in `answered`, travels with the next frame. A synchronised value that the browser
    counts up, as in `ipywidgets.Play`, would wait for the kernel to be idle before the next one leaves; and with
    ipywidgets 7, Play starts only when it is clicked itself.
    """

    _esm = PICTURE_JS + CLOCK_JS
    playing = traitlets.Bool(False).tag(sync=True)
    interval = traitlets.Int(30).tag(sync=True)
    answered = traitlets.Dict().tag(sync=True)


class Lab(widgets.VBox):
    """A GAN in the plane, or on the line, that trains while you watch.

    Another data set, loss or seed starts anew; rates and D steps act at once. Playing goes on from the newest moment,
    wherever the time slider stands. Every control has a name and answers to the keyboard; what the picture shows is
    also said in words below it.

    Args:
        data: 'ring', 'grid', 'spiral', 'two bumps (1-D)' or 'drawing', which is typed as text.
        loss: one of `gan_helpers.course.toy.LOSSES`.

    Raises:
        CourseError: no such data or loss.
    """

    def __init__(self, data: str = "ring", loss: str = "non-saturating", seed: int = 0) -> None:
        for word, known in ((data, [*SHAPES, "drawing"]), (loss, LOSSES)):
            if word not in known:
                raise CourseError(f"The laboratory has no '{word}'. It has: {', '.join(known)}.")
        rates = {"min": -5, "max": -1, "step": 0.1, "readout_format": ".1e"}
        self.data = widgets.Dropdown(options=[*SHAPES, "drawing"], value=data, description="data")
        self.text = widgets.Textarea(value=SKETCH, description="drawing", continuous_update=False, rows=7)
        self.loss = widgets.Dropdown(options=list(LOSSES), value=loss, description="loss")
        self.g_lr = widgets.FloatLogSlider(value=1e-3, description="G's rate", **rates)
        self.d_lr = widgets.FloatLogSlider(value=2e-3, description="D's rate", **rates)
        self.d_steps = widgets.IntSlider(value=1, min=1, max=10, description="D steps")
        self.seed = widgets.BoundedIntText(value=seed, max=10**6, description="seed")
        self.speed = widgets.Dropdown(options=list(SPEEDS), value="5 steps a frame", description="speed")
        self.time = widgets.IntSlider(value=STOPS, max=STOPS, description="time", readout=False)
        self.play = widgets.ToggleButton(description="Play", icon="play", layout=widgets.Layout(width="96px"))
        self.one, self.reset, self.save = (
            widgets.Button(description=name, layout=widgets.Layout(width="96px"))
            for name in ("Step", "Reset", "Save GIF")
        )
        self.screen, self.said, self.lock = Screen(width=SIZE), widgets.HTML(), threading.Lock()
        self.screen.add_class("gan-lab")

        for control in (self.data, self.loss, self.seed, self.text):
            control.observe(self.restart, "value")
        self.show = Newest(lambda: (self.gan, self.moment().step), self.draw)
        self.time.observe(self.show, "value")
        self.play.observe(self.switch, "value")
        self.speed.observe(self.switch, "value")
        self.screen.on_msg(self.tick)
        self.one.on_click(lambda _: self.advance(1))
        self.reset.on_click(self.restart)
        self.save.on_click(self.save_gif)
        buttons = [widgets.HBox([self.play, self.one]), widgets.HBox([self.reset, self.save]), self.time]
        choices = [self.data, self.text, self.loss, self.g_lr, self.d_lr, self.d_steps, self.seed, self.speed]
        right = widgets.VBox([self.screen, self.said], layout=widgets.Layout(width=f"{SIZE + 20}px"))
        left = widgets.VBox([*choices, *buttons])
        for control in (*choices, self.time):
            control.layout.width = "300px"
        super().__init__([widgets.HBox([left, right]), widgets.HTML(LEGEND)])
        self.restart()

    def restart(self, change=None) -> None:
        """A new GAN from the chosen data, loss and seed."""
        self.play.value = False
        with self.lock:
            typed = self.data.value == "drawing"
            self.text.layout.display = None if typed else "none"
            try:
                shape = drawing(self.text.value) if typed else SHAPES[self.data.value]()
            except CourseError as error:
                self.said.value = html.escape(str(error))
                return
            self.gan = ToyGAN(shape, self.loss.value, seed=self.seed.value)
        self.newest()

    def switch(self, change=None) -> None:
        """Follow the Play button and the speed."""
        on = self.play.value
        self.play.description, self.play.icon = ("Pause", "pause") if on else ("Play", "play")
        self.screen.interval, self.screen.playing = SPEEDS[self.speed.value][1], on

    def tick(self, screen: Screen, message: dict, buffers=()) -> None:
        """A tick of the browser's clock. One that comes while another is at work is let go."""
        with screen.hold_sync():  # the frame and the answer in one message
            if self.play.value:
                self.advance(SPEEDS[self.speed.value][0], seconds=0.025)
            screen.answered = message

    def advance(self, steps: int, seconds: float = float("inf")) -> None:
        """Train `steps` steps, fewer if they take longer than `seconds`, and show where that leads."""
        if not self.lock.acquire(blocking=False):
            return
        try:
            gan, end = self.gan, time.perf_counter() + seconds
            gan.g_lr, gan.d_lr, gan.d_steps = self.g_lr.value, self.d_lr.value, self.d_steps.value
            for _ in range(steps):
                gan.step()
                if time.perf_counter() > end:
                    break
            gan.frames.append(gan.frame())
            if len(gan.frames) > KEEP:
                del gan.frames[1:-1:2]
        finally:
            self.lock.release()
        self.newest()

    def newest(self) -> None:
        """Show the newest frame."""
        if self.time.value != STOPS:
            self.time.value = STOPS  # which shows it
        else:
            self.show()

    def moment(self) -> Frame:
        """The frame at which the time slider stands."""
        frames = [*self.gan.frames]
        return frames[round(self.time.value / STOPS * (len(frames) - 1))]

    def draw(self, _) -> None:
        """Draw that frame, and say what is on it."""
        gan, frame = self.gan, self.moment()
        words = describe(frame, gan.shape)
        self.said.value = ""
        self.screen.show(render(gan, frame), words, words)

    def save_gif(self, button=None) -> None:
        """Write the history as an animation, at most 80 frames, into the folder `exports`."""
        self.play.value = False
        frames = self.gan.frames
        chosen = [frames[round(k)] for k in np.linspace(0, len(frames) - 1, min(len(frames), 80))]
        path = Path("exports", f"{self.data.value.split(' (')[0]}-{self.loss.value}.gif".replace(" ", "-"))
        try:
            path.parent.mkdir(exist_ok=True)
            animate([render(self.gan, frame) for frame in chosen], path, fps=12)
            self.said.value = f"Saved {len(chosen)} frames as {path}"
        except (CourseError, OSError) as error:
            self.said.value = html.escape(f"Not saved: {error}")
