"""Widgets and pictures as a person has them: in JupyterLab, in a browser, by mouse and by keyboard."""

from pathlib import Path

import jupytext
import nbformat
from browser import HANDLE, TRACK, lab, open_notebook, pixels, run_all
from PIL import Image

from gan_helpers import data, runs

TEXT = Path(__file__).parents[1] / "notebooks" / "text"
SLIDER = """\
import torch
from gan_helpers.models.dcgan import Generator
from gan_helpers.widgets import latent_slider

torch.manual_seed(0)
generator = Generator(32, 3, 16, 8)
torch.nn.init.normal_(generator.layers[-2].weight, 0, 0.5)  # far apart, so that every step shows
latent_slider(generator, seeds=(0, 1, 2), size=200)"""
SHOW = 'from gan_helpers.plots import show\n\nshow("two.gif", "Red, then blue.", width=80)'


CHANGED = "([image, source]) => image.src !== source && image.complete && image.naturalWidth"


def test_slider_and_picture(tmp_path: Path) -> None:
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    red.save(tmp_path / "two.gif", save_all=True, append_images=[blue], duration=100, loop=0)
    cells = [nbformat.v4.new_code_cell(source) for source in (SLIDER, SHOW)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "small.ipynb")

    with lab(tmp_path) as page:
        open_notebook(page, "small.ipynb")
        run_all(page)
        handle, picture = page.locator(".widget-slider").locator(HANDLE), page.locator("figure img")
        caption = page.locator("figure figcaption")
        picture.wait_for()
        start = pixels(picture)
        assert len(start) == 32 * 32 * 4
        assert picture.evaluate("e => [e.width, getComputedStyle(e).imageRendering]") == [200, "pixelated"]
        assert "from seed 0 to seed 1" in caption.inner_text()
        assert "from seed 0 to seed 1" in picture.get_attribute("alt")
        assert handle.get_attribute("role") == "slider" or "ui-slider-handle" in handle.get_attribute("class")

        def act(action) -> None:
            """Do something, and wait until the image has changed."""
            source = picture.get_attribute("src")
            action()
            page.wait_for_function(CHANGED, arg=[picture.element_handle(), source])

        knob, track = handle.bounding_box(), page.locator(".widget-slider").locator(TRACK).bounding_box()
        y = knob["y"] + knob["height"] / 2
        page.mouse.move(knob["x"] + knob["width"] / 2, y)
        page.mouse.down()
        act(lambda: page.mouse.move(track["x"] + track["width"] * 0.75, y, steps=25))
        page.mouse.up()
        caption.filter(has_text="from seed 1 to seed 2").wait_for()
        assert pixels(picture) != start

        handle.focus()
        act(lambda: page.keyboard.press("End"))
        caption.filter(has_text="100% of the way from seed 1 to seed 2").wait_for()
        for _ in range(3):
            act(lambda: page.keyboard.press("ArrowLeft"))
        caption.filter(has_text="94% of the way from seed 1 to seed 2").wait_for()
        act(lambda: page.keyboard.press("Home"))
        caption.filter(has_text="0% of the way from seed 0").wait_for()
        assert pixels(picture) == start

        shown = page.locator(".jp-RenderedImage img")  # a GIF sent as image/png is drawn all the same
        assert shown.evaluate("e => [e.naturalWidth, e.width]") == [8, 80]
        assert shown.get_attribute("src").startswith("data:image/png;base64,R0lGOD")


LIVE = """\
from gan_helpers import data, runs
from gan_helpers.recipes import Recipe
from gan_helpers.widgets import LiveView

class Falling:
    name = "FD(test)"
    asked = 0

    def __call__(self, generator):
        self.asked += 1
        return 9 / self.asked

tiny = Recipe("tiny", image_size=16, latent_dim=6, g_width=4, d_width=4, batch_size=8, minutes=10, ema=0.9)
view = LiveView(count=6, columns=3, scale=4, seconds=0.3)
trainer = runs.train(tiny, data.load("faces"), "run", device="cpu", progress=False,
                     callbacks=[view], judge=Falling(), score_every=5)"""


def test_live_view_while_the_cell_trains_and_interrupt_keeps_everything(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell(LIVE)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "live.ipynb")
    with lab(tmp_path) as page:
        open_notebook(page, "live.ipynb")
        page.locator(".jp-Notebook .jp-Cell").first.click()
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")  # without waiting
        images, words = page.locator(".gan-live img"), page.locator(".gan-live .widget-html-content")
        words.filter(has_text="FD(test)").wait_for(timeout=120_000)
        images.nth(1).wait_for()

        def now():
            return pixels(images.nth(0)), pixels(images.nth(1)), words.inner_text()

        (grid, curves, said), elements = now(), images.element_handles()
        for element in elements:
            source = element.get_attribute("src")
            page.wait_for_function(CHANGED, arg=[element, source], timeout=60_000)
        later = now()
        assert images.element_handles()[0].evaluate("(a, b) => a === b", elements[0])  # in place, not drawn below
        assert later[0] != grid and later[1] != curves and later[2] != said
        assert "left" in said and "left" in later[2] and images.count() == 2
        words_of = [image.get_attribute("alt") for image in images.all()]
        assert "generated images at step" in words_of[0] and "Curves of the losses up to step" in words_of[1]
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:interrupt-kernel') }")
        stopped = page.locator(".jp-OutputArea-output", has_text="Stopped at step")
        stopped.wait_for(timeout=60_000)
        assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
        last = words.inner_text()
    folder = tmp_path / "run"
    assert {"history.csv", "scores.csv", "training.gif"} <= {path.name for path in folder.iterdir()}
    recipe = runs.recipe_of(folder).but(minutes=1e-9)  # a budget that is used up: it only loads what was kept
    trainer = runs.train(recipe, data.load("faces"), folder, resume=True, device="cpu", progress=False)
    assert trainer.step == len(trainer.rows) > 20 and f"step {trainer.step:,}" in last


PATIENT = """\
from gan_helpers.course.widgets import Clinic

Clinic(steps=16)"""
MAPS = """\
import numpy as np
import torch
from PIL import Image, ImageDraw
from gan_helpers import plots

torch.manual_seed(0)
images, maps = torch.rand(8, 1, 32, 32) * 2 - 1, torch.rand(8, 256, 256).pow(20)
maps /= maps.sum(2, keepdim=True)"""


def test_clinic_and_query_pad_as_the_notebooks_have_them(tmp_path: Path) -> None:
    cells = [cell.source for cell in jupytext.read(TEXT / "07_self_attention.py").cells if cell.cell_type == "code"]
    (overlay,) = (source for source in cells if "def overlay" in source)
    (query_pad,) = (source for source in cells if "Pad(" in source)
    cells = [nbformat.v4.new_code_cell(source) for source in (PATIENT, MAPS, overlay, query_pad)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "two.ipynb")
    with lab(tmp_path) as page:
        open_notebook(page, "two.ipynb")
        run_all(page)
        clinic = page.locator(".widget-vbox", has=page.get_by_role("button", name="Treat")).last
        clinic.get_by_label("R1 (1)").check()
        clinic.get_by_role("button", name="Treat").click()
        clinic.locator("figcaption", has_text="step 16:").wait_for(timeout=60_000)
        assert "r1=1.0" in clinic.inner_text() and "of 8 modes" in clinic.locator("img").get_attribute("alt")

        pad = page.locator("canvas.gan-pad")
        view = page.locator(".widget-vbox", has=pad).locator("figure")
        image, caption = view.locator("img"), view.locator("figcaption")
        pad.scroll_into_view_if_needed()
        caption.filter(has_text="row 8, column 8").wait_for()
        source, box = image.get_attribute("src"), pad.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.99, box["y"] + box["height"] * 0.3, steps=25)
        page.mouse.up()
        caption.filter(has_text="row 4, column 15").wait_for()
        page.wait_for_function(CHANGED, arg=[image.element_handle(), source])
        page.keyboard.press("Home")
        caption.filter(has_text="row 8, column 8").wait_for()
        dragged = pixels(image)
        page.locator(".widget-dropdown select").last.select_option("image 2")
        page.wait_for_function("e => e.complete && e.naturalWidth", arg=image.element_handle())
        assert pixels(image) != dragged
