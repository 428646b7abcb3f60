"""The tests by eye, naming and pairs: numbered sheets, a key that fits them, and a score that counts agreement."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from gan_helpers.environment import ROOT

KINDS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.fixture
def naming(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import naming

    monkeypatch.setattr(naming, "RESULTS", tmp_path)
    yield naming
    sys.modules.pop("naming")


def photos(folder):
    """Twenty-two grey images of each class, all held out; each has its class's brightness."""
    for k, kind in enumerate(KINDS):
        for split, count in (("train", 1), ("test", 22)):
            (folder / split / kind).mkdir(parents=True)
            for i in range(count):
                Image.new("L", (32, 32), 20 * k + i % 10).save(folder / split / kind / f"{i:02}.png")
    return folder


def test_sheets_and_key_fit_and_agreement_is_counted(naming, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "naming"
    naming.sheets(str(photos(tmp_path / "photos")), "small-cifar10", out)
    key = json.loads((out / "key.json").read_text())["images"]
    assert len(key) == 240 and len(list(out.glob("sheet-*.png"))) == 12
    for kind in naming.ASKED:
        assert sorted(k["seed"] for k in key.values() if k["class"] == kind and not k["real"]) == list(range(20))
    first = next(n for n in map(str, range(1, 21)) if key[n]["real"])  # a grey image, where the key says so
    place = int(first) - 1
    with Image.open(out / "sheet-01.png") as page:
        shade = page.getpixel((place % 5 * 148 + 20 + 64, place // 5 * 164 + 28 + 64))
    assert shade[0] // 20 == KINDS.index(key[first]["class"])
    for who in range(5):  # three know all that is real and half of the ships, two say cat
        known = {n: k["class"] for n, k in key.items() if k["real"] or (k["class"] == "ship" and k["seed"] < 10)}
        told = {n: known.get(n, "cat") if who < 3 else "cat" for n in key}
        (out / f"answers-{who}.json").write_text(json.dumps(told))
    naming.score(out)
    shown = capsys.readouterr().out
    assert "ship              0.50  1.00" in shown and "horse             0.00  1.00" in shown
    assert (
        "mean, generated: 0.08" in shown and "mean, real: 1.00, 95 % of resamples of the images 1.00 to 1.00" in shown
    )
    kept = json.loads((tmp_path / "naming.json").read_text())
    assert len(kept["answers"]) == 5 and kept["images"] == key


def test_the_interval_is_that_of_a_mean_over_images(naming):
    named = np.random.default_rng(0).random((6, 20)) < 0.6
    low, high = naming.interval(named)
    error = np.sqrt((named.mean(1) * (1 - named.mean(1))).sum() / 20) / 6  # of the mean, exactly
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.1) and low < named.mean() < high


def test_pairs_of_faces(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import face_pairs

    monkeypatch.setattr(face_pairs, "RESULTS", tmp_path)
    photos = tmp_path / "photos"
    for split, count in (("train", 1), ("test", 45)):  # pure blue, which no generator draws
        (photos / split).mkdir(parents=True)
        for k in range(count):
            Image.new("RGB", (64, 64), (0, 0, 200 + k)).save(photos / split / f"{k:02}.png")
    face_pairs.sheets(str(photos), "dcgan-faces", tmp_path)
    pairs = json.loads((tmp_path / "key.json").read_text())["pairs"]
    assert [pair["seed"] for pair in pairs.values()] == [*range(40)]
    assert sum(pair["generated"] == "left" for pair in pairs.values()) == 20
    for number, pair in pairs.items():
        place = (int(number) - 1) % 10
        with Image.open(tmp_path / f"sheet-{(int(number) - 1) // 10 + 1}.png") as page:
            left, top = place % 2 * 424 + 10, place // 2 * 232 + 30
            blue = [page.getpixel((left + side * 198 + 96, top + 96))[:2] == (0, 0) for side in range(2)]
        assert blue == [pair["generated"] == "right", pair["generated"] == "left"]
    for who, sure in enumerate((40, 40, 10)):  # two know, one knows a quarter and says the wrong side of the others
        told = {n: p["generated"] if int(n) <= sure else {"left": "right", "right": "left"}[p["generated"]]
                for n, p in pairs.items()}  # fmt: skip
        (tmp_path / f"answers-{who}.json").write_text(json.dumps(told))
    face_pairs.score(tmp_path)
    shown = capsys.readouterr().out
    assert "1.00, 1.00, 0.25" in shown and "mean: 0.75," in shown and "by most readers: 1.00" in shown
    for name in ("face_pairs", "naming"):
        sys.modules.pop(name)
