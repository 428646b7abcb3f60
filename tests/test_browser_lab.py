"""The laboratory as a person has it: played, paused, scrubbed, by mouse and by keyboard."""

from pathlib import Path

import nbformat
from browser import HANDLE, lab, open_notebook, pixels, run_all

FRAMES = """(image, count) => new Promise(done => {
    const watch = new MutationObserver(() => {
        count -= 1
        if (count === 0) done(watch.disconnect())
    })
    watch.observe(image, {attributes: true, attributeFilter: ['src']})
})"""  # as many new pictures, in place
STEP = "e => Number(e.innerText.match(/step ([0-9,]+)/)[1].replace(',', ''))"


def test_lab(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell("from gan_helpers.course.widgets import Lab\n\nLab('ring')")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "lab.ipynb")

    with lab(tmp_path) as page:
        open_notebook(page, "lab.ipynb")
        run_all(page)
        picture = page.locator(".gan-lab img")
        caption = page.locator(".gan-lab figcaption")
        picture.wait_for()
        assert picture.evaluate("e => [e.naturalWidth, e.naturalHeight, e.width]") == [400, 400, 400]
        assert picture.get_attribute("alt") == caption.inner_text()
        assert caption.evaluate(STEP) == 0 and "0 of 8 modes" in caption.inner_text()
        start = pixels(picture)
        for name in ("data", "loss", "D steps", "seed", "speed", "time", "G's rate", "D's rate"):
            assert page.locator(".widget-label", has_text=name).first.is_visible(), name
        assert page.get_by_role("button", name="Reset", exact=True).is_visible()

        page.get_by_role("button", name="Play").focus()
        page.keyboard.press("Space")
        page.get_by_role("button", name="Pause").wait_for()
        page.wait_for_function("e => Number(e.innerText.match(/step ([0-9]+)/)[1]) > 10", arg=caption.element_handle())
        picture.evaluate(FRAMES, 5)
        page.keyboard.press("Space")
        page.get_by_role("button", name="Play").wait_for()

        handle = page.locator(".widget-slider", has_text="time").locator(HANDLE)
        handle.focus()
        page.keyboard.press("Home")
        caption.filter(has_text="step 0:").wait_for()
        page.wait_for_function("e => e.complete && e.naturalWidth", arg=picture.element_handle())
        assert pixels(picture) == start
        page.get_by_role("button", name="Step", exact=True).click()
        caption.filter(has_not_text="step 0:").wait_for()
        stopped = caption.evaluate(STEP)
        assert stopped > 10

        page.locator(".widget-dropdown select").nth(1).select_option("minimax")  # another loss starts anew
        caption.filter(has_text="step 0:").wait_for()
        page.locator(".widget-dropdown select").nth(0).select_option("drawing")
        page.locator(".widget-textarea textarea").wait_for()
        page.get_by_role("button", name="Save GIF").click()
        page.locator(".widget-html-content", has_text="Saved").wait_for()
        assert (tmp_path / "exports" / "drawing-minimax.gif").exists()
