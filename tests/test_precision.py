"""bfloat16 on the CPU: right within its rounding, chosen by a test, kept by the checkpoint; float32 stays as it was."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gan_helpers import checkpoints, data, precision, runs
from gan_helpers.recipes import RECIPES, Recipe
from gan_helpers.training import Trainer

TINY = Recipe("tiny", image_size=16, latent_dim=6, g_width=8, d_width=8, batch_size=8, steps=6, ema=0.9)
IMAGES = np.random.default_rng(0).integers(0, 256, (50, 3, 16, 16), dtype=np.uint8)
SET = data.ImageSet(IMAGES, "noise")
has_bfloat16 = pytest.mark.skipif(not precision.supported(), reason="this processor does not compute in bfloat16")


def state(trainer):
    """Every number that decides how a run goes on."""
    return {p + k: v.clone() for p, part in checkpoints.parts(trainer).items() for k, v in part.items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@has_bfloat16
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("convolve", [F.conv2d, F.conv_transpose2d])
@pytest.mark.parametrize("kernel, stride, padding", [(3, 1, 1), (4, 2, 1), (5, 2, 2), (4, 1, 0)])
def test_convolutions_equal_float32_within_rounding(convolve, kernel, stride, padding, layout):
    """Values and all three gradients, on images that are not square, against float32 of the same rounded numbers."""
    draw = torch.Generator().manual_seed(0)
    shapes = (4, 16, 12, 8), (16, 16, kernel, kernel), (16,)
    tensors = [torch.randn(shape, generator=draw).bfloat16().float() for shape in shapes]
    results = []
    for half in (False, True):
        x, weight, bias = (t.clone().requires_grad_() for t in tensors)
        inputs = x.contiguous(memory_format=layout), weight.contiguous(memory_format=layout), bias
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            y = convolve(*inputs, stride=stride, padding=padding)
        assert y.dtype == (torch.bfloat16 if half else torch.float32)
        (y.float() * torch.linspace(-1, 1, y.numel()).view(y.shape).bfloat16()).sum().backward()
        results.append((y.detach().float(), x.grad, weight.grad, bias.grad))
    assert all(precision.error(b, a) < 2**-7 for a, b in zip(*results, strict=True))  # twice the rounding of one number


@has_bfloat16
@pytest.mark.parametrize("name", ["first-minute", "dcgan-fid-cifar10", "acgan-cifar10"])
def test_nets_lie_within_the_bounds_of_the_self_test(name):
    recipe = RECIPES[name].but(g_width=16, d_width=16, batch_size=8, steps=1)
    trainer = Trainer(recipe, np.zeros((20, 3, 32, 32), np.uint8), "cpu", labels=np.arange(20) % 10)
    before = state(trainer)
    nets = trainer.generator, trainer.discriminator
    (_, images, gradients), (_, rounded, others) = (precision.passes(nets, recipe, half) for half in (False, True))
    assert 0 < precision.error(rounded, images) < precision.IMAGE_ERROR
    assert all(precision.error(b, a) < precision.GRADIENT_ERROR for a, b in zip(gradients, others, strict=True))
    assert same(before, state(trainer))  # neither statistics nor gradients were touched


def test_a_wrong_or_slow_bfloat16_is_not_used(monkeypatch):
    monkeypatch.setattr(precision, "supported", lambda: True)
    seconds = {False: 1.0, True: 0.5}
    image, gradient = torch.ones(4), [torch.ones(3), torch.ones(3)]
    wrong = {}

    def passes(nets, recipe, half):
        return (
            seconds[half],
            image + wrong.get("image", 0) * half,
            [g + wrong.get("gradient", 0) * half for g in gradient],
        )

    def pays():
        return precision.pays.__wrapped__(TINY, 1, seconds=0)

    monkeypatch.setattr(precision, "passes", passes)
    assert pays()
    for what in ("image", "gradient"):
        wrong[what] = 0.5
        assert not pays()
        wrong.clear()
    wrong["image"] = float("nan")
    assert not pays()
    wrong.clear()
    seconds[True] = 0.95
    assert not pays()


@has_bfloat16
@pytest.mark.parametrize(
    "changes", [dict(), dict(net={"d_norm": "spectral"}, loss="hinge", augment="color", r1=0.1, flip=True)]
)
def test_a_run_in_bfloat16_resumes_bit_for_bit(tmp_path, changes):
    recipe = TINY.but(steps=6, **changes)
    whole, first, second = (Trainer(recipe, IMAGES, "cpu") for _ in range(3))
    for trainer in (whole, first):
        trainer.use_bfloat16()
    whole.fit()
    for _ in range(3):
        first.rows.append(first.train_step().tolist())
    checkpoints.save(first, tmp_path)
    checkpoints.restore(second, tmp_path / "checkpoint.safetensors")
    second.fit()
    assert second.bfloat16 and same(state(whole), state(second))
    assert np.array_equal(whole.rows.table, second.rows.table)
    assert "cpu in bfloat16" in checkpoints.machine(second)
    plain = Trainer(recipe, IMAGES, "cpu").fit()
    assert not same(state(plain), state(whole))
    assert all(t.dtype in (torch.float32, torch.int64) for t in state(whole).values())


def test_a_run_keeps_what_the_first_test_chose(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("GAN_COURSE_FAST")
    monkeypatch.setattr(runs, "choose", lambda: 1)
    monkeypatch.setattr(precision, "supported", lambda: True)
    asked, answers = [], [True, False]
    monkeypatch.setattr(precision, "pays", lambda recipe, threads: asked.append(threads) or answers.pop(0))
    options = dict(device="cpu", progress=False)
    assert runs.train(TINY, SET, tmp_path / "half", **options).bfloat16
    assert "bfloat16" in capsys.readouterr().err
    assert runs.train(TINY.but(steps=8), SET, tmp_path / "half", resume=True, **options).bfloat16
    assert not runs.train(TINY, SET, tmp_path / "single", **options).bfloat16
    assert not runs.train(TINY.but(steps=8), SET, tmp_path / "single", resume=True, **options).bfloat16
    assert not runs.train(TINY.but(amp=False), SET, tmp_path / "never", **options).bfloat16
    assert asked == [1, 1]  # neither resumed runs nor amp=False ask
    monkeypatch.setattr(precision, "supported", lambda: False)
    assert not runs.train(TINY.but(steps=9), SET, tmp_path / "half", resume=True, **options).bfloat16
    assert "goes on in float32" in capsys.readouterr().out


def test_short_runs_under_test_stay_in_float32(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "pays", lambda *_: pytest.fail("asked"))
    assert not runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False).bfloat16


def test_losses_are_taken_in_single_precision():
    trainer = Trainer(TINY.but(ema=0), IMAGES, "cpu")
    trainer.autocast = torch.autocast("cpu", torch.bfloat16)
    seen = []
    trainer.descend = lambda optimizer, loss: seen.append(loss.dtype)
    trainer.train_step()
    assert seen == [torch.float32, torch.float32]
