"""Growing keeps what the nets do, to rounding, and refuses what it cannot grow."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gan_helpers import recipes
from gan_helpers.errors import CourseError
from gan_helpers.growing import grow
from gan_helpers.training import Trainer

SMALL = recipes.get("dcgan-celeba").but(
    image_size=16, g_width=24, d_width=12, latent_dim=8, batch_size=8, net={"slope": 0.3}, ema=0.9, steps=6
)


def noise(n, size, channels=3):
    return np.random.default_rng(0).integers(0, 256, (n, channels, size, size), dtype=np.uint8)


def trained(recipe=SMALL):
    return Trainer(recipe, noise(24, recipe.image_size, recipe.channels), "cpu", torch.float64).fit()


def assert_enlarged(small, big):
    """Before the tanh, and within the edge, where a convolution sees zeros: bilinear interpolation."""
    z = torch.randn(5, 8, 1, 1, dtype=torch.float64)
    before, after = (net.eval().layers[:-1](z) for net in (small, big))
    wanted = F.interpolate(before, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(after[..., 1:-1, 1:-1], wanted[..., 1:-1, 1:-1], rtol=0, atol=1e-12)
    assert before.std() > 1e-3  # not flat


@pytest.fixture(scope="module")
def both():
    small = trained()
    return small, grow(small, noise(24, 32), steps=2)


@pytest.mark.parametrize("name", ["generator", "ema"])
def test_grown_generator_draws_the_same_images_enlarged(both, name):
    small, big = (getattr(trainer, name) for trainer in both)
    assert_enlarged(small, big)


def test_grown_discriminator_judges_the_average_of_four_pixels():
    small = trained()
    big = grow(small, noise(24, 32), steps=2)
    x = torch.rand(5, 3, 32, 32, dtype=torch.float64) * 2 - 1
    before, after = small.discriminator.eval()(F.avg_pool2d(x, 2)), big.discriminator.eval()(x)
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-12)
    assert before.std() > 0


def test_in_training_the_grown_pair_plays_on():
    """With BatchNorm on the batch, too, D(G(z)) is nearly what it was; then it learns, new channels included."""
    small = trained()
    big = grow(small, noise(24, 32), steps=3)
    z = torch.randn(64, 8, dtype=torch.float64)
    was, now = (t.discriminator(t.generator(z)).mean().item() for t in (small, big))
    assert now == pytest.approx(was, abs=0.3)
    fresh = big.generator.layers[-2].weight[6:]
    assert not fresh.any()
    big.fit()
    assert fresh.any() and big.step == 3 and all(map(np.isfinite, big.history["g_loss"]))


def test_grey_images_grow_too():
    small = trained(SMALL.but(channels=1, g_width=8, d_width=4, ema=0))
    big = grow(small, noise(24, 32, 1), steps=1)
    assert_enlarged(small.generator, big.generator)
    assert big.ema is big.generator


@pytest.mark.parametrize(
    "changes, size, message",
    [
        (dict(net={"d_norm": "spectral"}), 32, "net.d_norm=batch can grow"),
        (dict(family="small", labels=""), 32, "family dcgan"),
        (dict(d_width=10), 32, "at least 12; got 24, 10"),
        (dict(g_width=25), 32, "must be even"),
        ({}, 48, r"uint8 images of \(3, 32, 32\); got"),
    ],
)
def test_what_cannot_grow_says_why(changes, size, message):
    small = Trainer(SMALL.but(**changes), noise(24, 16), "cpu")
    with pytest.raises(CourseError, match=message):
        grow(small, noise(24, size), steps=1)
