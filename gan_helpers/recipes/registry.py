"""Every recipe of the course, by name. To add one, write it here."""

from __future__ import annotations

from ..errors import CourseError, nearest
from .recipe import Recipe

# A recipe is seen at a glance, where the formatter would give every option a line of its own.
# fmt: off
_dcgan = Recipe(
    "dcgan-celeba", "The canonical DCGAN on CelebA, 64x64, with a moving average of the generator",
    data="celeba", ema=0.999, epochs=5,
)
_conv = dict(net={"slope": 0.1}, real_target=0.98, fake_target=0.02, ema=0, epochs=20)
_cifar = dict(data="cifar10", image_size=32, ema=0)
_conv_cifar = {**_conv, **_cifar, "real_target": 0.95, "fake_target": 0.05, "epochs": 100}
_aux = Recipe(
    "aux-cifar10", "DCGAN with an auxiliary classifier, real images only, CIFAR-10",
    **_cifar, family="auxiliary", labels="real", latent_dim=128, g_width=32, g_lr=3e-4, epochs=50,
)
_genzoo = Recipe(
    "genzoo-cifar10", "GenZoo's DCGAN for CIFAR-10, 5x5 kernels, as its README has it",
    **_cifar, family="genzoo", g_width=128, d_width=128, g_lr=1e-4, d_lr=1e-4, beta1=0.9, adam_eps=1e-7, epochs=200,
)
# As its code differs from its README. Keras' label smoothing .2 moves both targets by .1; real is 0, fake is 1.
_genzoo_code = dict(net={"slope": 0.2}, real_target=0.1, fake_target=0.9, g_lr=2e-4, d_lr=2e-4, beta1=0.5)
_fid = Recipe(
    "dcgan-fid-cifar10", "DCGAN with 5x5 kernels and dropout, scored by FID as it trains, CIFAR-10",
    **_cifar, family="fid", target_noise=0.1, g_lr=1e-4, d_lr=4e-4, beta2=0.99, adam_eps=1e-7, steps=30_000,
)
# Each choice by four minutes of training (benchmarks/best_trials.py); twice as many steps ended in collapse.
_small = Recipe(
    "small-cifar10", "Our own for two CPU cores: small nets, small batches, a class head, EMA and decay, CIFAR-10",
    data="cifar10", image_size=32, flip=True, labels="acgan", family="small", latent_dim=128, g_width=32, d_width=32,
    real_target=0.9, batch_size=32, g_lr=4e-4, d_lr=4e-4, beta2=0.99, decay=0.5, ema=0.999, steps=20_000,
)
# Six minutes of a GPU, or hours of two cores at half width (benchmarks/plan.md).
_best = Recipe(
    "best-cifar10", "Our best: residual nets, spectral normalisation, hinge and class projection, CIFAR-10",
    data="cifar10", image_size=32, flip=True, labels="conditional", family="residual", latent_dim=128, g_width=128,
    d_width=128, loss="hinge", d_lr=4e-4, beta1=0, beta2=0.99, decay=0.5, ema=0.999, steps=50_000,
)

RECIPES = {recipe.name: recipe for recipe in (
    Recipe(
        "first-minute", "Sixty seconds to faces: a small 32x32 GAN on the embedded cartoon faces",
        image_size=32, latent_dim=64, g_width=24, d_width=24, net={"d_norm": "spectral"}, loss="hinge",
        augment="brightness", batch_size=32, g_lr=6e-4, d_lr=1.2e-3, beta2=0.99, ema=0.99, decay=0.5, minutes=1,
    ),
    _dcgan,
    _dcgan.but(
        name="dcgan-faces", about="DCGAN made to stand flat colours, on the embedded cartoon faces, 64x64",
        data="faces", g_width=48, d_width=32, net={"d_norm": "spectral"}, loss="hinge", augment="brightness",
        instance_noise=0.3, batch_size=64, g_lr=4e-4, d_lr=4e-4, beta2=0.99, ema=0.998, decay=0.4, steps=12_000,
    ),
    _dcgan.but(name="conv-celeba", about="convDCGAN on CelebA, 64x64: soft targets, LeakyReLU .1", **_conv),
    _dcgan.but(
        name="conv-mnist", about="convDCGAN on MNIST, 32x32: soft targets, LeakyReLU .1",
        data="mnist", channels=1, image_size=32, g_width=128, d_width=32, **_conv,
    ),
    _aux,
    _aux.but(name="acgan-cifar10", about="The same nets as a full AC-GAN: told the class, CIFAR-10", labels="acgan"),
    _genzoo.but(
        name="genzoo-mnist", about="GenZoo's DCGAN for MNIST, 28x28, 5x5 kernels, as its README has it",
        data="mnist", image_size=28, channels=1, g_width=64, d_width=64, batch_size=32, epochs=50,
    ),
    _genzoo,
    _genzoo.but(
        name="genzoo-cifar10-code", about="GenZoo's DCGAN for CIFAR-10, trained as its code does",
        **_genzoo_code,
    ),
    _dcgan.but(
        name="conv-cifar10",
        about="convDCGAN on CIFAR-10 at 64x64, the size its nets are made for: soft targets, LeakyReLU .1",
        **{**_conv_cifar, "image_size": 64}, g_width=128, d_width=128,
    ),
    _dcgan.but(
        name="lin-cifar10",
        about="linDCGAN on CIFAR-10, 32x32: a linear layer in both nets, soft targets, LeakyReLU .1",
        **_conv_cifar, family="linear", g_width=128, d_width=128,
    ),
    _dcgan.but(
        name="class-cifar10",
        about="classDCGAN: a generator and a discriminator for each class of CIFAR-10, at 64x64, batches shuffled",
        **{**_conv, "epochs": 50}, data="cifar10", labels="pairs", batch_size=100,
    ),
    _fid,
    _fid.but(
        name="sagan-cifar10",
        about="Class-conditional self-attention GAN, CIFAR-10; its critic sees the fake term that was always zero",
        family="sagan", labels="conditional", loss="wasserstein", target_noise=0,
    ),
    _small,
    _best,
    _best.but(
        name="best-cifar10-uncond", labels="",
        about="Our best without labels: residual nets, spectral normalisation and hinge, CIFAR-10",
    ),
    _best.but(
        name="best-celeba", labels="",
        about="Our best for faces: residual nets, spectral normalisation and hinge, CelebA, 64x64",
        data="celeba", image_size=64, g_width=48, d_width=48, batch_size=64, steps=15_000,
    ),
    _small.but(
        name="small-celeba", labels="",
        about="Our own for faces on two CPU cores: small nets, small batches, hinge and translation, CelebA, 64x64",
        data="celeba", image_size=64, loss="hinge", augment="translation", steps=12_000,
    ),
)}
# fmt: on


def get(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        CourseError: there is none; the message suggests the nearest and lists all.
    """
    if name not in RECIPES:
        raise CourseError(f"No recipe '{name}'.{nearest(name, RECIPES)} Recipes: {', '.join(RECIPES)}.")
    return RECIPES[name]
