"""Widgets and pictures as a person has them: in JupyterLab, in a browser, by mouse and by keyboard."""

import statistics
import time
from pathlib import Path

import nbformat
from browser import lab, open_notebook, pixels, run_all
from PIL import Image

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


def test_slider_and_picture(tmp_path: Path, record_property) -> None:
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    red.save(tmp_path / "two.gif", save_all=True, append_images=[blue], duration=100, loop=0)
    cells = [nbformat.v4.new_code_cell(source) for source in (SLIDER, SHOW)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "small.ipynb")

    with lab(tmp_path) as page:
        open_notebook(page, "small.ipynb")
        run_all(page)
        handle, picture = page.locator(".widget-slider .noUi-handle"), page.locator("img.widget-image.gan-pixels")
        caption = page.locator(".widget-html-content")
        picture.wait_for()
        start = pixels(picture)
        assert len(start) == 32 * 32 * 4
        assert picture.evaluate("e => [e.width, getComputedStyle(e).imageRendering]") == [200, "pixelated"]
        assert handle.get_attribute("role") == "slider" and "from seed 0 to seed 1" in caption.inner_text()

        def act(action) -> float:
            """Seconds until the image has changed."""
            source, began = picture.get_attribute("src"), time.perf_counter()
            action()
            page.wait_for_function(CHANGED, arg=[picture.element_handle(), source], polling=5, timeout=10_000)
            return time.perf_counter() - began

        knob, track = handle.bounding_box(), page.locator(".widget-slider .noUi-target").bounding_box()
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
        seconds = statistics.median(act(lambda: page.keyboard.press("ArrowLeft")) for _ in range(7))
        record_property("milliseconds_from_key_to_image", round(1000 * seconds))
        assert seconds < 0.5
        act(lambda: page.keyboard.press("Home"))
        caption.filter(has_text="0% of the way from seed 0").wait_for()
        assert pixels(picture) == start

        shown = page.locator(".jp-RenderedImage img")  # a GIF sent as image/png is drawn all the same
        assert shown.evaluate("e => [e.naturalWidth, e.width]") == [8, 80]
        assert shown.get_attribute("src").startswith("data:image/png;base64,R0lGOD")
