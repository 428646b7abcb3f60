"""The families held to numbers worked out from the published layers, and their shared parts to plainer writings."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_helpers import models
from gan_helpers.errors import CourseError
from gan_helpers.models import FAMILIES, auxiliary, blocks, genzoo, residual, sagan, small
from gan_helpers.recipes import RECIPES


def weights(kernel, *widths):
    """Numbers in a chain of layers with square kernels, without biases."""
    return kernel**2 * sum(a * b for a, b in pairwise(widths))


ATTENTION = 4 * 64 * 64 + 1  # query, key, value and output at the published width, and γ
COUNTS = {  # weights + biases + BatchNorm + what is left, in the order of the layers
    "aux-cifar10": (
        weights(4, 128, 512, 256, 128, 64, 32) + 992 + 2 * 992 + (weights(3, 32, 3) + 3 + 6),
        weights(4, 3, 64, 128, 256, 512, 256) + 1216 + 2 * 960 + (weights(3, 256, 1) + 1) + (weights(3, 256, 10) + 10),
    ),
    "genzoo-mnist": (
        100 * 7 * 7 * 256 + 2 * 7 * 7 * 256 + weights(5, 256, 128, 64, 1) + 2 * (128 + 64),
        weights(5, 1, 64, 128) + 7 * 7 * 128,
    ),
    "genzoo-cifar10": (
        100 * 4 * 4 * 512 + 2 * 4 * 4 * 512 + weights(5, 512, 256, 128, 3) + 2 * (256 + 128),
        weights(5, 3, 128, 256, 512) + 4 * 4 * 512,
    ),
    "lin-cifar10": (
        100 * 4096 + weights(4, 256, 128, 128, 128) + 2 * (256 + 3 * 128) + weights(3, 128, 3),
        weights(4, 3, 128, 256, 512, 1024) + 2 * (256 + 512 + 1024) + 4096,
    ),
    "class-cifar10": (10 * 3_576_704, 10 * 2_765_568),
    "dcgan-fid-cifar10": (
        100 * 2048 + 2048 + 2 * (512 + 256 + 128 + 64) + weights(5, 512, 256, 128, 64, 3) + (256 + 128 + 64 + 3),
        weights(5, 3, 64, 128, 256, 512) + 960 + 2 * (128 + 256 + 512) + 2048 + 1,
    ),
    "sagan-cifar10": (
        100 * 2048 + 2048 + 2 * (512 + 256 + 128 + 64) + weights(5, 513, 256, 128, 64, 3) + (256 + 128 + 64 + 3)
        + ATTENTION + (10 * 50 + 50 * 4 + 4),
        weights(5, 3, 64, 128, 256, 512) + 2 * (128 + 256 + 512) + ATTENTION + (10 * 50 + 50 * 1024 + 1024)
        + (2048 + 1024) * 512 + 512 + 512 + 1,
    ),
}  # fmt: skip
COUNTS["acgan-cifar10"] = COUNTS["aux-cifar10"][0] + weights(4, 10, 512), COUNTS["aux-cifar10"][1]  # a one-hot of 10
MAPS = {  # channels x side after each convolution larger than 1x1
    "aux-cifar10": ("512x2 256x4 128x8 64x16 32x32 3x32", "64x16 128x8 256x4 512x2 256x1 1x1 10x1"),
    "genzoo-mnist": ("128x7 64x14 1x28", "64x14 128x7"),
    "genzoo-cifar10": ("256x8 128x16 3x32", "128x16 256x8 512x4"),
    "conv-cifar10": ("1024x4 512x8 256x16 128x32 3x64", "128x32 256x16 512x8 1024x4 1x1"),
    "lin-cifar10": ("128x8 128x16 128x32 3x32", "128x16 256x8 512x4 1024x2"),
    "dcgan-fid-cifar10": ("256x4 128x8 64x16 3x32", "64x16 128x8 256x4 512x2"),
    "sagan-cifar10": ("256x4 128x8 64x16 3x32", "64x16 128x8 256x4 512x2"),
}


def build(name):
    """Both nets at full width, without memory or arithmetic."""
    with torch.device("meta"):
        return models.build_generator(RECIPES[name]), models.build_discriminator(RECIPES[name])


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_as_published(name):
    assert tuple(models.count_parameters(net) for net in build(name)) == COUNTS[name]


@pytest.mark.parametrize("name", MAPS)
def test_maps_as_published(name):
    recipe, nets, seen = RECIPES[name], build(name), []
    for net in nets:
        for m in net.modules():
            if isinstance(m, nn.Conv2d | nn.ConvTranspose2d) and m.kernel_size[0] > 1:
                m.register_forward_hook(lambda m, x, out: seen[-1].append(f"{out.shape[1]}x{out.shape[2]}"))
    y = [torch.zeros(2, dtype=torch.int64, device="meta")] if recipe.conditional else []
    for net, x in zip(nets, ((2, recipe.latent_dim), (2, recipe.channels, *[recipe.image_size] * 2)), strict=True):
        seen.append([])
        net(torch.empty(x, device="meta"), *y)
    assert tuple(map(" ".join, seen)) == MAPS[name]


def test_details_as_published():
    nets = {name: build(name) for name in MAPS}
    keras = {"genzoo-mnist": 0.01, "genzoo-cifar10": 0.01, "dcgan-fid-cifar10": 0.1, "sagan-cifar10": 0.1}
    for name, pair in nets.items():
        for m in [m for net in pair for m in net.modules()]:
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                assert (m.eps, m.momentum) == ((1e-3, keras[name]) if name in keras else (1e-5, 0.1))
            if isinstance(m, nn.LeakyReLU):
                slopes = {"genzoo-mnist": 0.3, "genzoo-cifar10": 0.3, "conv-cifar10": 0.1, "lin-cifar10": 0.1}
                assert m.negative_slope == slopes.get(name, 0.2)
            if isinstance(m, nn.Dropout):
                assert m.p == (0.5 if "genzoo" in name else 0.4)
            if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and name.split("-")[0] in (
                "genzoo",
                "conv",
                "lin",
            ):
                assert m.bias is None
    r = {name: RECIPES[name] for name in (*MAPS, "class-cifar10", "genzoo-cifar10-code")}
    assert {n: (x.g_lr, x.d_lr, x.beta1, x.beta2, x.adam_eps, x.batch_size) for n, x in r.items()} == {
        "aux-cifar10": (3e-4, 2e-4, 0.5, 0.999, 1e-8, 128),
        "genzoo-mnist": (1e-4, 1e-4, 0.9, 0.999, 1e-7, 32),
        "genzoo-cifar10": (1e-4, 1e-4, 0.9, 0.999, 1e-7, 128),
        "genzoo-cifar10-code": (2e-4, 2e-4, 0.5, 0.999, 1e-7, 128),
        "conv-cifar10": (2e-4, 2e-4, 0.5, 0.999, 1e-8, 128),
        "lin-cifar10": (2e-4, 2e-4, 0.5, 0.999, 1e-8, 128),
        "class-cifar10": (2e-4, 2e-4, 0.5, 0.999, 1e-8, 100),
        "dcgan-fid-cifar10": (1e-4, 4e-4, 0.5, 0.99, 1e-7, 128),
        "sagan-cifar10": (1e-4, 4e-4, 0.5, 0.99, 1e-7, 128),
    }
    targets = {name: (x.real_target, x.fake_target) for name, x in r.items()}
    assert targets["conv-cifar10"] == targets["lin-cifar10"] == (0.95, 0.05) and targets["class-cifar10"] == (
        0.98,
        0.02,
    )


def test_the_order_of_a_block_is_an_option():
    for order, kinds in {"norm,act": ["BatchNorm2d", "LeakyReLU"], "act,norm": ["LeakyReLU", "BatchNorm2d"],
                         "act": ["LeakyReLU"], "norm": ["BatchNorm2d"]}.items():  # fmt: skip
        layers = auxiliary.block(nn.Conv2d(1, 2, 3), order, 0.2)
        assert [type(layer).__name__ for layer in layers] == ["Conv2d", *kinds]


def test_a_learned_latent_starts_as_half_the_noise():
    g = auxiliary.Generator(width=2, latent_dim=4, learned=True).eval()
    z = torch.randn(3, 4)
    torch.testing.assert_close(g(z), 2 * g.layers(z[:, :, None, None] / 2) - 1)
    g.latent.data[0] = 7.0
    assert not torch.equal(g(z), 2 * g.layers(z[:, :, None, None] / 2) - 1) and g.latent.requires_grad


def same_convolution(x, w, stride):
    """Keras' `same`: the output has ceil(S / stride) positions, and of the padding the smaller half comes first."""
    side, out = x.shape[1], -(-x.shape[1] // stride)
    total = max((out - 1) * stride + 5 - side, 0)
    padded = np.zeros((len(x), side + total, side + total))
    padded[:, total // 2 : total // 2 + side, total // 2 : total // 2 + side] = x
    y = np.zeros((len(w), out, out))
    for i in range(out):
        for j in range(out):
            y[:, i, j] = (w * padded[:, stride * i : stride * i + 5, stride * j : stride * j + 5]).sum((1, 2, 3))
    return y


@pytest.mark.parametrize("side, stride", [(6, 2), (4, 2), (7, 1)])
def test_same_padding_is_that_of_keras(side, stride):
    rng = np.random.default_rng(0)
    conv = blocks.SameConv2d(2, 3, stride, bias=False).double()
    x, w = rng.normal(size=(2, side, side)), conv.weight.detach().numpy()
    expected = same_convolution(x, w, stride)
    np.testing.assert_allclose(conv(torch.tensor(x)[None])[0].detach(), expected, rtol=1e-10)
    transposed = blocks.SameConvTranspose2d(
        3, 2, stride, bias=False
    ).double()  # its adjoint: <conv x, y> = <x, convT y>
    transposed.weight.data = conv.weight.data
    y = rng.normal(size=expected.shape)
    back = transposed(torch.tensor(y)[None])[0].detach().numpy()
    assert back.shape == x.shape and (expected * y).sum() == pytest.approx((x * back).sum(), rel=1e-10)


def test_attention_starts_as_the_identity_and_mixes_positions():
    layer, x = blocks.SelfAttention(8, 4), torch.randn(2, 8, 3, 5)
    assert torch.equal(layer(x), x)
    layer.gamma.data.fill_(0.7)
    maps = layer.attention(x)
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 15))
    expected = x.clone()  # a second writing, position by position
    f, g, h, v = (c.weight[:, :, 0, 0] for c in (layer.query, layer.key, layer.value, layer.out))
    columns = x.flatten(2)
    for n in range(2):
        for i in range(15):
            scores = torch.stack([(f @ columns[n, :, i]) @ (g @ columns[n, :, j]) for j in range(15)])
            taken = sum(a * (h @ columns[n, :, j]) for j, a in enumerate(scores.softmax(0)))
            expected[n, :, i // 5, i % 5] += 0.7 * (v @ taken)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_spectral_norm_bounds_every_weight():
    images, y = torch.randn(2, 3, 32, 32), torch.tensor([0, 2])
    for net, inputs in (
        (sagan.Generator(width=4).layers, (torch.randn(2, 33, 2, 2),)),
        (small.Discriminator(width=8, classes=3), (images, y)),
        (residual.Discriminator(width=8, classes=3), (images, y)),
        (residual.Discriminator(width=8, kinds=3), (images,)),
    ):
        for _ in range(60):  # power iterations happen in forward passes
            net(*inputs)
        checked = [m.weight.detach() for m in net.modules() if isinstance(m, blocks.LAYERS)]
        assert len(checked) > 4
        for weight in checked:
            assert np.linalg.norm(weight.flatten(1).numpy(), 2) == pytest.approx(1, abs=0.03)


def test_sagan_begins_with_classes_that_can_be_heard():
    def loudness(t):
        return t.square().mean().sqrt()

    generator, discriminator = sagan.Generator(width=16), sagan.Discriminator(width=16)
    z, y = torch.randn(64, 100), torch.arange(64) % 10
    maps = generator.norm(generator.first(z).unflatten(1, (-1, 2, 2)))
    assert loudness(maps) / loudness(generator.kind(y)) < 10  # 200 when all weights began at N(0, .02)
    seen = discriminator.layers(generator(z, y))
    assert loudness(seen) / loudness(discriminator.kind(y)) < 10  # 36 when its class was normalised spectrally


def test_one_net_a_class_keeps_the_order():
    nets = blocks.OnePerClass(nn.Linear(2, 3) for _ in range(4))
    x, y = torch.randn(9, 2), torch.tensor([3, 0, 3, 1, 1, 0, 3, 3, 0])
    expected = torch.stack([nets.nets[k](row) for row, k in zip(x, y.tolist(), strict=True)])
    torch.testing.assert_close(nets(x, y), expected)
    torch.testing.assert_close(nets(x, 2), nets.nets[2](x))


def test_conditional_batchnorm_by_hand():
    layer, x, y = blocks.ConditionalBatchNorm2d(2, 3), torch.randn(4, 2, 5, 5), torch.tensor([0, 1, 2, 1])
    layer.scale.weight.data, layer.shift.weight.data = torch.randn(3, 2), torch.randn(3, 2)
    plain = F.batch_norm(x, None, None, training=True)
    for k in range(4):
        expected = plain[k] * layer.scale.weight[y[k], :, None, None] + layer.shift.weight[y[k], :, None, None]
        torch.testing.assert_close(layer(x, y)[k], expected)


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.conditional])
def test_a_conditional_pair_depends_on_the_class(name):
    recipe = RECIPES[name].but(g_width=4, d_width=4, num_classes=3)
    torch.manual_seed(0)
    g, d = models.build_generator(recipe).eval(), models.build_discriminator(recipe).eval()
    for m in g.modules():
        if isinstance(m, blocks.ConditionalBatchNorm2d):  # which starts alike for all classes
            nn.init.normal_(m.shift.weight)
    z = torch.randn(1, recipe.latent_dim).expand(3, -1)
    x = g(z, torch.arange(3))
    assert x.abs().max() <= 1 and (x[0] - x[1]).abs().max() > 1e-7 and (x[1] - x[2]).abs().max() > 1e-7
    if recipe.labels != "acgan":  # whose D is told nothing, and tells
        logits = d(x[:1].expand(3, -1, -1, -1), torch.arange(3))
        assert logits.shape == (3,) and len(set(logits.tolist())) == 3


def test_the_residual_generator_has_the_published_size():
    def count(*parts):
        return sum(map(models.count_parameters, parts))

    image = residual.Generator(width=256).image  # as published: 256 maps at every size, 128 latents
    assert count(torch.nn.Linear(128, 256 * 16), *[residual.Up(256, 256)] * 3, image) == 4_276_739
    block = weights(3, 256, 256, 256) + weights(1, 256, 256) + 3 * 256 + 4 * 256
    assert count(residual.Up(256, 256)) == block


@pytest.mark.parametrize("classes", [0, 3])
def test_residual_blocks_against_a_plain_writing(classes):
    """The shortcut's 1x1 convolution and what changes the size can change places."""
    torch.manual_seed(0)
    x, y = torch.randn(4, 5, 6, 6, dtype=torch.float64), torch.tensor([0, 2, 1, 2]) if classes else None
    up = residual.Up(5, 7, classes).double()
    for m in up.modules():
        if isinstance(m, nn.Embedding | nn.Conv2d):
            nn.init.normal_(m.weight), (nn.init.normal_(m.bias) if isinstance(m, nn.Conv2d) else None)

    def normed(layer, x):
        x = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
        return x if not classes else x * layer.scale.weight[y, :, None, None] + layer.shift.weight[y, :, None, None]

    def double(x):
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    h = up.conv2(normed(up.norm2, up.conv1(double(normed(up.norm1, x).relu()))).relu())
    torch.testing.assert_close(up(x, y), h + up.shortcut(double(x)))
    for halve, first in ((True, True), (True, False), (False, False)):
        down = residual.Down(5, 7, halve, first).double()
        nn.init.normal_(down.shortcut.bias)
        out = down.conv2(down.conv1(x if first else x.relu()).relu()) + down.shortcut(x)
        out = out.unflatten(2, (3, 2)).unflatten(4, (3, 2)).mean((3, 5)) if halve else out
        torch.testing.assert_close(down(x), out)
    assert isinstance(residual.Down(7, 7, halve=False).shortcut, nn.Identity)


@pytest.mark.parametrize("labels", FAMILIES["residual"].LABELS)
@pytest.mark.parametrize("size", FAMILIES["residual"].SIZES)
def test_the_residual_pair_at_every_size_and_use_of_labels(size, labels):
    recipe = RECIPES["best-cifar10"].but(image_size=size, labels=labels, g_width=8, d_width=4)
    recipe = recipe.but(num_classes=3) if labels else recipe
    torch.manual_seed(0)
    g, d = models.build_generator(recipe), models.build_discriminator(recipe)
    y = torch.tensor([0, 1, 2, 1])
    x = g(torch.randn(4, 128), *([y] if recipe.conditional else []))
    verdict = d(x, *([y] if labels == "conditional" else []))
    logits, kinds = verdict if recipe.head_classes else (verdict, torch.zeros(4, 3))
    assert x.shape == (4, 3, size, size) and x.abs().max() <= 1 and logits.shape == (4,) and kinds.shape == (4, 3)
    (logits.square().sum() + kinds.square().sum()).backward()
    for name, p in [*g.named_parameters(), *d.named_parameters()]:
        assert p.grad.isfinite().all() and p.grad.abs().sum() > 0, name
    maps = [*d.blocks(x).shape[1:]]
    assert maps == [residual.down_widths(size, 4)[-1], 8, 8]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in d.modules())


@pytest.mark.parametrize("kind, dtype", [("float64", torch.float64), ("bfloat16", torch.bfloat16)])
def test_the_residual_pair_in_other_precisions(kind, dtype):
    recipe = RECIPES["best-cifar10"].but(g_width=8, d_width=4, num_classes=3)
    torch.manual_seed(0)
    pair = models.build_generator(recipe).eval(), models.build_discriminator(recipe).eval()
    z, y = torch.randn(4, 128), torch.arange(4) % 3

    def judged(g, d, z):
        return d(g(z, y), y)

    wanted = judged(*pair, z)
    if kind == "bfloat16":
        with torch.autocast("cpu", dtype):
            got = judged(*pair, z)
    else:
        got = judged(*(net.double() for net in pair), z.double())
    tolerance = dict(rtol=0.05, atol=0.1) if kind == "bfloat16" else dict(rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(got.float(), wanted, **tolerance)


def test_initialisation():
    torch.manual_seed(0)
    layer = next(m for m in genzoo.Generator().modules() if isinstance(m, nn.ConvTranspose2d))
    bound = (6 / (25 * (512 + 256))) ** 0.5
    assert layer.weight.abs().max() <= bound and layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.01)


@pytest.mark.parametrize("changes, told", [
    (dict(family="dcgen"), "family must be one of auxiliary, dcgan, fid"),
    (dict(family="genzoo"), "image_size of the family genzoo must be one of 28, 32; got 64"),
    (dict(image_size=28), "image_size of the family dcgan"),
    (dict(labels="conditional"), r"labels of the family dcgan must be one of none \(''\), pairs"),
    (dict(family="auxiliary", net={"order": "act,act"}), "net.order must be one of"),
    (dict(family="residual", net={"d_norm": "batch"}), "net.d_norm must be one of spectral, none"),
    (dict(family="residual", labels="pairs"), r"must be one of none \(''\), real, acgan, conditional; got 'pairs'"),
])  # fmt: skip
def test_what_a_family_cannot_do_is_told(changes, told):
    with pytest.raises(CourseError, match=told):
        RECIPES["dcgan-celeba"].but(**changes)
