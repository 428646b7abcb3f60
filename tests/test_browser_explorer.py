"""The explorer in JupyterLab and the exported page from disk, as a person has them: dragged, keyed, and offline."""

import nbformat
import numpy as np
import pytest
import torch
from browser import HANDLE, TRACK, browser, lab, open_notebook, pixels, run_all
from cases import long
from torch import nn

from gan_helpers import generators, latent, page, plots, recipes
from gan_helpers.models import auxiliary, residual, sagan, small
from gan_helpers.models.blocks import SameConv2d, SameConvTranspose2d, SelfAttention

NETS = """\
import torch
from torch import nn
from gan_helpers.models.dcgan import Generator
from gan_helpers.widgets import explore

torch.manual_seed(0)
generator = Generator(32, 3, 16, 8)
nn.init.normal_(generator.layers[-2].weight, 0, 0.5)  # far apart, so that every step shows
box = explore(generator, size=200)
box"""
CHANGED = "([image, source]) => image.src !== source && image.complete && image.naturalWidth"


def drag(sheet, box, way):
    """Move the mouse in 25 steps along fractions (x, y) of a box."""
    at = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in way]
    sheet.mouse.move(*at[0])
    sheet.mouse.down()
    sheet.mouse.move(*at[1], steps=25)
    sheet.mouse.up()


def test_explorer_in_jupyterlab(tmp_path):
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(NETS)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "explore.ipynb")
    with lab(tmp_path) as sheet:
        open_notebook(sheet, "explore.ipynb")
        run_all(sheet, 120)
        picture, words = sheet.locator(".gan-view img"), sheet.locator(".gan-explorer [role=status]")
        picture.wait_for()
        assert len(start := pixels(picture)) == 32 * 32 * 4
        assert picture.evaluate("e => [e.width, getComputedStyle(e).imageRendering]") == [200, "pixelated"]
        sheet.wait_for_function("e => e.alt.includes('seed 0')", arg=picture.element_handle())

        def act(action) -> None:
            """Do something, and wait until the image has changed."""
            source = picture.get_attribute("src")
            action()
            sheet.wait_for_function(CHANGED, arg=[picture.element_handle(), source])

        handle = sheet.locator(".gan-explorer .widget-slider:visible").filter(has_text="first layer 1")
        knob = handle.locator(HANDLE)
        track = handle.locator(TRACK).bounding_box()
        act(lambda: drag(sheet, track, [(0.5, 0.5), (0.8, 0.5)]))
        words.filter(has_text="first layer 1 +3").wait_for()
        assert pixels(picture) != start
        knob.focus()
        act(lambda: sheet.keyboard.press("ArrowLeft"))
        act(lambda: sheet.keyboard.press("ArrowRight"))

        act(lambda: sheet.get_by_role("button", name="Reset").click())
        words.filter(has_text="seed 0 ·").wait_for()
        assert pixels(picture) == start and handle.locator(".widget-readout").inner_text() == "0.0"
        act(lambda: sheet.get_by_role("button", name="Undo").click())
        words.filter(has_text="first layer 1").wait_for()
        act(lambda: sheet.get_by_role("button", name="Reset").click())

        sheet.get_by_role("tab", name="Seeds").click()
        pad = sheet.locator("canvas.gan-pad")
        pad.wait_for()
        pad.scroll_into_view_if_needed()
        act(lambda: drag(sheet, pad.bounding_box(), [(0.5, 0.5), (0.9, 0.3)]))
        words.filter(has_text="+2.00 across, -1.00 down").wait_for()  # seed -98: the tile it stands on
        sheet.wait_for_function("e => e.getAttribute('aria-valuetext') === '2.00 across, -1.00 down'",
                                arg=pad.element_handle())  # fmt: skip
        act(lambda: sheet.keyboard.press("Shift+ArrowDown"))
        words.filter(has_text="+2.00 across, +0.00 down").wait_for()
        act(lambda: sheet.keyboard.press("Home"))
        words.filter(has_text="seed 0 ·").wait_for()
        assert pixels(picture) == start

        sheet.get_by_role("tab", name="Path").click()
        for _ in range(2):
            sheet.get_by_role("button", name="Add keyframe").click()
            act(lambda: sheet.get_by_role("button", name="New seed").click())
        act(lambda: sheet.locator(".widget-play button:visible").first.click())
        words.filter(has_text="of the path through 2 keyframes").wait_for()


class EveryLayer(nn.Module):
    """One of each layer that a page knows, with odd sizes."""

    latent_dim = 5

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(5, 42), nn.BatchNorm1d(42), nn.LeakyReLU(0.1), nn.Unflatten(1, (7, 2, 3)),
            nn.ConvTranspose2d(7, 6, 3, (2, 1), 1, output_padding=(1, 0)), nn.BatchNorm2d(6), nn.ReLU(),
            nn.Upsample(scale_factor=2), SameConv2d(6, 6), SameConvTranspose2d(6, 6),
            nn.Conv2d(6, 5, 3, padding=1), nn.Sigmoid(),
            nn.Conv2d(5, 4, (3, 1), (1, 2), bias=False), nn.Flatten(), nn.Linear(72, 192), nn.Unflatten(1, (3, 8, 8)),
            nn.Tanh(),
        )  # fmt: skip

    def forward(self, z):
        return self.layers(z)


def every_layer():
    torch.manual_seed(0)
    net = EveryLayer()
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(16, 5))  # running statistics that are not 0 and 1
        for p in net.parameters():
            p.copy_(p.half().float())
    return net.eval()


def with_classes(make):
    """A conditional net of three classes, small, with statistics of its own and weights that float16 holds."""
    torch.manual_seed(0)
    net = make()
    for module in net.modules():
        if isinstance(module, (nn.Embedding, nn.BatchNorm2d)) and getattr(module, "weight", None) is not None:
            nn.init.normal_(module.weight, 1, 0.3)
        if isinstance(module, SelfAttention):
            nn.init.constant_(module.gamma, 0.5)
        if isinstance(module, (nn.ConvTranspose2d, nn.Conv2d)):
            nn.init.normal_(module.weight, 0, 0.1)
    net.latent_dim, net.num_classes, net.class_names = 5, 3, ("cat", "dog", "<owl>")
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(12, 5), torch.arange(12) % 3)
        for p in net.parameters():
            p.copy_(p.half().float())
    return net.eval()


CONDITIONAL = {
    "one-hot": lambda: auxiliary.Generator(3, 5, 2, classes=3, learned=True),
    "conditional BatchNorm and attention": lambda: small.Generator(16, 3, 5, 4, classes=3, attention=True),
    "residual blocks": lambda: residual.Generator(32, 3, 5, 4, classes=3),
    "embedding as a map": lambda: sagan.Generator(3, 5, 4, classes=3),
}


@pytest.mark.parametrize("name", CONDITIONAL)
def test_the_page_draws_classes_as_pytorch_does(name, tmp_path):
    net = with_classes(CONDITIONAL[name])
    path = page.export_page(net, tmp_path / "page.html", name)
    z, kinds = latent.draw_z(4, 5, 3), [(0, 0, 0.0), (2, 0, 0.0), (1, 2, 0.25), (1, 2, 1.0)]
    wanted = [latent.generate_class(net, one[None], *kind) for one, kind in zip(z, kinds, strict=True)]
    wanted = plots.to_uint8(torch.cat(wanted)).permute(0, 2, 3, 1).numpy().astype(int)
    assert abs(latent.generate_class(net, z[:1], 0) - latent.generate_class(net, z[:1], 2)).max() > 0.05
    with browser(offline=True, bypass_csp=True) as sheet:
        sheet.goto(path.as_uri())
        sheet.locator("#view[data-drawn]").wait_for(timeout=60_000)
        pairs = [[one.tolist(), kind] for one, kind in zip(z, kinds, strict=True)]
        drawn = [sheet.evaluate("([z, kind]) => explorer.render(z, kind)", pair) for pair in pairs]
        got = np.array([d["pixels"] for d in drawn]).reshape(*wanted.shape[:3], 4)
        assert abs(got[..., :3] - wanted).max() <= 2
        status = sheet.locator("#status")
        status.filter(has_text="class cat").wait_for()
        sheet.get_by_label("class", exact=True).select_option("<owl>")
        status.filter(has_text="class <owl>").wait_for()
        sheet.get_by_label("mixed with").select_option("dog")
        sheet.get_by_label("how much").press("End")
        status.filter(has_text="mixed with 100% dog").wait_for()
        sheet.get_by_role("button", name="Reset").click()
        status.filter(has_text="class <owl> ·").wait_for()


ONE_NET = {name for name in generators.shipped() if recipes.get(name).labels != "pairs"}  # a page holds no more


@pytest.mark.parametrize("name", ["every layer", "dcgan-faces", *long(*sorted(ONE_NET - {"dcgan-faces"}))])
def test_the_page_draws_what_pytorch_draws(name, tmp_path):
    net = every_layer() if name == "every layer" else generators.load_generator(name)
    path = page.export_page(net, tmp_path / "page.html", name)
    z = 1.5 * latent.draw_z(4, net.latent_dim, 3)
    wanted = latent.generate(net, z, torch.arange(4) if getattr(net, "num_classes", 0) else None)
    wanted = plots.to_uint8(wanted).permute(0, 2, 3, 1).numpy().astype(int)
    with browser(offline=True, bypass_csp=True) as sheet:
        sheet.goto(path.as_uri())
        sheet.locator("#view[data-drawn]").wait_for(timeout=60_000)
        pairs = [[one.tolist(), [k, k, 0.0]] for k, one in enumerate(z)]  # nets without classes pay no heed to theirs
        drawn = [sheet.evaluate("([z, kind]) => explorer.render(z, kind)", pair) for pair in pairs]
        got = np.array([d["pixels"] for d in drawn]).reshape(*wanted.shape[:3], 4)
        assert abs(got[..., :3] - wanted).max() <= 2 and (got[..., 3] == 255).all()
        seed = round(float(sheet.locator("#status").inner_text().split()[1].rstrip(",")))
        shown = np.array(sheet.evaluate("[...explorer.latent()]"))
        assert np.allclose(shown, latent.draw_z(1, net.latent_dim, seed)[0], atol=1e-6)


def test_the_page_is_moved_by_mouse_and_keys_with_the_network_off(tmp_path):
    torch.manual_seed(0)
    net = every_layer()
    path = page.export_page(net, tmp_path / "page.html", "every layer")
    asked, said = [], []
    with browser(offline=True) as sheet:
        sheet.on("request", lambda request: asked.append(request.url))
        sheet.on("console", lambda message: said.append(message.text))
        sheet.on("pageerror", lambda error: said.append(str(error)))
        sheet.goto(path.as_uri())
        status = sheet.locator("#status")
        status.filter(has_text="seed 202").wait_for()
        assert all(url.startswith(("file:", "blob:")) for url in asked)
        slider = sheet.get_by_role("slider", name="direction 1")
        drag(sheet, slider.bounding_box(), [(0.5, 0.5), (0.9, 0.5)])
        status.filter(has_text="direction 1 +").wait_for()
        slider.press("End")
        status.filter(has_text="direction 1 +6").wait_for()
        sheet.get_by_role("button", name="Undo").click()
        sheet.get_by_role("button", name="Reset").click()
        pad = sheet.get_by_role("slider", name="Seed plane")
        drag(sheet, pad.bounding_box(), [(0.5, 0.5), (0.7, 0.5)])
        status.filter(has_text="1.00 across, 0.00 down").wait_for()
        pad.press("ArrowUp")
        status.filter(has_text="1.00 across, -0.10 down").wait_for()
        play = sheet.get_by_role("button", name="Play")
        assert play.is_disabled()
        sheet.get_by_role("button", name="Keep this picture").click()
        sheet.get_by_role("button", name="Other seeds").click()
        status.filter(has_text="seed 207").wait_for()
        sheet.get_by_role("button", name="Keep this picture").click()
        play.click()
        status.filter(has_text="% of the path").wait_for()
        sheet.get_by_role("button", name="Stop").press("Space")
        with sheet.expect_download() as download:
            sheet.get_by_role("button", name="Save picture").click()
        assert download.value.suggested_filename == "every layer.png"
        assert not said
