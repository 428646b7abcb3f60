"""The explorer without a browser: where it stands, what its controls do, and that its code makes what it shows."""

import functools
import io
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gan_helpers import data, directions, features, generators, latent, models, page, plots, runs
from gan_helpers.__main__ import main
from gan_helpers.errors import CourseError
from gan_helpers.models import auxiliary
from gan_helpers.models.blocks import OnePerClass
from gan_helpers.models.dcgan import Discriminator, Generator
from gan_helpers.page import compile_net
from gan_helpers.plots import to_hwc
from gan_helpers.recipes import Recipe
from gan_helpers.widgets import explore
from gan_helpers.widgets.expression import Expression, call, import_lines
from gan_helpers.widgets.state import Explorer


def contrasted(net):
    nn.init.normal_(net.layers[-2].weight, 0, 0.5)  # far apart, so that every step shows
    return net.eval()


torch.manual_seed(0)
G = contrasted(Generator(16, 3, 6, 4))


class Conditional(Generator):
    num_classes, class_names = 3, ("cat", "dog", "owl")

    def __init__(self):
        super().__init__(16, 3, 6, 4)
        self.embed = nn.Embedding(3, 6)

    def forward(self, z, labels):
        return super().forward(z + 2 * self.embed(labels))


C = contrasted(Conditional())
rng = np.random.default_rng(0)
SET = data.ImageSet(
    rng.integers(0, 256, (60, 3, 16, 16), dtype=np.uint8), "noise", attributes={"hat": rng.random(60) < 0.5}
)


def pixels(widget):
    return np.array(Image.open(io.BytesIO(widget.value)).convert("RGB"))


def shown(e):
    return to_hwc(e.image())[0]


def run_code(e, generator=None):
    """What the cell that the explorer writes shows, as an image at native size."""
    code = e.code().replace("...  # the generator", "generator  # the generator")
    *lines, last = code.splitlines()
    scope = {"generator": e.net}
    exec("\n".join(lines) + f"\npicture = {last.replace(', scale=4', '')}", scope)
    return np.array(scope["picture"])


def visits(e):
    """One view after another, through everything that moves."""
    yield "start"
    e.move("P[1]", -1.5)
    yield "direction"
    e.change(psi=0.7)
    yield "truncated"
    e.change(base="seeds", x=0.25, y=-1.5)
    yield "plane"
    e.add_key()
    e.change(seed=5, x=0.0, y=0.0)
    e.add_key()
    e.along(0.2)
    yield "arc"
    e.change(spherical=False, loop=False)
    yield "line"
    e.move("P[0]", 0.5)
    yield "path and direction"
    e.pick(0)
    e.pick(1)
    e.along(1.0)
    e.pick(0)
    e.combine()
    yield "arithmetic"


@pytest.mark.parametrize("net", [G, C])
def test_the_code_makes_what_is_shown_and_undo_goes_all_the_way_back(net, tmp_path):
    e, seen = Explorer(net, folder=tmp_path), {}
    for name in visits(e):
        if e.class_names:
            e.change(label=1, other=2, mix=0.25)
        seen[name] = shown(e).tobytes()
        assert (run_code(e) == shown(e)).all(), name
    assert len(set(seen.values())) == len(seen)
    while e.past:
        e.undo()
    assert shown(e).tobytes() == to_hwc(e.generate(latent.draw_z(1, 6, 0)))[0].tobytes()


def test_value_and_code_are_rounded_alike_and_bring_their_imports():
    made = call(torch.cat, [call(latent.lerp, call(latent.draw_z, 1, 6, 5), Expression(2.0, "2.0"), 1 / 3)])
    assert made.code == "torch.cat([latent.lerp(latent.draw_z(1, 6, 5), 2.0, 0.333333)])"
    assert import_lines(made.uses) == ["import torch", "from gan_helpers import latent"]
    scope = {}
    exec("\n".join([*import_lines(made.uses), f"again = {made.code}"]), scope)
    assert made.value.equal(scope["again"])


def test_every_number_of_the_view_is_in_its_code(tmp_path):
    e = Explorer(G, folder=tmp_path)
    e.change(x=0.123456789, y=-1 / 3, psi=2 / 3, amounts={"P[0]": 0.1 + 0.2, "P[1]": -1 / 7})
    assert "0.3 * P[0] - 0.142857 * P[1]" in e.code() and (run_code(e) == shown(e)).all()


def test_a_view_with_another_keyframe_is_another_view(tmp_path):
    e = Explorer(G, folder=tmp_path)
    for seed in (1, 2):
        e.change(keys=(call(latent.draw_z, 1, 6, seed),))
    assert len(e.past) == 1 and e.view.keys[0].code == "latent.draw_z(1, 6, 2)"


def test_where_the_network_is_missing_the_explorer_opens_and_says_so_once(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "shipped", dict)
    box = explore(G, data.ImageSet(SET.images, "faces"), tmp_path)
    assert "faces-net is missing" in box.view.message.value and "what else moved" not in box.controls
    box.controls["New seed"].click()
    assert not box.view.message.value
    assert not explore(G, SET, tmp_path).view.message.value  # for which there never was one


def test_truncation_goes_as_far_everywhere(tmp_path):
    psi = explore(G, folder=tmp_path).controls["psi"]
    text = page.export_page(G, tmp_path / "a.html", "a").read_text(encoding="utf-8")
    assert (psi.min, psi.max) == (0, page.PSI) and f'"psi": {page.PSI}' in text


def test_keyframes_are_the_images_they_were_made_of(tmp_path):
    e = Explorer(G, folder=tmp_path)
    e.move("P[0]", 2.0)
    e.change(psi=0.5)
    one = shown(e)
    e.add_key()
    e.change(seed=3)
    e.add_key()
    e.along(0.0)
    assert (shown(e) == one).all() and e.view.psi == 1
    e.along(1.0)  # a loop ends where it began
    assert (shown(e) == one).all()


def test_a_drag_is_undone_as_one(tmp_path):
    e = Explorer(G, folder=tmp_path)
    e.move("P[0]", 1.0)
    for psi in (0.9, 0.8, 0.7):
        e.change(psi=psi)
    e.undo()
    assert e.view.psi == 1 and e.view.amounts == {"P[0]": 1.0}
    e.undo()
    e.undo()
    assert not e.view.amounts and not e.past


def test_no_image_depends_on_its_batch_mates(tmp_path):
    e, z = Explorer(G, folder=tmp_path), latent.draw_z(9, 6)
    together, alone = plots.to_uint8(e.generate(z)), plots.to_uint8(torch.cat([e.generate(one) for one in z.split(1)]))
    assert (together.int() - alone.int()).abs().max() <= 1


def test_a_frozen_copy_whatever_training_does(tmp_path):
    net = contrasted(Generator(16, 3, 6, 4)).train()
    e = Explorer(net, folder=tmp_path)
    before = shown(e)
    net.layers[0].weight.data.zero_()
    assert (shown(e) == before).all() and net.training and net.layers[0].weight.requires_grad


def test_directions_of_every_set_can_be_saved_and_found_again(tmp_path):
    e = Explorer(G, SET, tmp_path)
    assert len(e.find("P")) == len(e.find("A")) == 6 and e.find("T") == ['T["hat"]'] and e.find("S") == []
    with pytest.raises(CourseError, match="Move a slider"):
        e.save_direction("odd")
    e.move("P[0]", 2.0)
    e.move('T["hat"]', -1.0)
    key = e.save_direction("my hat")
    with pytest.raises(CourseError, match="taken"):
        e.save_direction("my hat")
    for name in ("", "../x", 'a"b'):
        with pytest.raises(CourseError, match="letters"):
            e.save_direction(name)
    again = Explorer(G, SET, tmp_path)
    assert again.find("S") == [key] and torch.allclose(again.directions[key], e.directions[key])
    again.move(key, 2.0)
    assert (run_code(again) == shown(again)).all()


def test_snapshots_carry_their_code_and_never_overwrite(tmp_path):
    e = Explorer(G, folder=tmp_path / "new" / "folder")
    first, second = e.snapshot(), e.snapshot()
    assert first != second and Image.open(first).size == (256, 256) and Image.open(first).text["code"] == e.code()
    (tmp_path / "file").touch()
    with pytest.raises(CourseError, match="cannot be made"):
        Explorer(G, folder=tmp_path / "file").snapshot()


def test_nearest_training_images(tmp_path):
    e = Explorer(G, folder=tmp_path)
    with pytest.raises(CourseError, match="not at hand"):
        e.nearest()
    copied = plots.to_uint8(Explorer(G, folder=tmp_path).image()).numpy()
    e = Explorer(G, data.ImageSet(np.concatenate([SET.images, copied]), "with a copy"), tmp_path)
    images, distances = e.nearest(3)
    assert (images[0].numpy() == copied[0]).all() and distances[0] < 1 < distances[1] < distances[2]


def test_what_is_no_generator_is_refused(tmp_path):
    for wrong, message in ((Discriminator(16, 3, 4), "no generator"), ("dcgan-face", "Did you mean|dcgan-faces")):
        with pytest.raises(CourseError, match=message):
            explore(wrong, folder=tmp_path)


def test_controls_and_view_follow_each_other(tmp_path):
    box = explore(G, SET, tmp_path)
    c, e, view = box.controls, box.explorer, box.view
    start = pixels(view.picture)
    for name, value in (("direction 2", 2.0), ("psi", 0.5), ("y", 1.0), ("seed", 7)):
        before = pixels(view.picture)
        c[name].value = value
        assert (pixels(view.picture) != before).any() and (pixels(view.picture) == shown(e)).all(), name
    c["pad"].place = (1.0, -0.5)
    assert c["x"].value == 1.0 and c["y"].value == -0.5 and "+1.00 across" in view.picture.alt
    c["Reset"].click()
    assert c["pad"].place == (0, 0) and c["direction 2"].value == 0 and c["psi"].value == 1
    c["Undo"].click()
    assert c["pad"].place == (1.0, -0.5) and c["direction 2"].value == 2
    while e.past:
        c["Undo"].click()
    assert (pixels(view.picture) == start).all() and c["seed"].value == 0
    assert (np.array(Image.open(io.BytesIO(c["pad"].picture)))[32:48, 32:48] == start).all()  # the seed, in the middle


def test_path_arithmetic_code_and_neighbours_through_the_controls(tmp_path):
    box = explore(G, SET, tmp_path)
    c, e, view = box.controls, box.explorer, box.view
    c["Export"].click()
    assert "two keyframes" in view.message.value
    c["Show A − B + C"].click()
    assert "into A" in view.message.value
    c["Add keyframe"].click()
    c["New seed"].click()
    c["Add keyframe"].click()
    c["t"].value = 25
    assert e.view.t == 0.25 and e.view.base == "path" and pixels(c["keyframes"]).shape == (16, 34, 3)
    c["Export"].click()
    clip = Image.open(tmp_path / "path.gif")
    assert clip.n_frames > 50 and "8 s" in view.message.value
    c["Into A"].click()
    c["Show A − B + C"].click()
    assert e.view.base == "sum" and "arithmetic" in view.picture.caption
    c["Write the code"].click()
    assert c["code"].value == e.code()
    c["Find nearest"].click()
    assert pixels(c["neighbours"]).shape == (16, 6 * 18 - 2, 3)
    for letter, visible in (("A", 6), ("T", 1), ("S", 0), ("P", 6)):
        c["directions"].value = letter
        assert sum(c[f"direction {i}"].layout.display is None for i in range(1, 9)) == visible


def test_class_and_mixing(tmp_path):
    c = (box := explore(C, folder=tmp_path)).controls
    e = box.explorer
    assert "label" not in explore(G, folder=tmp_path).controls and "class cat" in e.describe()
    cat = shown(e)
    c["other"].value, c["mix"].value = 1, 0.5
    assert (shown(e) != cat).any() and "mixed with 50% dog" in e.describe()
    c["mix"].value = 1.0
    mixed = shown(e)
    c["mix"].value, c["label"].value = 0.0, 1
    assert (shown(e) == mixed).all()


def one_hot():
    net = auxiliary.Generator(3, 6, 2, classes=3)
    net.latent_dim, net.num_classes, net.class_names = 6, 3, ("cat", "dog", "owl")
    for module in net.modules():
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, 0.2)
    return net.eval()


def test_one_hot_classes_mix_and_nets_of_their_own_say_that_they_cannot(tmp_path):
    e = (box := explore(one_hot(), folder=tmp_path)).explorer
    cat = shown(e)
    box.controls["other"].value, box.controls["mix"].value = 2, 0.5
    half = shown(e)
    assert (half != cat).any() and (run_code(e) == half).all()
    box.controls["mix"].value = 1.0
    owl = shown(e)
    e.change(mix=0.0, label=2)
    assert (shown(e) == owl).all() and (half != owl).any()
    nets = OnePerClass([one_hot().layers for _ in range(2)])
    nets.latent_dim, nets.num_classes, nets.class_names = 9, 2, ("cat", "dog")
    nets.forward = lambda z, y: OnePerClass.forward(nets, z[:, :, None, None], y)
    controls = explore(nets, folder=tmp_path).controls
    assert "label" in controls and "mix" not in controls


def test_the_meter_tells_what_else_moved(tmp_path):
    assert "what else moved" not in explore(G, SET, tmp_path).controls
    with pytest.raises(CourseError, match="No network"):
        Explorer(G, SET, tmp_path).moved()
    box = explore("dcgan-faces", folder=tmp_path)
    e, c = box.explorer, box.controls
    c["show what else moves"].value = True
    assert "no answer has changed" in c["what else moved"].value
    assert all(way == 0 and before == after for _, before, after, way in e.moved()) and len(e.moved()) == 15
    c["direction 1"].value = 4.0
    rows = e.moved()
    assert rows[0][3] > 0.9 and [row[3] for row in rows] == sorted((row[3] for row in rows), reverse=True)
    question, before, after, _ = rows[0]
    assert before != after and f"<th>{question}</th><td>{before} → {after}</td>" in c["what else moved"].value
    c["seed"].value = 3  # another face: another start
    assert e.moved() != rows
    c["Reset"].click()
    assert "no answer has changed" in c["what else moved"].value


def test_fast_drags_draw_the_newest_view_and_leave_no_queue(tmp_path):
    box = explore(G, folder=tmp_path)
    e, view, made = box.explorer, box.view, []
    slow, busy, go_on = e.image, threading.Event(), threading.Event()

    def image():
        made.append(e.view)
        busy.set()
        assert go_on.wait(10)
        return slow()

    e.image = image
    first = threading.Thread(target=lambda: setattr(box.controls["psi"], "value", 0.9))
    first.start()
    assert busy.wait(10)
    for k in range(20):  # moves that arrive while an image is being made
        e.change(psi=0.8 - k / 100)
        view.draw()
    go_on.set()
    first.join()
    assert len(made) == 2 and made[-1].psi == pytest.approx(0.61) and view.draw.drawn is e.view


NOISE = data.ImageSet(np.random.default_rng(0).integers(0, 256, (60, 3, 16, 16), dtype=np.uint8), "noise")
TINY = Recipe("tiny", image_size=16, latent_dim=6, g_width=4, d_width=4, batch_size=8, steps=6)


def trained_with_classes():
    torch.manual_seed(0)
    return models.build_generator(TINY.but(family="small", labels="conditional", num_classes=3)).eval()


def test_a_conditional_generator_straight_from_training_has_classes():
    net = trained_with_classes()
    explorer = Explorer(net, NOISE)
    assert explorer.class_names == ("0", "1", "2") and generators.class_names(torch.nn.Identity()) == ()
    explorer.change(label=2)
    assert "class 2" in explorer.describe()
    assert directions.activation_pca(net, 3).shape == (3, 6)  # its ReLUs can be found
    assert sum(layer["type"] == "relu" for layer in compile_net(net)[0]["layers"]) == 3


def test_code_of_a_windows_path(monkeypatch):
    fake = functools.wraps(generators.load_generator)(lambda source: trained_with_classes())
    monkeypatch.setattr("gan_helpers.widgets.state.load_generator", fake)
    compile(Explorer(r"C:\Users\me\run", NOISE).code(), "cell", "exec")


def test_attributes_of_a_grey_generator(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = TINY.but(data="faces", channels=1)
    runs.train(recipe.but(steps=1), data.load("faces"), "run", device="cpu", progress=False)
    command = ["walk", "run", "--out", "walk.gif", "--seconds", "0.5", "--fps", "1"]
    assert main([*command, "--direction", "glasses"]) == 0 and main([*command, "--direction", "1"]) == 0
    explorer = Explorer("run")
    explorer.find("T")
    explorer.move('T["glasses"]', 1.0)
    assert 'data.load("faces", 16, 1)' in explorer.code()
    exec(explorer.code(), {})
