"""Grids, curves and animations, as pixels and files have them."""

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image

from gan_helpers import animate, plots
from gan_helpers.errors import CourseError


def test_grid_places_every_pixel():
    x = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 1, 3, 3) * 10
    sheet = np.array(plots.grid(x, columns=3, gap=1))
    assert sheet.shape == (7, 11, 3)
    assert sheet[5, 5].tolist() == [40] * 3 and sheet[5, 9].tolist() == [255] * 3 and sheet[3, 0].tolist() == [255] * 3


def test_uint8_rounds_both_ends():
    assert plots.to_uint8(torch.tensor([-2.0, -1.0, 0.0, 1.0, 9.0])).tolist() == [0, 0, 128, 255, 255]


def test_smooth_is_unbiased_for_a_constant():
    np.testing.assert_allclose(plots.smooth([3.0] * 20), 3)


def test_a_long_curve_is_thinned_to_blocks_that_hide_no_peak():
    values = [0.0] * 1201
    values[700] = 9.0
    steps, mean, low, high = plots.thinned(values, 400)
    assert len(steps) == 301 and steps[:2].tolist() == [4, 8] and steps[-1] == 1201
    assert high.max() == 9 and high[175] == 9 and mean[175] == 9 / 4 and low.max() == 0
    for part in plots.thinned([3.0, 1.0])[1:]:
        assert part.tolist() == [3, 1]  # a short one stays as it is
    drawn = plots.curves({"d_loss": values, "g_loss": values}).axes[0].lines
    assert max(len(line.get_xdata()) for line in drawn) <= 1000 and drawn[0].get_ydata().max() == 9


FRAMES = [Image.fromarray(np.full((32, 48, 3), (i * 9, 255 - i * 9, 60), np.uint8)) for i in range(20)]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animations_have_the_promised_frames_and_duration(tmp_path, suffix):
    path = animate.animate(FRAMES, tmp_path / f"a{suffix}", fps=10, hold=1.5)
    with Image.open(path) as image:
        durations = []
        for k in range(image.n_frames):
            image.seek(k)
            image.load()
            durations.append(image.info["duration"])
        assert image.info.get("loop") == 0 and image.size == (48, 32)
    assert sum(durations) == 20 * 100 + 1500 and durations[-1] == 1600


def test_mp4_has_the_promised_frames(tmp_path):
    path = animate.animate(FRAMES, tmp_path / "a.mp4", fps=10, hold=1.5)
    assert iio.imread(path, plugin="FFMPEG").shape[:3] == (35, 32, 48)


def test_a_gif_is_made_to_fit(tmp_path):
    noise = [Image.fromarray(np.random.default_rng(i).integers(0, 255, (64, 64, 3), dtype=np.uint8)) for i in range(30)]
    path = animate.animate(noise, tmp_path / "a.gif", max_bytes=40_000)
    assert path.stat().st_size <= 40_000
    with pytest.raises(CourseError, match="cannot be made smaller"):
        animate.animate(noise, tmp_path / "b.gif", max_bytes=500)
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_animations_refuse_what_they_cannot_write(tmp_path):
    with pytest.raises(CourseError, match=".gif, .webp, .mp4"):
        animate.animate(FRAMES, tmp_path / "a.avi")
    with pytest.raises(CourseError, match="No frames"):
        animate.animate([], tmp_path / "a.gif")
    with pytest.raises(CourseError, match="several sizes"):
        animate.animate([FRAMES[0], FRAMES[0].reduce(2)], tmp_path / "a.gif")
