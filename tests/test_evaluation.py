"""Scores with their protocol, the command that makes them, and scoring while training."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from gan_helpers import checkpoints, data, evaluation, features, generators, runs, tensors
from gan_helpers.__main__ import main
from gan_helpers.errors import CourseError
from gan_helpers.evaluation import Score
from gan_helpers.metrics import METRICS, Estimate, Metric, Pairs, copying, frechet_distance, kid
from gan_helpers.recipes import RECIPES

SCORE = Score(
    metric="frechet", value=12.3, spread=0.4, floor=1.5, subject="x", draws=3, n=1000,
    reference="faces-held-out, 1,000 images abcd1234", network="faces-net", weights="12345678", resize="none",
    pixels="64x64 colour",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """One for all tests: features of the same real images are computed once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_HELPERS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_a_score_prints_its_whole_protocol_as_one_line():
    text = str(SCORE)
    for part in (
        "FD(faces-net) 12.3 ± 0.4",
        "real images 1.5",
        "3 x 1,000 images",
        "faces-held-out",
        "abcd1234",
        "12345678",
        "64x64 colour",
    ):
        assert part in text
    assert SCORE.day in text and "\n" not in text


def test_an_error_is_told_where_the_metric_has_one():
    with_error = replace(SCORE, metric="kernel", error=0.06)
    assert "12.3 ± 0.4, error 0.06, real images 1.5" in str(with_error) and "error" not in str(SCORE)
    rows = evaluation.table({"frechet": SCORE, "kernel": with_error}).splitlines()
    assert rows[0].split()[:3] == ["value", "spread", "error"] and rows[3] == evaluation.Protocol.__str__(SCORE)
    assert [row.split()[1:5] for row in rows[1:3]] == [["12.3", "0.4", "-", "1.5"], ["12.3", "0.4", "0.06", "1.5"]]


def test_two_scores_are_compared_in_words():
    better = replace(SCORE, subject="mine", value=10.3, spread=0.3, draws=5)
    worse = replace(better, subject="yours", value=12.3, spread=0.4)
    found = evaluation.compare(better, worse)
    half = 2.776 * ((0.3**2 + 0.4**2) / 5) ** 0.5
    assert (found.low, found.high) == pytest.approx((-2 - half, -2 + half)) and found.sure
    assert str(found).startswith("mine is better than yours: FD(faces-net) differs by -2 (-2.62 to -1.38).")
    assert str(evaluation.compare(worse, better)).startswith("mine is better than yours")  # whichever comes first
    alike = evaluation.compare(better, replace(worse, value=10.8))
    assert not alike.sure and str(alike).startswith("mine and yours: no difference seen")
    shares = [replace(score, metric="precision") for score in (better, worse)]
    assert str(evaluation.compare(*shares)).startswith("yours is better than mine")  # where more is better
    single = replace(SCORE, metric="kernel", spread=None, error=0.5)
    assert evaluation.compare(single, single).high == pytest.approx(1.96 * 0.5 * 2**0.5)
    with pytest.raises(CourseError, match="of a single draw has no interval"):
        evaluation.compare(replace(SCORE, spread=None), SCORE)
    with pytest.raises(CourseError, match="cannot be compared: n 1000 against 500"):
        evaluation.compare(SCORE, replace(SCORE, n=500))


def test_intervals_cover_what_they_should():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(2000):
        draws = rng.normal(3, 0.5, 4)
        score = replace(SCORE, value=draws.mean(), spread=draws.std(ddof=1), draws=4)
        covered += abs(score.value - 3) < evaluation.half_interval(score)
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)
    for freedom, known in ((1, 12.706), (5, 2.571), (12, 2.179), (30, 2.042), (np.inf, 1.960)):
        assert evaluation.student_t(freedom) == pytest.approx(known, rel=0.01)


def test_the_shipped_board_can_be_read():
    board = json.loads((generators.SHIPPED / "leaderboard.json").read_text("utf-8"))
    scores = [Score(**s) for judged in board.values() for by in judged["best"].values() for s in by.values()]
    assert scores and all(str(s) and s - s == 0 for s in scores)


def test_only_inceptions_distance_is_called_fid():
    assert replace(SCORE, network="inception").name == "FID"
    assert replace(SCORE, network="inception-pytorch-fid", metric="kernel").name == "KID"
    assert SCORE.name == "FD(faces-net)" and replace(SCORE, metric="kernel").name == "KD(faces-net)"


def test_the_kernel_distance_may_differ_in_n_because_it_has_no_bias():
    kernel = replace(SCORE, metric="kernel")
    assert kernel - replace(kernel, n=50) == 0


def test_scores_of_one_protocol_compare():
    better = replace(SCORE, value=10.0, subject="y", day="2000-01-01", spread=None, draws=1)
    assert better < SCORE and not better > SCORE and SCORE - better == pytest.approx(2.3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": 500}, "n 500 against 1000"),
        ({"reference": "faces, 9,000 images"}, "reference faces, 9,000 images against faces-held-out"),
        ({"network": "inception"}, "network inception against faces-net"),
        ({"weights": "87654321"}, "weights"),
        ({"resize": "bilinear"}, "resize bilinear against none"),
        ({"metric": "kernel"}, "metric kernel against frechet"),
        ({"pixels": "64x64 grey"}, "pixels 64x64 grey against 64x64 colour"),
    ],
)
def test_scores_of_unlike_protocols_do_not(change, words):
    for compare in (lambda a, b: a - b, lambda a, b: a < b, lambda a, b: b > a):
        with pytest.raises(CourseError, match=f"cannot be compared: .*{words}"):
            compare(replace(SCORE, **change), SCORE)
    with pytest.raises(TypeError):
        SCORE - 89.68


# --- evaluate ---


@pytest.fixture
def files(tmp_path):
    """Real faces that stand for samples: good ones, noisy ones, and copies of training images."""
    train, held_out = data.load("faces"), data.load("faces", split="held-out")
    rng = np.random.default_rng(0)
    noisy = (held_out.images[:400].astype(int) + rng.integers(-40, 41, (400, 3, 64, 64))).clip(0, 255).astype(np.uint8)
    for name, images in {"good": held_out.images[:400], "noisy": noisy, "copies": train.images[5000:5400]}.items():
        np.save(tmp_path / f"{name}.npy", images.transpose(0, 2, 3, 1))
    return tmp_path


def test_scores_know_noise_and_copies_and_come_with_a_floor(files):
    scores = {
        name: evaluation.evaluate(files / f"{name}.npy", "faces", network="faces-net", progress=False)
        for name in ("good", "noisy", "copies")
    }
    distance = {name: s["frechet"] for name, s in scores.items()}
    # what sets of 400 real images get by chance
    net, train, report = (
        features.load("faces-net"),
        data.load("faces").images,
        data.load("faces", split="report").images,
    )
    mixed, _ = evaluation.cached_features(train[np.random.default_rng(0).permutation(len(train))], net)
    real, _ = evaluation.cached_features(report, net)
    chance = [frechet_distance(mixed[k : k + 400], real) for k in range(0, 8000, 400)]
    assert distance["good"].floor == pytest.approx(chance[0])
    assert abs(distance["copies"].value - np.mean(chance)) < 4 * np.std(
        chance
    )  # it likes copies as it likes real images
    assert distance["good"] < distance["noisy"] and distance["noisy"].value > np.mean(chance) + 4 * np.std(chance)
    assert scores["copies"]["copying"].value == 1 and scores["good"]["copying"].value < 0
    first = distance["good"]
    assert first.draws == 1 and first.spread is None and first.n == 400 and "1,000 images" in first.reference


def test_fakes_that_are_all_the_same_are_told(tmp_path, capsys):
    np.save(tmp_path / "grey.npy", np.full((60, 64, 64, 3), 127, np.uint8))
    assert main(["evaluate", str(tmp_path / "grey.npy"), "--data", "faces", "--features", "faces-net"]) == 0
    shown = capsys.readouterr()
    assert "All 60 images of grey.npy are the same" in shown.err + shown.out and "KD(faces-net)" in shown.out


def test_a_generator_is_scored_on_fresh_draws():
    scores = evaluation.evaluate("dcgan-faces", "faces", n=400, network="faces-net", draws=2, progress=False)
    assert list(scores) == [name for name, metric in METRICS.items() if metric.default]
    assert all(s.draws == 2 and s.spread is not None and s.n == 400 for s in scores.values())
    assert scores["frechet"].spread > 0 and scores["frechet"].value > scores["frechet"].floor
    again = evaluation.evaluate("dcgan-faces", "faces", n=400, network="faces-net", draws=2, progress=False)
    assert again["frechet"].value == pytest.approx(scores["frechet"].value, rel=1e-4)


def test_features_of_real_images_are_computed_once(monkeypatch):
    images = data.load("fashion", split="held-out").images[:50]
    net = features.load("fashion-net")
    first = evaluation.cached_features(images, net)
    blind = replace(net, look=None)
    for mine, kept in zip(first, evaluation.cached_features(images, blind), strict=True):
        assert torch.equal(mine, kept)
    with pytest.raises(TypeError):
        evaluation.cached_features(images[::-1], blind)  # other images are another entry


def test_the_command_prints_a_table_and_writes_json(files, capsys):
    out = files / "scores.json"
    wanted = {*METRICS} - {"infinite"}  # which needs 768
    metrics = ",".join(wanted)
    arguments = [
        "evaluate",
        str(files / "good.npy"),
        "--data",
        "faces",
        "--n",
        "390",
        "--features",
        "faces-net",
        "--metrics",
        metrics,
        "--out",
        str(out),
    ]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    for part in ("FD(faces-net)", "KD(faces-net)", "CS(faces-net)", "density", "coverage", "real images", "faces-net "):
        assert part in shown
    found = json.loads(out.read_text())
    assert set(found) == wanted and found["frechet"]["n"] == 390 and found["frechet"]["name"] == "FD(faces-net)"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["good.npy", "--data", "faces", "--n", "401"], "holds 400 images, and n is 401"),
        (["good.npy", "--data", "faces", "--n", "5"], "too few"),
        (["good.npy", "--data", "faces", "--n", "0"], "too few"),
        (["good.npy", "--data", "faces", "--draws", "0"], "draws must be at least 1"),
        (["good.npy", "--data", "faces", "--metrics", ""], "No metric ''"),
        (["good.npy", "--data", "facess"], "No data set or folder 'facess'. Did you mean 'faces'"),
        (["good.npy", "--data", "faces", "--metrics", "fidd"], "No metric 'fidd'"),
        (["good.npy", "--data", "faces", "--features", "face-net"], "No network 'face-net'. Did you mean 'faces-net'"),
        (["floats.npy", "--data", "faces"], "must hold uint8 images"),
        (["text.npy", "--data", "faces"], "no array of images"),
        (["several.npy", "--data", "faces"], "no array of images"),
        (["absent", "--data", "faces"], "Nothing to score at 'absent'"),
        (["good.npy", "--data", "faces", "--labels", "data"], "a generator that draws the classes of faces at will"),
        (["good.npy", "--data", "faces", "--out", "scores.txt"], "--out must end in .json"),
    ],
)
def test_bad_arguments_are_told_in_one_line(arguments, words, files, capsys):
    np.save(files / "floats.npy", np.zeros((20, 8, 8, 3)))
    (files / "text.npy").write_text("hello")
    np.savez(files / "several.npz", np.zeros((20, 8, 8, 3), np.uint8))
    (files / "several.npz").rename(files / "several.npy")
    source = files / arguments[0]
    network = [] if "--features" in arguments else ["--features", "faces-net"]
    assert main(["evaluate", str(source) if source.suffix else arguments[0], *arguments[1:], *network]) == 1
    told = capsys.readouterr().err
    assert words in told and "Traceback" not in told


def test_a_metric_is_added_in_one_place(monkeypatch, tmp_path, capsys):
    gap = Metric(
        "distance of the means", lambda c: Estimate((c.fake.mean(0) - c.real.mean(0)).norm().item()), lower=True
    )
    monkeypatch.setitem(METRICS, "gap", gap)
    np.save(tmp_path / "x.npy", data.load("fashion").images[:20].transpose(0, 2, 3, 1))
    command = [
        "evaluate",
        str(tmp_path / "x.npy"),
        "--data",
        "fashion",
        "--features",
        "fashion-net",
        "--metrics",
        "gap",
    ]
    assert main(command) == 0 and "gap(fashion-net)" in capsys.readouterr().out
    assert main(["list"]) == 0 and "distance of the means" in capsys.readouterr().out


def test_errors_of_a_draw_are_those_of_the_metrics(tmp_path, monkeypatch):
    few = data.load("fashion").take(slice(None, None, 8), "fashion")  # they lie sorted
    monkeypatch.setattr(data.SETS["fashion"], "whole", lambda: few)
    train, report = data.load("fashion"), data.load("fashion", split="report")
    np.save(tmp_path / "x.npy", report.images[:100].transpose(0, 2, 3, 1))
    options = dict(network="fashion-net", metrics=("kernel", "precision", "copying"), progress=False)
    scores = evaluation.evaluate(tmp_path / "x.npy", "fashion", **options)
    net = features.load("fashion-net")
    fake, (real, _) = net(report.images[:100]), evaluation.cached_features(report.images, net)
    assert scores["kernel"].error == pytest.approx(kid(Pairs(fake, real)).error) and scores["precision"].error is None
    found = copying(fake, net(train.images), real)
    stretch = 1 - found.chance
    assert scores["copying"].value == pytest.approx((found.share - found.chance) / stretch)
    assert scores["copying"].error == pytest.approx(found.error / stretch) and scores["copying"].floor is None


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_damaged_features_are_computed_again_and_none_can_be_kept_without_a_cache(
    content, tmp_path, monkeypatch, capsys
):
    images, net = data.load("fashion", split="held-out").images[:20], features.load("fashion-net")
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    evaluation.say_once.cache_clear()
    if content is None:
        (tmp_path / "cache").write_text("in the way")
    else:
        evaluation.cached_features(images, net)
        (kept,) = (tmp_path / "cache" / "features").iterdir()
        kept.write_bytes(content)
    for _ in range(2):
        assert torch.equal(evaluation.cached_features(images, net)[0], net(images))
    assert capsys.readouterr().out.count("are not kept") == (content is None)


class Labelled(torch.nn.Module):
    """A generator whose images (1, 1) are as bright as their class is high."""

    latent_dim, num_classes = 2, 3

    def __init__(self):
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(()))

    def forward(self, z, labels):
        return (labels.float() / 127.5 - 1).view(-1, 1, 1, 1).expand(-1, 1, 28, 28) * self.one


def test_classes_are_drawn_equally_or_in_the_shares_of_the_data():
    net, shares = Labelled(), torch.tensor([0, 6, 2])
    for n in (80, 83):
        for seed in range(3):
            drawn = np.bincount(evaluation.draw(net, n, seed, shares)[:, 0, 0, 0], minlength=3)
            assert (np.abs(drawn - n * np.array([0, 6, 2]) / 8) < 1).all() and drawn.sum() == n
    assert np.ptp(np.bincount(evaluation.draw(net, 83, 0)[:, 0, 0, 0])) <= 1


@pytest.mark.parametrize("shares", [None, torch.tensor([3, 6, 1])])
def test_classes_are_spread_over_the_images_and_vary_with_the_seed(shares):
    one, same, other = (evaluation.draw(Labelled(), 300, seed, shares)[:, 0, 0, 0] for seed in (0, 0, 1))
    assert (one == same).all() and (one != other).any()
    whole = np.bincount(one, minlength=3) / 300
    for part in np.split(one, 5):  # of 60 images: a share is off by at most .07 in a standard deviation
        assert np.abs(np.bincount(part, minlength=3) / 60 - whole).max() < 0.25


def test_the_datas_shares_are_those_of_its_training_images_and_the_score_tells(monkeypatch):
    whole = data.SETS["fashion"].whole()
    rows = np.concatenate([np.flatnonzero(whole.labels == k)[:n] for k, n in enumerate((200, 100, 50))])
    few = replace(whole.take(rows, "fashion"), class_names=("a", "b", "c"))
    monkeypatch.setattr(data.SETS["fashion"], "whole", lambda: few)
    asked = []
    monkeypatch.setattr(
        Labelled, "forward", lambda net, z, y: asked.append(y) or z.sum() * torch.zeros(len(z), 1, 28, 28)
    )
    options = dict(n=35, network="fashion-net", metrics=("kernel",), draws=1, progress=False)
    found = evaluation.evaluate(Labelled(), "fashion", labels="data", **options)
    assert torch.equal(torch.bincount(torch.cat(asked[1:])), torch.tensor([20, 10, 5])) and "the data's shares" in str(
        found
    )
    net = Labelled()
    net.class_names = ("a", "b", "d")
    with pytest.raises(CourseError, match=r"draws the classes of fashion at will \(a, b, c\)"):
        evaluation.evaluate(net, "fashion", labels="data", **options)
    with pytest.raises(CourseError, match="labels must be equal or data; got 'same'"):
        evaluation.evaluate(net, "fashion", labels="same", **options)


# --- while training ---

TINY = RECIPES["first-minute"].but(image_size=16, g_width=4, d_width=4, steps=6)


def test_a_run_is_scored_and_keeps_its_best(tmp_path):
    values = iter([3.0, 1.0, 2.0])

    def judge(generator):
        judge.seen.append(next(iter(generator.parameters())).cpu().clone())
        return next(values)

    judge.name, judge.seen = "FD(test)", []
    folder = tmp_path / "run"
    trainer = runs.train(TINY, data.load("faces"), folder, judge=judge, score_every=2, progress=False)
    rows = [line.split(",") for line in (folder / "scores.csv").read_text().split()]
    assert rows == [["step", "FD(test)"], ["2", "3.0"], ["4", "1.0"], ["6", "2.0"]]
    best = generators.load_generator(folder / "best.safetensors")
    assert torch.equal(next(iter(best.parameters())), judge.seen[1])
    assert not torch.equal(judge.seen[1], next(iter(trainer.ema.parameters())).cpu())
    exported = generators.export_generator(folder / "best.safetensors", tmp_path / "best.safetensors")
    (tmp_path / "notes.md").write_text("mine")
    with pytest.raises(CourseError, match="notes.md is there and no card"):
        generators.export_generator(folder, tmp_path / "notes.safetensors")
    assert (tmp_path / "notes.md").read_text() == "mine"
    card = generators.load_generator(exported).card
    assert card["steps"] == 4 and card["chosen_by"] == "FD(test) 1" and (folder / "losses.png").exists()


def test_scores_go_on_after_a_resume(tmp_path):
    def judge(generator):
        return 1.0

    judge.name, folder = "FD(test)", tmp_path / "run"
    runs.train(TINY, data.load("faces"), folder, judge=judge, score_every=2, progress=False)
    runs.train(TINY.but(steps=8), data.load("faces"), folder, judge=judge, score_every=2, resume=True, progress=False)
    assert [line.split(",")[0] for line in (folder / "scores.csv").read_text().split("\n")][:5] == [
        "step",
        "2",
        "4",
        "6",
        "8",
    ]


class Judge:
    """Gives the values that it was made with, one a call; None interrupts."""

    name = "FD(test)"

    def __init__(self, *values):
        self.values = iter(values)

    def __call__(self, generator):
        if (value := next(self.values)) is None:
            raise KeyboardInterrupt
        return value


def scored(folder, steps, *values):
    """A run of the folder up to that step, scored every second one; the step of the best that it keeps."""
    runs.train(
        TINY.but(steps=steps), data.load("faces"), folder, judge=Judge(*values), score_every=2,
        resume=folder.exists(), device="cpu", progress=False,
    )  # fmt: skip
    best = folder / "best.safetensors"
    return int(checkpoints.read(best)[1]["step"]) if best.exists() else None


def test_the_kept_best_outlives_a_lost_table_of_scores(tmp_path):
    folder = tmp_path / "run"
    assert scored(folder, 4, 1.00004, 9.0) == 2
    (folder / "scores.csv").unlink()
    assert scored(folder, 6, 9.0) == 2
    assert scored(folder, 8, 1.00003) == 8  # the header has all digits
    (folder / "best.safetensors").write_bytes((folder / "best.safetensors").read_bytes()[:-9])
    assert scored(folder, 10, 9.0) == 10  # a damaged one is none


def test_a_score_that_is_no_number_is_written_down_and_never_the_best(tmp_path):
    folder = tmp_path / "run"
    assert scored(folder, 2, float("nan")) is None
    assert scored(folder, 6, 5.0, float("-inf")) == 4
    assert (folder / "scores.csv").read_text().split() == ["step,FD(test)", "2,nan", "4,5.0", "6,-inf"]


def test_the_old_best_stays_where_the_new_one_cannot_be_written(tmp_path, monkeypatch, capsys):
    folder, save_file = tmp_path / "run", tensors.save_file
    assert scored(folder, 2, 5.0) == 2
    before = (folder / "best.safetensors").read_bytes()

    def full(tensors, path, header):
        save_file(tensors, path, header)
        if "best" in path.name:
            path.write_bytes(path.read_bytes()[:100])
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensors, "save_file", full)
    assert scored(folder, 4, 1.0) == 2 and "Scores stopped" in capsys.readouterr().out
    assert (folder / "best.safetensors").read_bytes() == before and not list(folder.glob(".best*"))


def test_a_run_is_saved_before_it_is_judged_and_when_the_judge_is_interrupted(tmp_path):
    seen, folder = [], tmp_path / "run"

    class Looking(Judge):
        def __call__(self, generator):
            seen.append(checkpoints.read(folder / "checkpoint.safetensors")[1]["step"])
            return super().__call__(generator)

    options = dict(score_every=2, device="cpu", progress=False)
    with pytest.raises(KeyboardInterrupt):
        runs.train(TINY, data.load("faces"), folder, judge=Looking(3.0, None), save_every=1e9, **options)
    assert seen == ["0", "0"] and checkpoints.read(folder / "checkpoint.safetensors")[1]["step"] == "4"
    runs.train(TINY, data.load("faces"), folder, judge=Looking(1.0), save_every=0.0, resume=True, **options)
    assert seen == ["0", "0", "6"]


def test_a_judge_prefers_faces_to_noise():
    judge = evaluation.Judge("faces", "faces-net", n=200, image_size=64)
    assert judge.name == "KD(faces-net)"
    trained = generators.load_generator("dcgan-faces")
    untrained = runs.Trainer(trained.recipe, data.load("faces").images[:16]).generator
    assert judge(trained) < judge(untrained)


def test_files_that_lie_sorted_are_scored_by_lot(tmp_path):
    sorted_by_shade = np.repeat(np.arange(100, dtype=np.uint8), 8 * 8).reshape(100, 8, 8, 1)
    np.save(tmp_path / "shades.npy", sorted_by_shade)
    images = evaluation.open_source(tmp_path / "shades.npy")
    shades = evaluation.draw(images, 30, 0)[:, 0, 0, 0]
    assert len(images) == 100 and len(set(shades)) == 30 and shades.max() > 80
    assert (evaluation.draw(images, 100, 0)[:, 0, 0, 0] == np.arange(100)).all()
