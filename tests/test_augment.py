"""Augmentations: shapes, gradients, and what each does to an image."""

import pytest
import torch

from gan_helpers import augment


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
