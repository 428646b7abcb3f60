"""Widgets without a browser: what they hold after a slider has moved. The browser's view is in test_browser.py."""

import io
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from gan_helpers import data, runs
from gan_helpers.errors import CourseError
from gan_helpers.recipes import Recipe
from gan_helpers.widgets import LiveView, latent_slider, scrub
from gan_helpers.widgets.picture import Newest
from gan_helpers.widgets.training import clock

TINY = Recipe("tiny", image_size=16, latent_dim=6, g_width=4, d_width=4, batch_size=8, steps=12, ema=0.9)
SET = data.ImageSet(np.random.default_rng(0).integers(0, 256, (50, 3, 16, 16), dtype=np.uint8), "noise")


def pixels(widget):
    return np.array(Image.open(io.BytesIO(widget.value)).convert("RGB"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    view = LiveView(count=6, columns=3, scale=1, seconds=0)
    trainer = runs.train(TINY, SET, folder, device="cpu", progress=False, callbacks=[view])
    return folder, trainer, view


def test_live_view_ends_on_the_last_step(run):
    _, _, view = run
    assert "step 12" in view.caption.value and "g_loss" in view.caption.value
    assert pixels(view.picture).shape == (2 * 18 - 2, 3 * 18 - 2, 3)


class Rising:
    name = "FD(test)"

    def __call__(self, generator):
        return 7.5


def test_live_view_shows_curves_scores_and_time_left(tmp_path):
    seen = []

    class Watching(LiveView):
        def draw(self, trainer, last=False):
            super().draw(trainer, last)
            seen.append((trainer.step, self.caption.value, self.bar.value, self.curves.value))

    view = Watching(count=6, columns=3, scale=1, seconds=0)
    runs.train(
        TINY, SET, tmp_path / "run", device="cpu", progress=False, callbacks=[view], judge=Rising(), score_every=4
    )
    steps, captions, done, curves = zip(*seen, strict=True)
    assert steps[:13] == tuple(range(13)) and list(done) == sorted(done) and done[-1] == 1
    assert "left" not in captions[0] + captions[-1] and all("s left" in caption for caption in captions[1:12])
    assert "FD(test)" not in captions[3] and "FD(test) 7.5" in captions[4] and "step 12 of 12" in captions[-1]
    assert not curves[0] and len(set(curves)) > 3 and len(curves[-1]) > len(curves[4])


def test_clock():
    assert [clock(s) for s in (0, 59.6, 99, 101, 5940, 7500)] == ["0 s", "60 s", "99 s", "2 min", "99 min", "2 h 5 min"]


def test_scrub_shows_frame_and_cursor_together(run):
    folder, _, _ = run
    box = scrub(folder)
    last, last_curve = pixels(box.picture), pixels(box.curve)
    box.slider.value = 0
    assert (pixels(box.picture) == np.array(Image.open(folder / "frames" / "00000000.png"))).all()
    assert (pixels(box.picture) != last).any()
    moved = np.flatnonzero((pixels(box.curve) != last_curve).any((0, 2)))
    assert (
        moved.min() < last_curve.shape[1] / 3 and moved.max() > last_curve.shape[1] * 2 / 3
    )  # the cursor, there and here


def test_scrub_names_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(CourseError, match="no run folder"):
        scrub(tmp_path)


def test_latent_slider_keeps_a_frozen_copy(run):
    _, trainer, _ = run
    box = latent_slider(trainer.ema, seeds=(0, 1))
    box.slider.value = 1.0
    end = pixels(box.picture)
    next(trainer.ema.parameters()).data.zero_()
    box.slider.value = 0.0
    box.slider.value = 1.0
    assert (pixels(box.picture) == end).all()


def test_a_walk_needs_two_seeds(run):
    with pytest.raises(CourseError, match="two seeds"):
        latent_slider(run[1].ema, seeds=(0,))


def test_of_callbacks_side_by_side_one_draws_the_newest_value_for_all():
    values, drawn, busy, go_on = [0], [], threading.Event(), threading.Event()

    def draw(value):
        drawn.append(value)
        busy.set()
        assert go_on.wait(10)

    newest = Newest(lambda: values[0], draw)
    first = threading.Thread(target=newest)
    first.start()
    assert busy.wait(10)
    for values[0] in (1, 2, 3):
        newest()  # comes back at once
    go_on.set()
    first.join()
    newest()
    assert drawn == [0, 3] and newest.drawn == 3


def test_scrub_leaves_out_a_frame_that_cannot_be_read(run, tmp_path):
    folder = shutil.copytree(run[0], tmp_path / "run")
    first, *_ = sorted((folder / "frames").iterdir())
    first.write_bytes(b"torn")
    box = scrub(folder)
    box.slider.value = 0
    assert "step 0" not in box.picture.caption and box.picture.value
