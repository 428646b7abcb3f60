"""Losses, augmentations, latents, pictures and animations: small pure functions held to properties and plain maths."""

import math

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image

from gan_helpers import animate, augment, latent, losses, models, plots
from gan_helpers.errors import CourseError
from gan_helpers.recipes import RECIPES


def log_sigmoid(a):
    return -math.log(1 + math.exp(-a))


def test_losses_by_hand():
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    one = sum(-(0.9 * log_sigmoid(a) + 0.1 * log_sigmoid(-a)) for a in real.tolist()) / 2
    zero = sum(-(0.2 * log_sigmoid(a) + 0.8 * log_sigmoid(-a)) for a in fake.tolist()) / 2
    assert losses.bce_d(real, fake, 0.9, 0.2).item() == pytest.approx(one + zero, rel=1e-6)
    assert losses.bce_g(fake).item() == pytest.approx(sum(-log_sigmoid(a) for a in fake.tolist()) / 2, rel=1e-6)
    assert losses.hinge_d(real, fake).item() == pytest.approx((0 + 2) / 2 + (1.5 + 0) / 2)
    assert losses.hinge_g(fake).item() == pytest.approx(1.25)

    assert losses.minimax_g(fake).item() == pytest.approx(sum(log_sigmoid(-a) for a in fake.tolist()) / 2, rel=1e-6)
    squares = (1.1**2 + 1.9**2 + 0.3**2 + 3.2**2) / 4  # to the targets .9 and .2
    assert losses.least_squares_d(real, fake, 0.9, 0.2).item() == pytest.approx(squares, rel=1e-6)
    assert losses.least_squares_g(fake).item() == pytest.approx((0.5**2 + 4**2) / 4)
    assert losses.wasserstein_d(real, fake).item() == pytest.approx(-1.25 - 0.5)
    targets = torch.tensor([0.9, 1.0]), torch.tensor([0.0, 0.2])
    by_hand = -(0.9 * log_sigmoid(2) + 0.1 * log_sigmoid(-2) + log_sigmoid(-1)) / 2
    by_hand -= (log_sigmoid(-0.5) + 0.2 * log_sigmoid(-3) + 0.8 * log_sigmoid(3)) / 2
    assert losses.bce_d(real, fake, *targets).item() == pytest.approx(by_hand, rel=1e-6)


def test_the_non_saturating_gradient_lives_where_d_wins():
    a = torch.tensor([-8.0], requires_grad=True)
    assert torch.autograd.grad(losses.bce_g(a), a)[0].item() == pytest.approx(-1, abs=1e-3)
    assert torch.autograd.grad(losses.minimax_g(a), a)[0].item() == pytest.approx(0, abs=1e-3)


def critic(x):
    """Logits (N,) of images (N, 1, 2, 2), smooth and with a bend, so that its gradient changes from place to place."""
    return (x.flatten(1) @ torch.tensor([0.3, -0.2, 0.5, 0.1], dtype=x.dtype)).sin() + x.square().sum((1, 2, 3))


def slopes(x, h=1e-5):
    """Lengths (N,) of the critic's gradient, by differences instead of derivatives."""
    steps = h * torch.eye(4, dtype=x.dtype).view(4, 1, 2, 2)
    return torch.stack([(critic(x + s) - critic(x - s)) / (2 * h) for s in steps]).norm(dim=0)


def test_penalties_against_numerical_derivatives():
    torch.manual_seed(0)
    real, fake = torch.randn(2, 5, 1, 2, 2, dtype=torch.float64)
    real.requires_grad_()
    r1 = losses.r1_penalty(critic(real), real).item()
    assert r1 == pytest.approx(slopes(real.detach()).square().mean().item(), rel=1e-6)
    torch.manual_seed(1)
    t = torch.rand(5, 1, 1, 1, dtype=torch.float64)
    torch.manual_seed(1)
    expected = (slopes(t * real.detach() + (1 - t) * fake) - 1).square().mean().item()
    assert losses.gradient_penalty(critic, real, fake).item() == pytest.approx(expected, rel=1e-6)
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)  # it can be differentiated again
    losses.gradient_penalty(lambda x: weight * critic(x), real, fake).backward()
    assert weight.grad.abs() > 0


@pytest.mark.parametrize("name", augment.AUGMENTATIONS)
def test_augmentations_keep_shape_and_let_gradients_through(name):
    x = torch.rand(16, 3, 16, 16, requires_grad=True)
    y = augment.diff_augment(x, name)
    y.sum().backward()
    assert y.shape == x.shape and not torch.equal(x, y) and x.grad.abs().sum() > 0


def test_no_augmentation_is_the_identity():
    x = torch.rand(2, 3, 8, 8)
    assert augment.diff_augment(x, "") is x


def test_translation_moves_by_whole_pixels_and_fills_with_grey():
    torch.manual_seed(0)
    x = torch.rand(64, 1, 16, 16) + 1
    moved = augment.translation(x)
    shifts = set()
    for a, b in zip(x[:, 0], moved[:, 0], strict=True):
        hits = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if torch.equal(b, shifted(a, dy, dx))]
        assert len(hits) == 1
        shifts.add(hits[0])
    assert len(shifts) > 15  # of 25 possible


def shifted(image, dy, dx):
    """A second writing of the shift: row r of the result is row r + dy of the image, zero outside."""
    out = torch.zeros_like(image)
    for r in range(16):
        for c in range(16):
            if 0 <= r + dy < 16 and 0 <= c + dx < 16:
                out[r, c] = image[r + dy, c + dx]
    return out


def test_flip_mirrors_about_half():
    torch.manual_seed(0)
    x = torch.rand(1000, 1, 1, 4)
    y = augment.flip(x)
    same = (x == y).flatten(1).all(1)
    assert torch.equal(y[~same], x[~same].flip(3)) and 400 < same.sum() < 600


def test_brightness_and_color_act_on_whole_images():
    x = torch.rand(8, 3, 4, 4)
    d = (augment.brightness(x) - x).flatten(1)
    assert d.std(1).max() < 1e-6 and d.mean(1).std() > 0.05
    grey = torch.rand(8, 1, 4, 4).expand(-1, 3, -1, -1)  # saturation changes no grey
    y = augment.color(grey)
    torch.testing.assert_close(y[:, 0], y[:, 1])


def test_cutout_removes_about_a_quarter():
    torch.manual_seed(0)
    gone = (augment.cutout(torch.ones(500, 1, 32, 32)) == 0).float().mean().item()
    assert 0.1 < gone < 0.25


def test_latents_do_not_depend_on_how_many_are_drawn():
    assert torch.equal(latent.draw_z(3, 10, seed=4), latent.draw_z(20, 10, seed=4)[:3])
    z = latent.draw_z(500, 20)
    assert abs(z.mean()) < 0.05 and abs(z.std() - 1) < 0.05


def test_slerp_ends_norms_and_parallel_case():
    a, b = torch.randn(5, 100, generator=torch.Generator().manual_seed(0)), torch.randn(5, 100)
    torch.testing.assert_close(latent.slerp(a, b, 0.0), a)
    torch.testing.assert_close(latent.slerp(a, b, 1.0), b)
    u, v = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    torch.testing.assert_close(latent.slerp(u, v, 0.3).norm(dim=1), torch.ones(5))
    torch.testing.assert_close(latent.slerp(a, 2 * a, 0.5), 1.5 * a)


def test_a_sample_does_not_depend_on_its_batch_mates():
    net = models.build_generator(RECIPES["first-minute"]).train()
    for _ in range(3):
        net(torch.randn(16, 64))
    z = latent.draw_z(40, 64)
    together, alone = latent.generate(net, z), torch.cat([latent.generate(net, row[None]) for row in z])
    assert (plots.to_uint8(together).int() - plots.to_uint8(alone).int()).abs().max() <= 1
    assert net.training


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
