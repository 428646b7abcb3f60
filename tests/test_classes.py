"""Training and sampling with classes: class heads, conditional nets, and a pair of nets a class."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from gan_helpers import checkpoints, data, generators, latent, runs
from gan_helpers.__main__ import main
from gan_helpers.batches import Batches
from gan_helpers.errors import CourseError
from gan_helpers.losses import bce_d, bce_g
from gan_helpers.recipes import RECIPES, Recipe
from gan_helpers.tensors import save_tensors
from gan_helpers.training import Trainer

rng = np.random.default_rng(0)
IMAGES, LABELS = rng.integers(0, 256, (50, 3, 16, 16), dtype=np.uint8), np.arange(50) % 3
TINY = Recipe("tiny", image_size=16, latent_dim=6, g_width=4, d_width=4, batch_size=8, steps=6)
PAIRS = TINY.but(labels="pairs", num_classes=3)
TOLD = TINY.but(family="small", labels="conditional", num_classes=3, net={"d_norm": "spectral"}, loss="hinge", ema=0.9)
HEADED = RECIPES["acgan-cifar10"].but(num_classes=3, latent_dim=6, g_width=2, d_width=2, batch_size=8, steps=6)
SET = data.ImageSet(IMAGES, "noise", LABELS, ("bird", "cat", "deer"))


def trainer_of(recipe, dtype=torch.float32):
    return Trainer(recipe, SET.resized(recipe.image_size, 3).images, "cpu", dtype, LABELS, SET.class_names)


def state(trainer):
    return {p + k: v.clone() for p, part in checkpoints.parts(trainer).items() for k, v in part.items()}


@pytest.mark.parametrize(
    "recipe",
    [TOLD.but(net={"attention": True}, augment="color,translation"), PAIRS.but(ema=0.9, d_steps=2), HEADED,
     TOLD.but(labels="acgan"), TINY.but(family="small", net={"d_norm": "none"}, loss="wasserstein", gp=10),
     TINY.but(target_noise=0.1)],
    ids=["conditional", "pairs", "acgan", "acgan in our nets", "gradient penalty", "random targets"],
)  # fmt: skip
def test_resume_is_bit_for_bit(tmp_path, recipe):
    whole, first, second = trainer_of(recipe).fit(), trainer_of(recipe), trainer_of(recipe)
    for _ in range(4):
        first.rows.append(first.train_step().tolist())
    checkpoints.save(first, tmp_path)
    checkpoints.restore(second, tmp_path / "checkpoint.safetensors")
    a, b = state(whole), state(second.fit())
    assert all(torch.equal(a[k], b[k]) for k in a) and np.array_equal(whole.rows.table, second.rows.table)


@pytest.mark.parametrize("kind", ["real", "acgan"])
def test_class_losses_by_hand(kind):
    trainer = trainer_of(HEADED.but(labels=kind), torch.float64)
    with trainer.seeded(1, 0):
        real, y, z = trainer.real_batch(0), trainer.batches.classes(0), trainer.sample_z()
    assert y.tolist() == LABELS[trainer.batches.rows(0)].tolist()
    g, d = copy.deepcopy(trainer.generator), copy.deepcopy(trainer.discriminator)
    d_loss, g_loss, *_ = trainer.train_step()
    fake = g(z, y) if kind == "acgan" else g(z)
    (a, a_kinds), (b, b_kinds) = d(real), d(fake)
    named = -sum(a_kinds[i].log_softmax(0)[y[i]] for i in range(8)) / 8
    named_fakes = -sum(b_kinds[i].log_softmax(0)[y[i]] for i in range(8)) / 8
    expected = bce_d(a, b) + named + (named_fakes if kind == "acgan" else 0)
    assert d_loss.item() == pytest.approx(expected.item(), rel=1e-9)
    b, b_kinds = trainer.discriminator(fake)  # updated, as it was when G's loss was made
    expected = bce_g(b) + (F.cross_entropy(b_kinds, y) if kind == "acgan" else 0)
    assert g_loss.item() == pytest.approx(expected.item(), rel=1e-9)


def test_fakes_have_the_classes_of_the_real_batch(monkeypatch):
    trainer, seen = trainer_of(TOLD), []
    for net in (trainer.generator, trainer.discriminator):
        forward = net.forward
        monkeypatch.setattr(net, "forward", lambda x, y, forward=forward: seen.append(y.tolist()) or forward(x, y))
    trainer.train_step()
    y = LABELS[trainer.batches.rows(0)].tolist()
    assert seen == [y, y + y, y]  # G; D on real and fake together; D for G


def test_classes_take_turns_and_every_image_its_place():
    batches = Batches(np.arange(50, dtype=np.uint8)[:, None, None, None], 4, 0, torch.device("cpu"), LABELS, 2)
    assert [batches.classes(i) for i in range(8)] == [0, 0, 1, 1, 2, 2, 0, 0]
    stream = torch.cat([batches[i].flatten() for i in range(60) if batches.classes(i) == 1])
    own = np.flatnonzero(LABELS == 1).tolist()  # 17
    for epoch in stream[: len(stream) // 17 * 17].split(17):
        assert sorted(epoch.tolist()) == own
    assert torch.equal(batches[3].flatten(), stream[4:8])  # any batch, in any order


def test_a_pair_trains_as_it_would_alone(monkeypatch):
    """Bit for bit: the other pairs, and the moments that their optimisers keep, change nothing."""
    together, alone = trainer_of(PAIRS.but(ema=0.9)), Trainer(TINY.but(ema=0.9), IMAGES[LABELS == 1], "cpu")
    for net in ("generator", "discriminator", "ema"):
        getattr(alone, net).load_state_dict(getattr(together, net).nets[1].state_dict())
    monkeypatch.setattr(alone, "real_batch", lambda i: together.real_batch(3 * i + 1))
    z = iter([(together.seeded(1, 3 * i + 1), 0) for i in range(3)])

    def sample_z():
        with next(z)[0]:
            return together.sample_z()

    monkeypatch.setattr(alone, "sample_z", sample_z)
    for step in range(9):
        before = state(together)
        together.train_step()
        changed = {k for k, v in state(together).items() if not torch.equal(v, before[k]) and ".nets." in k}
        assert changed and all(f".nets.{step % 3}." in k for k in changed)
    for _ in range(3):
        alone.train_step()
    for net in ("generator", "discriminator", "ema"):
        mine = getattr(together, net).nets[1].state_dict()
        assert all(torch.equal(v, mine[k]) for k, v in getattr(alone, net).state_dict().items())


def test_random_targets_stay_in_their_range():
    trainer = trainer_of(RECIPES["dcgan-fid-cifar10"].but(g_width=2, d_width=2, batch_size=500))
    real, fake = trainer.targets()
    assert real.shape == fake.shape == (500,) and not torch.equal(1 - real, fake)
    assert 0.9 <= real.min() < 0.91 and 0.99 < real.max() <= 1 and 0 <= fake.min() < 0.01 and 0.09 < fake.max() <= 0.1


def test_labels_that_do_not_fit_are_told():
    for labels in (None, LABELS % 2, LABELS + 1):
        with pytest.raises(CourseError, match="needs images of 3 classes.*set num_classes"):
            Trainer(TOLD, IMAGES, "cpu", labels=labels)
    with pytest.raises(CourseError, match="BatchNorm in D"):
        Trainer(TINY.but(gp=10), IMAGES, "cpu")


@pytest.fixture
def run(tmp_path):
    runs.train(TOLD.but(steps=2), SET, tmp_path / "run", device="cpu", progress=False)
    return tmp_path / "run"


def test_pictures_show_a_class_in_each_row(run):
    assert Image.open(run / "samples.png").size == (8 * 18 - 2, 3 * 18 - 2)
    assert Image.open(run / "training.gif").size == (4 * 18 - 2, 3 * 18 - 2)
    generator = generators.load_generator(run)
    assert generator.class_names == SET.class_names


def test_sampling_by_class(run, tmp_path, capsys):
    assert main(["export", str(run), "--out", str(tmp_path / "mine.safetensors")]) == 0
    for source in (run, tmp_path / "mine.safetensors"):
        for k, name in enumerate(("cat", "1")):
            assert main(["sample", str(source), "--class", name, "--n", "5", "--out", str(tmp_path / f"{k}.npy")]) == 0
        generator = generators.load_generator(source)
        assert generator.class_names == ("bird", "cat", "deer") and generator.num_classes == 3
        a, b = np.load(tmp_path / "0.npy"), np.load(tmp_path / "1.npy")
        assert (a == b).all()
        images = latent.generate(generator, latent.draw_z(5, 6), torch.full((5,), 1))
        assert ((images.permute(0, 2, 3, 1) + 1) * 127.5 - torch.tensor(a)).abs().max() <= 1
        z = latent.draw_z(7, 6)
        in_turn = latent.generate(generator, z, torch.tensor([0, 1, 2, 0, 1, 2, 0]))
        torch.testing.assert_close(latent.generate(generator, z, batch=3), in_turn)
    for name, told in {
        "cats": "Did you mean 'cat'? Classes: bird, cat, deer.",
        "3": "no class '3'",
        "-1": "'-1'",
    }.items():
        assert main(["sample", str(run), f"--class={name}", "--out", str(tmp_path / "x.npy")]) == 1
        assert told in capsys.readouterr().err
    runs.train(TINY.but(steps=1), SET, tmp_path / "plain", device="cpu", progress=False)
    assert main(["sample", str(tmp_path / "plain"), "--class", "cat", "--out", str(tmp_path / "x.npy")]) == 1
    assert "draws no class at will" in capsys.readouterr().err


def test_a_file_without_its_class_names_is_told(run, tmp_path):
    _, header, tensors = checkpoints.read(run / "checkpoint.safetensors")
    for classes, told in (("[]", "names 0"), ("{", "damaged"), ("5", "damaged")):
        save_tensors(tmp_path / "x.safetensors", tensors, header | {"classes": classes})
        with pytest.raises(CourseError, match=told):
            generators.load_generator(tmp_path / "x.safetensors")
