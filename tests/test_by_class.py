"""Generators of which one knows how well they draw each class, and what the table of classes says of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gan_helpers import by_class, classifier, data, evaluation, features
from gan_helpers.__main__ import main
from gan_helpers.by_class import ALIKE, MORE, WORSE, Share
from gan_helpers.data import SETS
from gan_helpers.errors import CourseError
from gan_helpers.metrics import Estimate, Pairs, kid, precision_recall

FASHION = SETS["fashion"].whole()


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """One for all tests: they look at the same images through the same network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_HELPERS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(SETS["fashion"], "whole", lambda: FASHION)
        yield


@pytest.fixture(scope="module")
def judges(tmp_path_factory, cache):
    """Two classifiers that learned from every other training image, little."""
    folder, train = tmp_path_factory.mktemp("judges"), data.load("fashion")
    files = [folder / "judge-1.safetensors", folder / "judge-2.safetensors"]
    for seed, file in enumerate(files, 1):
        options = dict(width=32, epochs=3, seed=seed, device="cpu")
        classifier.train_classifier(train.take(slice(0, None, 2), "half"), train, file, **options)
    return files


class Drawing(torch.nn.Module):
    """A generator that gives images uint8 (n, C, S, S) of each class, one after the other."""

    latent_dim = 4

    def __init__(self, images):
        super().__init__()
        self.images, self.num_classes, self.given = images, len(images), [0] * len(images)
        self.unused = torch.nn.Parameter(torch.zeros(()))

    def forward(self, z, labels):
        rows = []
        for k in labels.tolist():
            rows.append(self.images[k][self.given[k] % len(self.images[k])])
            self.given[k] += 1
        return torch.from_numpy(np.stack(rows)).float() / 127.5 - 1


def others():
    """Of each class the training images that no judge saw, uint8 (n, 1, 28, 28)."""
    train = data.load("fashion").take(slice(1, None, 2), "others")
    return [train.images[train.labels == k] for k in range(10)]


def measured(images, judges, **options):
    return by_class.by_class(Drawing(images), "fashion", classifiers=judges, network=judges[0], **options)


def test_reals_that_nobody_saw_are_not_told_from_reals(judges):
    found = measured(others(), judges, n=200)
    assert [row.name for row in found.rows] == list(FASHION.class_names)
    assert {row.recognised for row in found.rows} == {ALIKE} and by_class.WARNING not in str(found)
    for row in found.rows:
        assert abs(row.kernel.value) < 4 * row.kernel.error and [share.n for share in row.fakes] == [200, 200]
        assert row.precision > 0.5 and row.recall > 0.5 and row.coverage > 0.5


def test_a_class_that_is_drawn_as_another_is_found(judges):
    images = others()
    images[1], images[8] = images[8], images[1]  # trousers and bags
    found = measured(images, judges, n=100)
    assert [k for k, row in enumerate(found.rows) if row.recognised == WORSE] == [1, 8]
    for row in (found.rows[1], found.rows[8]):
        assert row.kernel.value > 20 * row.kernel.error and row.coverage < 0.1 and row.fakes[0].value < 0.1


def test_caricatures_are_warned_of(judges):
    """The few images of which another network is surest look more like their class than reals do, and are too few."""
    net, images = classifier.load_classifier("fashion-net"), [some[:200] for some in others()]
    sure = [net.answers(torch.from_numpy(images[k]))["class"][:, k].argsort(descending=True) for k in range(10)]
    found = measured([some[rows[:20].numpy()] for some, rows in zip(images, sure, strict=True)], judges, n=200)
    told = [row.recognised for row in found.rows]
    assert MORE in told and WORSE not in told and by_class.WARNING in str(found)
    row = found.rows[told.index(MORE)]
    assert all(fakes.value > reals.value for fakes, reals in zip(row.fakes, row.reals, strict=True))


def test_a_share_is_given_with_wilsons_interval():
    assert Share(8, 10).interval() == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Newcombe 1998's formula, by hand
    assert Share(0, 20).interval()[0] == pytest.approx(0) and Share(20, 20).interval()[1] == pytest.approx(1)
    assert Share(56, 70).minus(Share(48, 80)) == pytest.approx((0.0524, 0.3339), abs=1e-4)  # Newcombe 1998, table II
    assert str(Share(8, 10)) == "80% (49% to 94%)"


def test_intervals_hold_what_they_promise():
    rng, held, within, told = np.random.default_rng(0), 0, 0, 0
    for _ in range(2000):
        share, real = Share(int(rng.binomial(60, 0.9)), 60), Share(int(rng.binomial(40, 0.8)), 40)
        held += share.interval()[0] <= 0.9 <= share.interval()[1]
        within += share.minus(real)[0] <= 0.1 <= share.minus(real)[1]
    assert 0.93 < held / 2000 < 0.97 and 0.93 < within / 2000 < 0.98  # .95, whose standard error here is .005
    for _ in range(300):  # tables of ten classes without a difference: at most one of twenty tells of one
        shares = [(Share(int(rng.binomial(100, p)), 100), Share(int(rng.binomial(80, p)), 80)) for p in [0.85] * 10]
        told += any(by_class.verdict((fakes,) * 2, (reals,) * 2, 10) != ALIKE for fakes, reals in shares)
    assert told / 300 < 0.05 + 2 * 0.0126  # two standard errors


def test_the_numbers_of_a_class_are_those_of_its_images(judges):
    images, net, report = (
        [some[:30] for some in others()],
        features.load(judges[0]),
        data.load("fashion", split="report"),
    )
    row, own = measured(images, judges, n=30).rows[3], report.images[report.labels == 3]
    pairs = Pairs(net(images[3]), net(own))
    assert row.kernel.value == pytest.approx(kid(pairs).value) and row.kernel.error == pytest.approx(kid(pairs).error)
    four = precision_recall(pairs)
    assert (row.precision, row.recall, row.coverage) == (four["precision"], four["recall"], four["coverage"])
    for k, judge in enumerate(judges):  # class 3 is the third of ten logits' names in both
        for share, some in ((row.fakes[k], images[3]), (row.reals[k], own)):
            named = features.load(judge).with_logits(some)[1].argmax(1) == 3
            assert share == Share(int(named.sum()), len(some))


def test_each_class_is_drawn_n_times_from_latents_that_no_class_shares_and_the_seed_decides(judges, monkeypatch):
    asked = []
    forward = Drawing.forward
    monkeypatch.setattr(Drawing, "forward", lambda net, z, y: asked.append((z, y)) or forward(net, z, y))
    drawn = []
    for seed in (0, 0, 1):
        asked.clear()
        measured(others(), judges, n=12, seed=seed)
        z, labels = (torch.cat(parts) for parts in zip(*asked[1:], strict=True))  # the first asks for the size
        assert torch.equal(torch.bincount(labels), torch.full((10,), 12)) and len(z.unique(dim=0)) == 120
        drawn.append(z)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_a_table_a_plot_and_json_tell_the_same(judges, tmp_path):
    found = measured(others(), judges, n=10)
    told = json.loads(found.to_json())
    row = found.rows[9]
    assert told["rows"][9]["kernel"] == {"value": row.kernel.value, "error": row.kernel.error}
    assert told["rows"][9]["fakes"][0]["interval"] == list(row.fakes[0].interval()) and told["protocol"]["n"] == 100
    line = str(found).splitlines()[10]
    for part in ("Ankle boot", f"{1000 * row.kernel.value:.1f} ± {1000 * row.kernel.error:.1f}", str(row.reals[1])):
        assert part in line
    figure = found.plot()
    assert {label.get_text() for label in figure.axes[0].get_yticklabels()} == set(FASHION.class_names)
    figure.savefig(tmp_path / "x.png")
    assert Image.open(tmp_path / "x.png").width == 1000


def test_a_plot_of_many_classes_shows_the_worst(judges):
    found = measured(others(), judges, n=10)
    rows = [replace(found.rows[0], name=str(k), kernel=Estimate(k, 1.0)) for k in range(1000)]
    labels = [label.get_text() for label in replace(found, rows=tuple(rows)).plot().axes[0].get_yticklabels()]
    assert labels == [str(k) for k in range(960, 1000)]


def test_a_net_may_name_the_classes_in_another_order(judges, tmp_path):
    half = data.load("fashion").take(slice(0, None, 8), "eighth")
    turned = replace(half, labels=9 - half.labels, class_names=FASHION.class_names[::-1])
    out = tmp_path / "turned.safetensors"
    classifier.train_classifier(turned, turned, out, width=32, epochs=3, device="cpu")
    right = measured(others(), [judges[0], out], n=20).rows[1].reals[1]
    assert right.value > 0.5  # trousers, which are its eighth


def one_line(error, *words):
    text = str(error.value)
    assert all(word in text for word in words) and "\n" not in text


@pytest.mark.parametrize("take, words", [
    ((), ("takes two different classifiers of T-shirt/top", "python -m gan_helpers network fashion --seed 1 --out")),
    ((0,), ("takes two different classifiers", "--classifiers")),
    ((0, 0), ("takes two different classifiers",)),
    (("copy", 0), ("takes two different classifiers",)),
    ((0, "faces-net"), ("faces-net.safetensors names other classes than T-shirt/top",)),
    ((0, "nowhere.safetensors"), ("nowhere.safetensors is damaged or is no safetensors file",)),
])  # fmt: skip
def test_recognition_takes_two_classifiers_of_the_sets_classes(take, words, judges, tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(judges[0].read_bytes())
    paths = [judges[x] if isinstance(x, int) else copy if x == "copy" else x for x in take]
    with pytest.raises(CourseError) as error:
        by_class.by_class(Drawing(others()), "fashion", classifiers=paths, network=judges[0], n=10)
    one_line(error, *words)


def test_bad_generators_and_too_few_images_are_told_in_a_sentence(judges, monkeypatch, tmp_path):
    options = dict(classifiers=judges, network=judges[0])
    np.save(tmp_path / "x.npy", np.zeros((20, 28, 28, 1), np.uint8))
    for source in ("dcgan-faces", tmp_path / "x.npy"):
        with pytest.raises(CourseError) as error:
            by_class.by_class(source, "fashion", **options)
        one_line(error, "draws no class at will", "conditional generator")
    with pytest.raises(CourseError, match="give at least 10, better hundreds; got 9"):
        measured(others(), judges, n=9)
    named = Drawing(others())
    named.class_names = tuple("abcdefghij")
    for net, images, words in ((named, "fashion", "a, b"), (Drawing(others()[:3]), "fashion", "0, 1, 2")):
        with pytest.raises(CourseError) as error:
            by_class.by_class(net, images, **options)
        one_line(error, f"Drawing draws {words}", "T-shirt/top", "give the data set that it learned from")
    rows = np.flatnonzero((FASHION.labels != 2) | (np.arange(len(FASHION)) < 500))
    monkeypatch.setattr(SETS["fashion"], "whole", lambda: FASHION.take(rows, "fashion"))
    with pytest.raises(CourseError) as error:
        measured(others(), judges, n=10)
    one_line(error, "Class Pullover of fashion has", "images to measure by")


def test_the_command_writes_a_plot_or_everything(judges, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluation, "open_source", lambda source: Drawing(others()))
    command = ["evaluate-classes", "mine", "--data", "fashion", "--n", "10", "--features", str(judges[0])]
    command += ["--classifiers", *map(str, judges), "--out"]
    assert main([*command, str(tmp_path / "x.png")]) == 0 and "Ankle boot" in capsys.readouterr().out
    assert main([*command, str(tmp_path / "x.json"), "--seed", "3"]) == 0
    assert json.loads((tmp_path / "x.json").read_text())["seed"] == 3 and Image.open(tmp_path / "x.png").width == 1000
    assert main([*command, "x.txt"]) == 1 and "--out must end in .png or .json" in capsys.readouterr().err
    assert main(["evaluate-classes", "dcgan-faces", "--data", "faces"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_classifiers_that_name_classes_choose_no_generator(monkeypatch, judges):
    with pytest.raises(CourseError, match="only names classes of finished generators"):
        evaluation.Judge("fashion", judges[0], channels=1, image_size=28)
