"""Who chooses, by which images, how often; who is caught copying; and when a Fréchet distance is refused."""

import io
import math
import types
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gan_helpers import callbacks, evaluation, features, runs
from gan_helpers.data import SETS, load, splits
from gan_helpers.errors import CourseError
from gan_helpers.evaluation import Judge, evaluate
from gan_helpers.metrics import METRICS
from gan_helpers.recipes import RECIPES

FASHION = SETS["fashion"].whole()
DEFAULT = {name for name, metric in METRICS.items() if metric.default}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """One for all tests: they look at the same images through the same network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_HELPERS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(SETS["fashion"], "whole", lambda: FASHION)
        yield


class Stored(torch.nn.Module):
    """A generator that gives images uint8 (N, C, S, S) which it keeps, one by one."""

    latent_dim = 4

    def __init__(self, images):
        super().__init__()
        self.images = torch.nn.Parameter(torch.from_numpy(np.array(images)).float() / 127.5 - 1, requires_grad=False)
        self.given = 0

    def forward(self, z):
        rows = torch.arange(self.given, self.given + len(z)) % len(self.images)
        self.given += len(z)
        return self.images[rows]


def judge_of(name="fashion", **options):
    return Judge(name, "fashion-net", channels=1, image_size=28, **options)


def test_a_judge_looks_at_the_images_that_choose_and_never_at_those_that_report():
    judge = judge_of(n=200)
    choose, report = load("fashion", split="choose"), load("fashion", split="report")
    assert judge.reference.real.name == "fashion-choose" and judge.name == "KD(fashion-net)"
    assert (judge.reference.real.images == choose.images).all()
    assert not {i.tobytes() for i in choose.images} & {i.tobytes() for i in report.images}


def test_an_honest_generator_gets_a_finite_score_and_a_copier_of_what_it_is_judged_by_infinity():
    judge = judge_of(n=600)
    thief, honest = (
        Stored(load("fashion", split="choose").images[:500]),
        Stored(load("fashion", split="held-out").images),
    )
    noise = Stored(np.random.default_rng(0).integers(0, 256, (600, 1, 28, 28), np.uint8))
    one = Stored(load("fashion", split="held-out").images[:1])
    assert judge(thief) == math.inf
    for net in (honest, noise, one):
        assert math.isfinite(judge(net))
    # what the thief would have had
    plain = evaluation.kid(evaluation.Pairs(judge.reference.fakes(evaluation.draw(thief, 600, 0))[0], judge.real)).value
    assert plain < min(judge(net) for net in (honest, noise, one))


def test_who_knows_all_training_images_by_heart_is_caught_by_the_few_that_choose():
    train = load("fashion").images
    thief = Stored(train[np.random.default_rng(0).permutation(len(train))[:1000]])
    assert judge_of(n=1000)(thief) == math.inf


def test_a_judge_of_few_photos_and_of_none_held_out(tmp_path):
    photos = [png(image[0]) for image in FASHION.images[:200]]
    held = [splits.rank(photo) >= 0.9 for photo in photos]
    train = [photo for photo, out in zip(photos, held, strict=True) if not out]
    for count, words in (
        (9, "has 9 images, of which none is held out"),
        (30, "has 30 images, of which none is held out"),
    ):
        (tmp_path / f"{count}").mkdir()
        for k, photo in enumerate(train[:count]):
            (tmp_path / f"{count}" / f"{k}.png").write_bytes(photo)
        with pytest.raises(CourseError, match=words):
            judge_of(tmp_path / f"{count}")


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_where_many_are_held_out_a_judge_chooses_by_some_of_them_and_needs_no_guard(monkeypatch):
    official = {"train": FASHION.take(slice(5000), "mnist"), "test": FASHION.take(slice(5000, None), "mnist")}
    monkeypatch.setattr(SETS["mnist"], "official", official.get)
    judge = judge_of("mnist", n=100)
    choose, report = (load("mnist", split=split) for split in ("choose", "report"))
    assert judge.held_out is None and judge.reference.real.name == "mnist-choose"
    assert len(judge.real) == len(choose) and len(choose) + len(report) == 5000
    assert not {i.tobytes() for i in choose.images} & {i.tobytes() for i in report.images}
    assert math.isfinite(judge(Stored(choose.images[:100])))


# --- how often ---


def scored_at(tmp_path, most, steps, every):
    judge = types.SimpleNamespace(name="KD(x)", **({} if most is None else {"most": most}))
    scores = callbacks.Scores(tmp_path, judge, every)
    seen = []
    scores.score = lambda trainer: seen.append(trainer.step) or scores.scores.append((trainer.step, 1.0))

    class Run:
        step, total = 0, steps

        @property
        def progress(self):
            return min(1.0, self.step / self.total)

    run = Run()
    scores.start(run)
    for run.step in range(1, steps + 1):  # noqa: B020 (the callback reads it)
        scores.step(run)
    scores.stop(run)
    return seen


@pytest.mark.parametrize(("steps", "every"), [(1000, 1), (1000, 10), (1500, 100), (997, 7), (16, 1), (150_000, 500)])
def test_a_slow_judge_is_asked_fifteen_times_a_run_at_most_and_at_its_end(steps, every, tmp_path):
    seen = scored_at(tmp_path, 15, steps, every)
    assert len(seen) <= 15 and seen[-1] == steps and all(step % every == 0 for step in seen[:-1])
    assert len(seen) >= 14 or len(seen) >= steps // every


@pytest.mark.parametrize("most", [None, 10**9])
def test_a_quick_judge_is_asked_every_time(most, tmp_path):
    assert scored_at(tmp_path, most, 100, 7) == [*range(7, 100, 7), 100]


def test_a_slow_network_makes_a_slow_judge(monkeypatch):
    net = features.load("fashion-net")
    for slow, most in ((True, 15), (False, 10**9)):
        monkeypatch.setattr(features, "load", lambda _, slow=slow: replace(net, slow=slow))
        assert judge_of(n=10).most == most


def test_a_copier_leaves_a_gap_and_is_never_the_best_of_a_run(tmp_path):
    recipe = RECIPES["first-minute"].but(image_size=16, g_width=4, d_width=4, steps=4)
    values = iter([math.inf, 3.0])
    judge = type("J", (), {"name": "KD(x)", "most": 15, "__call__": lambda self, net: next(values)})()
    runs.train(recipe, load("fashion"), tmp_path / "run", judge=judge, score_every=2, device="cpu", progress=False)
    assert callbacks.read_scores(tmp_path / "run")[1] == [(2, math.inf), (4, 3.0)]
    from gan_helpers import checkpoints

    assert checkpoints.read(tmp_path / "run" / "best.safetensors")[1]["score"] == "KD(x) 3"


# --- the Fréchet distance and few images ---


@pytest.fixture
def fakes(tmp_path):
    np.save(tmp_path / "fakes.npy", load("fashion").images[:400].transpose(0, 2, 3, 1))
    return tmp_path / "fakes.npy"


def test_no_frechet_distance_of_fewer_images_than_twice_the_features(fakes):
    options = dict(network="fashion-net", progress=False)
    few = evaluate(fakes, "fashion", n=383, **options)
    assert "frechet" not in few and set(few) == DEFAULT - {"frechet"}
    assert set(evaluate(fakes, "fashion", n=384, **options)) == DEFAULT
    with pytest.raises(CourseError, match="through fashion-net needs at least 384 images .* here are 383") as error:
        evaluate(fakes, "fashion", n=383, metrics=("kernel", "frechet"), **options)
    assert "network with fewer features" not in str(error.value)  # there is none
    assert set(evaluate(fakes, "fashion", n=383, metrics=("kernel",), **options)) == {"kernel"}


@pytest.mark.skipif(not features.imagenet_installed(), reason="needs the extra 'judge' (pip)")
def test_through_imagenet_it_needs_thousands_and_a_smaller_network_is_named(fakes):
    words = "through imagenet needs at least 2,560 images .* here are 400.* such as fashion-net"
    with pytest.raises(CourseError, match=words):
        evaluate(fakes, "fashion", metrics=("frechet",), network="imagenet", progress=False)
