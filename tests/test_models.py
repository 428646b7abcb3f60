"""DCGAN held to numbers worked out from the published layers."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from gan_helpers import models
from gan_helpers.models import dcgan
from gan_helpers.recipes import RECIPES


def published_count(latent_dim, widths_g, widths_d, channels):
    """Parameters of the layers in the DCGAN paper: 4x4 kernels without bias, BatchNorm weight and bias."""
    g = latent_dim * widths_g[0] * 16 + sum(a * b * 16 for a, b in pairwise(widths_g)) + widths_g[-1] * channels * 16
    g += 2 * sum(widths_g)
    d = (
        channels * widths_d[0] * 16
        + sum(a * b * 16 for a, b in pairwise(widths_d))
        + widths_d[-1] * 16
        + 2 * sum(widths_d[1:])
    )
    return g, d


@pytest.mark.parametrize("name, widths_g, widths_d, channels", [
    ("dcgan-celeba", (512, 256, 128, 64), (64, 128, 256, 512), 3),
    ("conv-celeba", (512, 256, 128, 64), (64, 128, 256, 512), 3),
    ("conv-mnist", (512, 256, 128), (32, 64, 128), 1),
    ("conv-cifar10", (1024, 512, 256, 128), (128, 256, 512, 1024), 3),
])  # fmt: skip
def test_parameters_as_published(name, widths_g, widths_d, channels):
    recipe = RECIPES[name]
    g, d = models.build_generator(recipe), models.build_discriminator(recipe)
    assert (models.count_parameters(g), models.count_parameters(d)) == published_count(
        100, widths_g, widths_d, channels
    )


def test_the_canonical_pair_has_the_tutorials_size():
    recipe = RECIPES["dcgan-celeba"]
    assert models.count_parameters(models.build_generator(recipe)) == 3_576_704
    assert models.count_parameters(models.build_discriminator(recipe)) == 2_765_568


def test_layers_as_published():
    g, d = dcgan.Generator(), dcgan.Discriminator()
    x, rows = torch.randn(2, 100, 1, 1), []
    for layer in g.layers:
        x = layer(x)
        if isinstance(layer, nn.ConvTranspose2d):
            rows.append(tuple(x.shape))
    assert rows == [(2, 512, 4, 4), (2, 256, 8, 8), (2, 128, 16, 16), (2, 64, 32, 32), (2, 3, 64, 64)]
    assert [type(layer).__name__ for layer in g.layers[-2:]] == ["ConvTranspose2d", "Tanh"]
    norms = [i for i, layer in enumerate(d.layers) if isinstance(layer, nn.BatchNorm2d)]
    convs = [i for i, layer in enumerate(d.layers) if isinstance(layer, nn.Conv2d)]
    assert norms == [i + 1 for i in convs[1:-1]]  # after every convolution but the first and the last
    assert {layer.negative_slope for layer in d.layers if isinstance(layer, nn.LeakyReLU)} == {0.2}
    assert all(layer.bias is None for net in (g, d) for layer in net.layers if "Conv" in type(layer).__name__)


@pytest.mark.parametrize("norm", ["batch", "spectral"])
@pytest.mark.parametrize("channels", [1, 3, 4])  # 4 is the width, too
@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_any_power_of_two_and_any_channels(size, channels, norm):
    g = dcgan.Generator(size, channels, latent_dim=7, width=4)
    x = g(torch.randn(3, 7))
    assert x.shape == (3, channels, size, size) and x.abs().max() <= 1
    d = dcgan.Discriminator(size, channels, width=4, norm=norm)
    assert d(x).shape == (3,)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in d.layers) == (dcgan.stages(size) - 1 if norm == "batch" else 0)


def test_initialisation_as_published():
    torch.manual_seed(0)
    g, d = dcgan.Generator(), dcgan.Discriminator()
    for net in (g, d):
        for m in net.modules():
            if isinstance(m, nn.Conv2d | nn.ConvTranspose2d) and m.weight.numel() > 10_000:
                assert m.weight.mean().abs() < 1e-3 and abs(m.weight.std() - 0.02) < 1e-3
            if isinstance(m, nn.BatchNorm2d):
                assert abs(m.weight.mean() - 1) < 0.01 and abs(m.weight.std() - 0.02) < 0.01 and not m.bias.any()


def test_spectral_norm_bounds_every_weight():
    d = dcgan.Discriminator(32, width=8, norm="spectral")
    for _ in range(50):  # power iterations happen in forward passes
        d(torch.randn(2, 3, 32, 32))
    for layer in d.layers:
        if isinstance(layer, nn.Conv2d):
            assert np.linalg.norm(layer.weight.detach().flatten(1).numpy(), 2) == pytest.approx(1, abs=0.02)
