"""The embedded data: what is in it, that its table is true, and that the drawing command makes it again."""

import importlib.metadata
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from gan_helpers.data import SETS, load, sets
from gan_helpers.environment import DATA
from gan_helpers.errors import CourseError

sys.path.insert(0, str(DATA))
import draw_faces  # noqa: E402

COLUMNS = {"glasses": 0.35, "beard": 0.30, "smile": 0.60, "long_hair": 0.36}  # bool column → share of True


@pytest.fixture(scope="module")
def faces():
    return SETS["faces"].whole()


def drawing_libraries_differ() -> str:
    """Why the faces cannot be redrawn here, or ""."""
    project = (DATA.parent / "pyproject.toml").read_text(encoding="utf-8")
    pins = re.findall(r'"(dicebear-core|dicebear-styles|resvg-py)==([\d.]+)"', project)
    assert len(pins) == 3
    for name, version in pins:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "not installed"
        if found != version:
            return f"redrawing needs {name} {version}, here: {found} (pip install -e '.[faces]')"
    return ""


needs_drawing = pytest.mark.skipif(bool(drawing_libraries_differ()), reason=drawing_libraries_differ())


def test_sizes_in_git():
    assert (DATA / "faces.npz").stat().st_size <= 12e6
    assert (DATA / "fashion.npz").stat().st_size <= 5e6


def test_faces_shapes_and_table(faces):
    assert len(faces) >= 8000 and faces.images.shape[1:] == (3, 64, 64) and faces.images.dtype == np.uint8
    assert faces.labels.dtype == np.int64 and faces.class_names == ("personas", "toon-head")
    assert (np.array(faces.class_names)[faces.labels] == faces.attributes["style"]).all()
    assert all(len(column) == len(faces) and column.dtype.kind in "bU" for column in faces.attributes.values())
    assert set(faces.attributes) == set(draw_faces.choose(0, 0))
    assert faces.shareable and "Draftbit" in faces.origin and faces.licence == "CC BY 4.0"
    assert len({image.tobytes() for image in faces.images}) > 0.99 * len(faces)  # hardly any twins


def test_faces_frequencies_and_independence(faces):
    for name, share in COLUMNS.items():
        assert abs(faces.attributes[name].mean() - share) < 0.03, name
    for name in ("skin", "hair_color", "background", "clothes_color", "style"):  # uniform
        counts = np.unique(faces.attributes[name], return_counts=True)[1]
        assert counts.min() > 0.85 * counts.max(), name
    correlation = np.corrcoef([faces.attributes[name] for name in COLUMNS])
    assert np.abs(correlation - np.eye(len(COLUMNS))).max() < 0.05
    for skin in draw_faces.SKIN:  # no attribute hints at the skin
        rows = faces.attributes["skin"] == skin
        for name in COLUMNS:
            assert abs(faces.attributes[name][rows].mean() - faces.attributes[name].mean()) < 0.06, (skin, name)


def test_faces_pixels_say_what_the_table_says(faces):
    """A straight line on 16x16 pixels tells each attribute on faces it was not fitted to, far above guessing."""
    x = faces.images.reshape(len(faces), 3, 16, 4, 16, 4)[:4000].mean((3, 5)).reshape(4000, -1) / 255
    x = np.c_[x, np.ones(len(x))]
    for name, least in {"glasses": 0.97, "beard": 0.9, "long_hair": 0.95, "smile": 0.7}.items():
        y = faces.attributes[name][:4000] * 2.0 - 1
        weights = np.linalg.solve(x[:3000].T @ x[:3000] + 1e-1 * np.eye(x.shape[1]), x[:3000].T @ y[:3000])
        assert ((x[3000:] @ weights > 0) == (y[3000:] > 0)).mean() > least, name
    top = faces.images[:, :, 0, 0]  # the corner shows the background colour
    for name, colour in draw_faces.BACKGROUND.items():
        rgb = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
        found = np.median(top[faces.attributes["background"] == name], axis=0)
        assert np.abs(found - rgb).max() <= 1, name


def test_fashion():
    fashion = SETS["fashion"].whole()
    assert fashion.images.shape == (10_000, 1, 28, 28) and fashion.images.dtype == np.uint8
    assert fashion.labels.dtype == np.int64 and (np.bincount(fashion.labels) == 1000).all()
    assert len(fashion.class_names) == 10 and fashion.class_names[9] == "Ankle boot" and fashion.licence == "MIT"
    trousers, bags = fashion.only("Trouser").images, fashion.only("Bag").images
    assert bags[:, :, :, :4].mean() > 5 * trousers[:, :, :, :4].mean()  # bags are wide, trousers are not


def test_notices_are_there():
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for words in ("Draftbit", "https://personas.draftbit.com/", "Johan Melin", "file/1589627891082866389", "by/4.0"):
        assert words in readme, words
    notice = (DATA / "LICENSES" / "fashion-mnist-MIT.txt").read_text(encoding="utf-8")
    assert "Copyright © 2017 Zalando SE" in notice and "without restriction" in notice


@pytest.mark.parametrize("harm", ["missing", "cut short", "a byte changed", "another file"])
@pytest.mark.parametrize("name", ["faces", "fashion"])
def test_damage_is_told(name, harm, tmp_path: Path, monkeypatch):
    whole = (DATA / f"{name}.npz").read_bytes()
    middle = len(whole) // 2
    harmed = {
        "cut short": whole[:middle],
        "another file": b"hello",
        "a byte changed": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
    }.get(harm)
    if harmed is not None:
        (tmp_path / f"{name}.npz").write_bytes(harmed)
    monkeypatch.setattr(sets, "DATA", tmp_path)
    with pytest.raises(CourseError, match=rf"{name}\.npz .*git checkout -- data/{name}\.npz"):
        load(name)


def test_quantise_keeps_few_colours_exactly_and_many_closely():
    rng = np.random.default_rng(0)
    flat = rng.integers(0, 256, (64, 3), np.uint8)[rng.integers(0, 64, (64, 64))].transpose(2, 0, 1)
    index, palette = draw_faces.quantise(flat)
    assert (palette[:, index] == flat).all()
    smooth = np.stack(np.broadcast_arrays(*np.ogrid[0:252:4, 0:252:4], 9)).astype(np.uint8)
    index, palette = draw_faces.quantise(smooth)
    assert index.max() < 64 and np.abs(palette[:, index].astype(int) - smooth).max() <= 24


def test_drawing_without_its_libraries_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(CourseError, match=r"pip install -e '\.\[faces\]'"):
        draw_faces.draw(draw_faces.choose(0, 0))


def test_face_i_depends_on_seed_and_i_alone(faces):
    assert draw_faces.choose(0, 5) == {name: column[5] for name, column in faces.attributes.items()}
    assert draw_faces.choose(0, 5) != draw_faces.choose(1, 5)


@needs_drawing
def test_redraws_the_first_ones_identically(faces):
    again = draw_faces.draw_faces(12)
    for i, (index, palette) in enumerate(zip(again["index"], again["palette"], strict=True)):
        assert (palette[:, index] == faces.images[i]).all(), f"face {i}"
    for name, column in faces.attributes.items():
        assert (again[name] == column[:12]).all(), name


@needs_drawing
@pytest.mark.parametrize("style", ["personas", "toon-head"])
@pytest.mark.parametrize(
    "change",
    [
        {"glasses": True, "glasses_kind": "round"},
        {"beard": True, "beard_kind": "full"},
        {"mouth": "laugh"},
        {"mouth": "smile"},
        {"hair": "long"},
        {"eyes": "closed"},
    ],
)
@pytest.mark.parametrize("skin", ["tone 1", "tone 8"])
def test_a_changed_attribute_is_visible_at_32(style, change, skin):
    plain = {
        "style": style,
        "skin": skin,
        "hair": "side part",
        "hair_color": "black",
        "eyes": "open",
        "mouth": "sad",
        "beard": False,
        "glasses": False,
        "clothes": draw_faces.STYLES[style]["clothes"][0],
        "clothes_color": "red",
        "background": "mint",
    }
    before, after = (draw_faces.draw(face).reshape(3, 32, 2, 32, 2).mean((2, 4)) for face in (plain, plain | change))
    difference = np.abs(after - before).max(0)  # (32, 32)
    assert (difference > 15).sum() >= 6
    if "hair" not in change:  # and it stays where it belongs
        assert difference[:8].max() == 0


@pytest.mark.parametrize("name", ["faces", "fashion"])
def test_the_held_out_tenth_is_apart_and_alike(name):
    train, held, every = load(name), load(name, split="held-out"), SETS[name].whole()
    assert (len(train), len(held)) == (9_000, 1_000) and held.name == f"{name}-held-out"
    assert (held.images == every.images[9::10]).all() and (held.labels == every.labels[9::10]).all()
    assert abs(held.images.mean() - train.images.mean()) < 2  # grey levels
