"""The laboratory without a browser: controls, pictures, pace. The browser's view is in test_browser_lab.py."""

import io

import numpy as np
import pytest
from PIL import Image

from gan_helpers.course import toy
from gan_helpers.course.widgets import Lab, filmstrip, flipbook, lab
from gan_helpers.errors import CourseError


def pixels(widget):
    return np.array(Image.open(io.BytesIO(widget.value)).convert("RGB"))


def tick(box, times=1):
    for _ in range(times):
        box.tick(box.screen, {})


def test_playing_trains_and_pausing_stops():
    box = Lab()
    start = pixels(box.screen)
    tick(box)
    assert box.gan.steps == 0  # not playing yet
    box.play.value = True
    assert box.screen.playing and box.play.description == "Pause"
    tick(box, 3)
    assert box.gan.steps >= 3 and len(box.gan.frames) == 4
    assert (pixels(box.screen) != start).any() and f"step {box.gan.steps}:" in box.screen.caption
    box.play.value = False
    steps = box.gan.steps
    tick(box)
    assert box.gan.steps == steps and not box.screen.playing


def test_step_and_scrub_and_go_on():
    box = Lab("spiral", "hinge")
    first = pixels(box.screen)
    box.one.click()
    box.one.click()
    last = pixels(box.screen)
    assert box.gan.steps == 2
    box.time.value = 0
    assert (pixels(box.screen) == first).all() and "step 0:" in box.screen.caption
    box.time.value = lab.STOPS
    assert (pixels(box.screen) == last).all()
    box.time.value = 0
    box.one.click()
    assert box.time.value == lab.STOPS and "step 3:" in box.screen.caption


def test_same_seed_same_pictures_and_reset():
    box, again = Lab(seed=3), Lab(seed=3)
    for each in (box, again):
        each.advance(4)
    assert box.screen.value == again.screen.value
    box.reset.click()
    assert box.gan.steps == 0 and len(box.gan.frames) == 1
    box.advance(4)
    assert box.screen.value == again.screen.value


def test_choices_act():
    box = Lab()
    box.advance(1)
    box.loss.value = "minimax"
    assert box.gan.steps == 0 and box.gan.loss is toy.LOSSES["minimax"]
    box.g_lr.value, box.d_steps.value = 1e-2, 4
    box.advance(1)
    assert box.gan.steps == 1 and box.gan.g_lr == 1e-2 and box.gan.d_steps == 4
    box.data.value = "two bumps (1-D)"
    box.advance(1)
    assert "of 2 modes" in box.screen.caption
    box.speed.value = "slow: 1 step a frame"
    assert box.screen.interval == 250


def test_drawing_is_typed_and_an_empty_one_is_told():
    box = Lab("drawing")
    assert box.text.layout.display is None and "modes" not in box.screen.caption
    box.text.value = "..."
    assert "empty" in box.said.value
    box.text.value = "##\n##"
    assert len(box.gan.shape.points) == 4
    box.data.value = "ring"
    assert box.text.layout.display == "none" and box.data.layout.display is None


def test_a_busy_laboratory_drops_ticks():
    box = Lab()
    box.play.value = True
    with box.lock:
        tick(box)
    assert box.gan.steps == 0


def test_history_stays_bounded(monkeypatch):
    monkeypatch.setattr(lab, "KEEP", 10)
    box = Lab()
    for _ in range(25):
        box.advance(1)
    steps = [frame.step for frame in box.gan.frames]
    assert len(steps) <= 10 and steps[0] == 0 and steps[-1] == 25 and steps == sorted(steps)


def test_gif(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    box = Lab()
    for _ in range(3):
        box.advance(1)
    box.save.click()
    with Image.open(tmp_path / "exports" / "ring-non-saturating.gif") as image:
        assert image.n_frames == 4 and image.size == (lab.SIZE, lab.SIZE)
    assert "Saved 4 frames" in box.said.value


def test_real_and_generated_are_where_they_belong():
    gan = toy.ToyGAN(toy.ring())
    frame = gan.frames[0]._replace(fake=np.full((256, 2), [1.2, 1.2]), pull=np.zeros((256, 2)))
    image = np.array(lab.render(gan, frame))
    column, row = lab.to_pixels(np.array([[1.2, 1.2]]))[0].astype(int)
    assert image[row, column] == lab.FAKE
    column, row = lab.to_pixels(np.array([[0.0, 1.0]]))[0].astype(int)  # the ring's top
    assert (image[row - 30 : row + 30, column - 30 : column + 30] == lab.REAL).any()


def test_field_is_blue_where_d_says_real():
    gan = toy.ToyGAN(toy.ring())
    field = np.repeat(np.linspace(-9, 9, toy.CELLS)[None], toy.CELLS, 0)
    nothing = gan.frames[0]._replace(field=field, fake=np.zeros((256, 2)))
    image = np.array(lab.render(gan, nothing).convert("RGB")).astype(int)
    left, right = image[380, 10], image[380, 390]
    assert left[0] > left[2] and right[2] > right[0]


def test_a_frame_takes_the_steps_that_its_time_allows():
    box = Lab()
    box.advance(5, seconds=-1)  # which are over before the first step is done
    assert box.gan.steps == 1 and len(box.gan.frames) == 2
    box.advance(5)
    assert box.gan.steps == 6 and len(box.gan.frames) == 3


def test_filmstrip_and_flipbook():
    strip = filmstrip(toy.ToyGAN(toy.two_bumps()).train(3, every=1), count=3, size=100)
    assert strip.size == (304, 100)
    book = flipbook([strip, strip.rotate(180)], ["first", "second"], "page")
    first = pixels(book.picture)
    book.slider.value = 1
    assert book.picture.caption == "second" and (pixels(book.picture) == first[::-1, ::-1]).all()


def test_unknown_data_is_named():
    with pytest.raises(CourseError, match="no 'rings'"):
        Lab("rings")
