"""Animations keep their promises of size, duration and seam; pages hold the net that they were made of."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gan_helpers import animate, checkpoints, latent, page
from gan_helpers.__main__ import main
from gan_helpers.errors import CourseError
from gan_helpers.models.blocks import OnePerClass
from gan_helpers.models.dcgan import Discriminator, Generator
from gan_helpers.recipes import Recipe

torch.manual_seed(0)
G = Generator(16, 3, 6, 4).eval()
nn.init.normal_(G.layers[-2].weight, 0, 0.5)  # far apart, so that no two frames are alike


def duration(path):
    """Seconds that a file says it lasts."""
    if path.suffix == ".mp4":
        import imageio.v2 as imageio

        return imageio.get_reader(path).get_meta_data()["duration"]
    with Image.open(path) as clip:
        total = 0
        for i in range(clip.n_frames):
            clip.seek(i)
            clip.load()
            total += clip.info["duration"]
        return total / 1000


@pytest.fixture
def source(tmp_path):
    """A generator in a file, as `export` writes it."""
    recipe = Recipe("tiny", image_size=16, latent_dim=6, g_width=4, steps=1, data="faces")
    tensors = {f"generator.{k}": v for k, v in G.state_dict().items()}
    checkpoints.write_atomically(tmp_path / "g.safetensors", tensors, {"format": "1", "recipe": recipe.to_json()})
    return str(tmp_path / "g.safetensors")


@pytest.mark.parametrize("suffix", animate.SUFFIXES)
@pytest.mark.parametrize("fps", [8, 24])
def test_a_walk_lasts_as_long_as_promised(source, tmp_path, suffix, fps, capsys):
    out = tmp_path / f"walk{suffix}"
    assert main(["walk", source, "--out", str(out), "--seconds", "2.5", "--fps", str(fps), "--n", "4"]) == 0
    assert duration(out) == pytest.approx(2.5, abs=0.06) and "2.5 s" in capsys.readouterr().out
    if suffix == ".gif":
        assert Image.open(out).info["loop"] == 0


def test_size_is_kept_at_the_same_pace(tmp_path):
    noise = [Image.fromarray(np.random.default_rng(i).integers(0, 255, (64, 64, 3), dtype=np.uint8)) for i in range(31)]
    for name, size in (("a.gif", 60_000), ("b.gif", 25_000), ("c.webp", 40_000)):
        path = animate.animate(noise, tmp_path / name, fps=12, hold=0.5, max_bytes=size)
        assert path.stat().st_size <= size and duration(path) == pytest.approx(31 / 12 + 0.5, abs=0.011), name
    with pytest.raises(CourseError, match="fewer seconds"):
        animate.animate(noise, tmp_path / "d.mp4", max_bytes=1000)
    assert not (tmp_path / "d.mp4").exists()


def test_swing_has_no_seam():
    z = latent.swing(latent.draw_z(2, 6), torch.eye(6)[1], 40, 2.0)
    steps = (z - z.roll(1, 0)).norm(dim=-1)
    assert z.shape == (40, 2, 6) and torch.equal(z[0], latent.draw_z(2, 6)) and steps.max() < 0.33
    assert (z[:, 0, 1] - z[0, 0, 1]).abs().max() == pytest.approx(2)


@pytest.mark.parametrize(
    "options, message",
    [
        (["walk", "SOURCE", "--out", "a.png"], "--out must end in"),
        (["walk", "SOURCE", "--out", "a.gif", "--seconds", "nan"], "--seconds"),
        (["walk", "SOURCE", "--out", "a.gif", "--seeds", "1"], "two keys"),
        (["walk", "SOURCE", "--out", "a.gif", "--seeds", "-1", "2"], "--seeds"),
        (["walk", "SOURCE", "--out", "a.gif", "--direction", "9"], "1 to 6"),
        (["walk", "SOURCE", "--out", "a.gif", "--direction", "hats"], "it has: glasses"),
        (["export-explorer", "SOURCE", "--out", "a.txt"], "--out must end in .html"),
        (["export-explorer", "nothing", "--out", "a.html"], "No checkpoint"),
    ],
)
def test_wrong_options_are_told(source, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main([source if o == "SOURCE" else o for o in options]) == 1
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err and sorted(tmp_path.iterdir()) == before


class Skip(nn.Module):
    latent_dim = 6

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 12), nn.Linear(12, 12)

    def forward(self, z):
        x = self.a(z)
        return (x + self.b(x)).view(-1, 3, 2, 2)


class Odd(Skip):
    def __init__(self):
        super().__init__()
        self.b = nn.Softsign()

    def forward(self, z):
        return self.b(self.a(z)).view(-1, 3, 2, 2)


class Twice(Skip):
    def forward(self, z):
        return self.a(z).cumsum(1).view(-1, 3, 2, 2)


def one_each():
    net = OnePerClass([Generator(16, 3, 6, 4), Generator(16, 3, 6, 4)])
    net.latent_dim, net.num_classes, net.class_names = 6, 2, ("a", "b")
    return net


@pytest.mark.parametrize(
    "net, message",
    [
        (Skip(), "something else"),
        (Odd(), "cannot run Softsign"),
        (Twice(), "cannot run 'cumsum'"),
        (one_each(), "OnePerClass"),
        (Discriminator(16, 3, 4), "no generator"),
    ],
)
def test_pages_refuse_what_they_cannot_run(net, message, tmp_path):
    with pytest.raises(CourseError, match=message):
        page.export_page(net, tmp_path / "a.html", "net")
    assert not [*tmp_path.iterdir()]


def test_a_page_needs_no_network_and_escapes_its_title(tmp_path):
    text = page.export_page(G, tmp_path / "a.html", "<b>%SPEC%</b>").read_text(encoding="utf-8")
    assert "default-src 'none'" in text and "http://" not in text and "https://" not in text
    assert "&lt;b&gt;%SPEC%&lt;/b&gt;" in text and "<b>%SPEC%" not in text
    nets = {name: checkpoints.load_generator(name) for name in checkpoints.shipped()}
    for name in (name for name, net in nets.items() if not isinstance(net, OnePerClass)):
        out = page.export_page(nets[name], tmp_path / f"{name}.html", name)
        assert out.stat().st_size <= page.MAX_BYTES
