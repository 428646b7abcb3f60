"""Animations keep their promises of size, duration and seam; pages hold the net that they were made of."""

import json
import shutil
import subprocess

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gan_helpers import animate, generators, latent, page, plots
from gan_helpers.__main__ import main
from gan_helpers.errors import CourseError
from gan_helpers.models import residual
from gan_helpers.models.blocks import OnePerClass
from gan_helpers.models.dcgan import Discriminator, Generator
from gan_helpers.recipes import Recipe
from gan_helpers.tensors import save_tensors

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
    save_tensors(tmp_path / "g.safetensors", tensors, {"format": "1", "recipe": recipe.to_json()})
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


def test_endings_may_be_in_capitals(source, tmp_path):
    noise = [Image.fromarray(np.random.default_rng(i).integers(0, 255, (64, 64, 3), dtype=np.uint8)) for i in range(4)]
    for suffix in animate.SUFFIXES:
        out = animate.animate(noise, tmp_path / f"CLIP{suffix.upper()}", fps=4, hold=0)
        assert duration(shutil.copy(out, out.with_suffix(suffix))) == pytest.approx(1, abs=0.01)
    for command in (["export-explorer", "--out", "PAGE.HTML"], ["sample", "--n", "4", "--out", "GRID.PNG"]):
        assert main([command[0], source, *command[1:-1], str(tmp_path / command[-1])]) == 0


def test_swing_has_no_seam():
    z = latent.swing(latent.draw_z(2, 6), torch.eye(6)[1], 40, 2.0)
    steps = (z - z.roll(1, 0)).norm(dim=-1)
    assert z.shape == (40, 2, 6) and torch.equal(z[0], latent.draw_z(2, 6))
    assert steps.max() <= 2 * 2 * torch.pi / 40  # a sine of reach 2 in 40 frames is nowhere steeper
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
    """A net that is no chain; each of those below joins its branches in a way of its own."""

    latent_dim = 6

    def __init__(self):
        super().__init__()
        self.a, self.b, self.relu = nn.Linear(6, 12), nn.Linear(12, 12), nn.ReLU(inplace=True)

    def forward(self, z):
        return self.join(self.a(z)).view(-1, 3, 2, 2)

    def join(self, x):
        return x * self.b(x)


class Weighted(Skip):
    def join(self, x):
        return torch.add(x, self.b(x), alpha=2)


class Spread(Skip):
    def join(self, x):
        return x.view(-1, 12, 1, 1) + self.b(x).view(-1, 1, 12, 1)


class Spoilt(Skip):
    def join(self, x):
        return self.relu(x) + self.b(x)  # which PyTorch gives what the ReLU has left


class Square(Skip):
    def join(self, x):
        return x * x


class InPlace(Skip):
    def join(self, x):
        return x.mul_(2)


class Bounded(Skip):
    def join(self, x):
        return x.clamp(-99, 99)  # which changes no number of the latents that the page is made with


class Cubed(nn.ReLU):
    def forward(self, x):
        return x**3  # a ReLU by name only


class Subclass(Skip):
    def __init__(self):
        super().__init__()
        self.b = Cubed()

    def join(self, x):
        return self.b(x)


class Deep(Skip):
    def forward(self, z):
        return self.b(self.a(z).view(-1, 1, 12)).view(-1, 3, 2, 2)


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
        (Weighted(), "something else"),
        (Spread(), "something else"),
        (Spoilt(), "changes in place"),
        (Square(), "cannot run 'mul'"),
        (InPlace(), "cannot run 'mul_'"),
        (Bounded(), "cannot run 'clamp'"),
        (Subclass(), "cannot run 'pow'"),
        (Deep(), "one row of numbers"),
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


class Branches(Skip):
    """Branches in every order: of the latent, within each other, beside what only ends the net."""

    def __init__(self):
        super().__init__()
        self.c, self.norm, self.up = nn.Linear(6, 12), nn.BatchNorm2d(3), nn.Upsample(scale_factor=2)
        self.conv, self.relu, self.image = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 1)

    def forward(self, z):
        x = (self.a(z) + self.c(z)).view(-1, 3, 2, 2)
        shortcut = self.up(self.image(x))
        h = self.up(self.relu(self.norm(x)))
        h = self.conv(h) + (self.relu(h) + shortcut)
        return (h.mul(0.5).sub(0.1) / 1.1 + self.conv(self.relu(h))).tanh()


def rendered(net, z, kinds, tmp_path):
    """What a page's own JavaScript draws of z (N, latent_dim), as RGB (N, S, S, 3): run by node, without a browser."""
    spec, halves, singles = page.compile_net(net)
    spec["classes"] = [*range(getattr(net, "num_classes", 0))]
    (tmp_path / "halves").write_bytes(halves.tobytes())
    (tmp_path / "singles").write_bytes(singles.tobytes())
    jobs = [[row.tolist(), kind] for row, kind in zip(z, kinds, strict=True)]
    script = f"""{page.asset("net.js")}
        const read = (name) => Uint8Array.from(require("fs").readFileSync(name)).buffer;
        const net = makeNet({json.dumps(spec)}, new Uint16Array(read("halves")), new Float32Array(read("singles")));
        console.log(JSON.stringify({json.dumps(jobs)}.map(([z, kind]) => [...net(z, kind)])));"""
    (tmp_path / "net.js").write_text(script, encoding="utf-8")
    told = subprocess.run(["node", "net.js"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    return np.array(json.loads(told)).reshape(len(z), *spec["shape"][1:], 4)[..., :3]


@pytest.mark.skipif(not shutil.which("node"), reason="needs node, to run JavaScript without a browser")
@pytest.mark.parametrize(
    "make, classes",
    [(lambda: residual.Generator(32, 3, 6, 5, 3), 3), (lambda: residual.Generator(64, 1, 6, 2), 0), (Branches, 0)],
)
def test_a_page_adds_branches_as_pytorch_does(make, classes, tmp_path):
    torch.manual_seed(0)
    net = make()
    net.latent_dim, net.num_classes = 6, classes
    for module in net.modules():
        if isinstance(module, (nn.Embedding, nn.BatchNorm2d)) and module.weight is not None:
            nn.init.normal_(module.weight, 0.8, 0.3)
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(12, 6), *([torch.arange(12) % 3] if classes else []))  # statistics that are not 0 and 1
        for p in net.parameters():
            p.copy_((p + 0.1 * torch.randn_like(p)).half().float())  # biases that are not 0
    net.eval()
    z, kinds = latent.draw_z(4, 6, 3), [(0, 0, 0.0), (2, 0, 0.0), (1, 2, 0.25), (1, 2, 1.0)]
    if classes:
        wanted = torch.cat([latent.generate_class(net, row[None], *k) for row, k in zip(z, kinds, strict=True)])
    else:
        wanted = latent.generate(net, z)
    assert wanted.std() > 0.1 and wanted.abs().mean() < 0.9  # neither flat nor black and white
    wanted = plots.to_uint8(wanted).permute(0, 2, 3, 1).numpy().astype(int)
    assert abs(rendered(net, z, kinds, tmp_path) - wanted).max() <= 1


def test_a_page_needs_no_network_and_escapes_its_title(tmp_path):
    text = page.export_page(G, tmp_path / "a.html", "<b>%SPEC%</b>").read_text(encoding="utf-8")
    assert "default-src 'none'" in text and "http://" not in text and "https://" not in text
    assert "&lt;b&gt;%SPEC%&lt;/b&gt;" in text and "<b>%SPEC%" not in text
    nets = {name: generators.load_generator(name) for name in generators.shipped()}
    for name in (name for name, net in nets.items() if not isinstance(net, OnePerClass)):
        out = page.export_page(nets[name], tmp_path / f"{name}.html", name)
        assert out.stat().st_size <= page.MAX_BYTES
