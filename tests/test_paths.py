"""Names, paths and letters as people type them: capitals, ~, a folder called like a data set, other encodings."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_helpers import checkpoints, data, evaluation, features
from gan_helpers.__main__ import main
from gan_helpers.errors import CourseError
from gan_helpers.recipes import Recipe


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
    assert evaluation.samples_of("S.NPY")[1] == 5 and evaluation.samples_of("FAKES.ZIP")[1] == 12


def test_a_broken_fake_is_left_out_on_request(away, capsys):
    for name in ("fakes", "real"):
        photos(away / name, 150)
    file = away / "fakes" / "7.png"
    file.write_bytes(file.read_bytes()[:300])
    command = ["evaluate", "fakes", "--data", "real", "--features", "cifar10-net", "--metrics", "kernel", "--n", "10"]
    assert main(command) == 1 and "--skip-broken" in capsys.readouterr().err
    assert main([*command, "--skip-broken"]) == 0 and "1 broken images left out of fakes" in capsys.readouterr().out


def test_a_name_goes_before_a_folder_that_is_called_so(away, capsys):
    photos(away / "faces", 30)
    assert len(data.load("faces")) == 9000
    assert "'faces' is the embedded set; for the folder or file of that name write ./faces." in capsys.readouterr().out
    for path in ("./faces", away / "faces", Path("faces"), "faces/"):
        mine = data.load(path)
        assert len(mine) <= 30 and mine.name == "./faces"
    assert features.own_of("faces", 3) == "faces-net" and features.own_of(Path("faces"), 3) == "cifar10-net"
    photos(away / "dcgan-faces")
    assert evaluation.samples_of("dcgan-faces")[1] is None and "is a generator of the c" in capsys.readouterr().out
    assert evaluation.samples_of("./dcgan-faces")[1] == evaluation.samples_of(Path("dcgan-faces"))[1] == 12
    with pytest.raises(CourseError, match="without a checkpoint"):
        checkpoints.load_generator("./dcgan-faces")


def test_photos_in_a_folder_called_faces_stay_ones_own(away):
    photos(away / "faces", 30)
    tiny = ["--set", "image_size=16", "g_width=4", "d_width=4", "batch_size=4", "--steps", "1", "--device", "cpu"]
    assert main(["train", "dcgan-celeba", "--data", "./faces", "--fallback", "faces", "--out", "run", *tiny]) == 0
    assert Recipe.from_json((away / "run" / "recipe.json").read_text("utf-8")).data == "./faces"
    assert main(["export", "run", "--out", "g.safetensors"]) == 0
    assert checkpoints.load_generator(away / "g.safetensors").recipe.data == "./faces"
