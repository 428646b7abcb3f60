"""Names, paths and letters as people type them: capitals, ~, a folder called like a data set, other encodings."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_helpers import checkpoints, classifier, data, directions, environment, evaluation, features, generators, page
from gan_helpers.__main__ import main
from gan_helpers.errors import CourseError
from gan_helpers.recipes import Recipe
from gan_helpers.widgets.explorer import explore
from gan_helpers.widgets.training import scrub

ROOT = str(environment.ROOT)


@pytest.fixture(autouse=True)
def away(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def photos(folder: Path, count: int = 12, size: int = 16) -> Path:
    """A folder of different images."""
    folder.mkdir(parents=True)
    for k, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(folder / f"{k}.png")
    return folder


def test_capital_suffixes_are_scored(away):
    folder = photos(away / "fakes")
    np.save(away / "s.npy", np.zeros((5, 8, 8, 3), np.uint8))
    (away / "s.npy").rename(away / "S.NPY")
    with zipfile.ZipFile(away / "FAKES.ZIP", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    assert len(evaluation.open_source("S.NPY")) == 5 and len(evaluation.open_source("FAKES.ZIP")) == 12


def test_a_broken_fake_is_left_out_on_request(away, capsys):
    for name in ("fakes", "real"):
        photos(away / name, 150)
    file = away / "fakes" / "7.png"
    file.write_bytes(file.read_bytes()[:300])
    command = ["evaluate", "fakes", "--data", "real", "--features", "cifar10-net", "--metrics", "kernel", "--n", "10"]
    assert main(command) == 1 and "--skip-broken" in capsys.readouterr().err
    assert main([*command, "--skip-broken"]) == 0 and "1 broken image left out of fakes" in capsys.readouterr().out


def test_a_name_goes_before_a_folder_that_is_called_so(away, capsys):
    photos(away / "faces", 30)
    assert len(data.load("faces")) == 9000
    told = capsys.readouterr().out
    assert "'faces' is a data set of the course; for the folder or file of that name write ./faces." in told
    for path in ("./faces", away / "faces", Path("faces"), "faces/"):
        mine = data.load(path)
        assert len(mine) <= 30 and mine.name == "./faces"
    assert features.own_of("faces", 3) == "faces-net" and features.own_of(Path("faces"), 3) == "cifar10-net"
    photos(away / "dcgan-faces")
    assert isinstance(evaluation.open_source("dcgan-faces"), torch.nn.Module)
    assert "is a generator of the c" in capsys.readouterr().out
    assert len(evaluation.open_source("./dcgan-faces")) == len(evaluation.open_source(Path("dcgan-faces"))) == 12
    with pytest.raises(CourseError, match="without a checkpoint"):
        generators.load_generator("./dcgan-faces")


def test_photos_in_a_folder_called_faces_stay_ones_own(away):
    photos(away / "faces", 30)
    tiny = ["--set", "image_size=16", "g_width=4", "d_width=4", "batch_size=4", "--steps", "1", "--device", "cpu"]
    assert main(["train", "dcgan-celeba", "--data", "./faces", "--fallback", "faces", "--out", "run", *tiny]) == 0
    assert Recipe.from_json((away / "run" / "recipe.json").read_text("utf-8")).data == "./faces"
    assert main(["export", "run", "--out", "g.safetensors"]) == 0
    assert generators.load_generator(away / "g.safetensors").recipe.data == "./faces"


TINY = ["--set", "image_size=16", "g_width=4", "d_width=4", "batch_size=4", "--steps", "1", "--device", "cpu"]


def test_a_tilde_is_home_wherever_a_path_is_given(away, monkeypatch):
    home = away / "home"
    monkeypatch.setenv("HOME", str(home)), monkeypatch.setenv("USERPROFILE", str(home))
    photos(home / "photos")
    assert main(["train", "dcgan-faces", "--data=~/photos", "--out=~/run", *TINY]) == 0
    for command in (
        "sample ~/run --out ~/a.png",
        "animate ~/run --out ~/a.gif",
        "export ~/run --out ~/g.safetensors",
        "walk ~/run --out ~/w.gif --seconds 1 --fps 4",
        "export-explorer ~/run --out ~/p.html",
    ):
        assert main(command.split()) == 0
    generator = generators.load_generator("~/g.safetensors")
    assert scrub("~/run").children and page.export_page(generator, "~/q.html", "q") == home / "q.html"
    assert explore(generator, folder="~/explored").explorer.folder == home / "explored"
    kept = directions.save_directions("~/d.safetensors", {"a": torch.ones(4)})
    assert kept == home / "d.safetensors" and "a" in directions.load_directions("~/d.safetensors", 4)
    shutil.copy(classifier.shipped()["fashion-net"], home / "n.safetensors")
    assert features.load("~/n.safetensors").name == "n" and classifier.load_classifier("~/n.safetensors").heads
    assert sorted(path.name for path in away.iterdir()) == ["cache", "home"]


def test_nothing_is_written_or_read_in_the_encoding_of_the_place():
    silent = re.compile(r"(?<![\w.])open\((?!.*(encoding|\"[rwxa]?\+?b|\"xb|\"ab))|(read|write)_text\((?!.*utf-8)")
    elsewhere = "safe_open", "Image.open", "tarfile.open", "archive.open", "def "
    for path in Path(checkpoints.__file__).parent.rglob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            if silent.search(line) and not any(word in line for word in elsewhere):
                assert ".lock" in line or 'b" if start' in line, f"{path.name}: {line}"


def test_a_terminal_without_a_letter_ends_no_command(away):
    photos(away / "\u0106ma \u86fe")
    command = [sys.executable, "-m", "gan_helpers", "train", "dcgan-faces", "--data", "\u0106ma \u86fe", "--out", "run"]
    told = subprocess.run([*command, *TINY], env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": ROOT},
                          capture_output=True)  # fmt: skip
    assert told.returncode == 0 and b"?ma ?" in told.stdout


def loaded(*names):
    generator = torch.nn.Identity()
    generator.class_names, generator.recipe = names, Recipe("tiny")
    return generator


def test_where_all_names_are_numbers_only_names_count():
    assert generators.class_number(loaded("0", "1", "3", "4"), "3") == 2
    with pytest.raises(CourseError, match="no class '2'.*Classes: 0, 1, 3, 4"):
        generators.class_number(loaded("0", "1", "3", "4"), "2")
    with pytest.raises(CourseError, match="no class '0'"):
        generators.class_number(loaded(*sorted(map(str, range(1, 13)))), "0")
    assert generators.class_number(loaded("cat", "3"), "0") == 0
    assert generators.class_number(loaded("Hund", "K\u00e4fer"), "Ka\u0308fer") == 1


def test_cache_folder_may_lie_at_home(monkeypatch):
    monkeypatch.setenv("GAN_HELPERS_CACHE", "~/gan")
    assert environment.cache_dir() == Path.home() / "gan"
    monkeypatch.setenv("GAN_HELPERS_CACHE", "")
    assert environment.cache_dir() == environment.DATA / "cache"
