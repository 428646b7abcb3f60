"""Notebooks in a real JupyterLab and headless Chromium: `with lab(folder) as page: open_notebook(page, "x.ipynb")`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

SCREENSHOTS = Path(__file__).with_name("screenshots")
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"]  # fmt: skip
SERVER = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--ServerApp.port_retries=0", "--IdentityProvider.token=",
          "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None",
          "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]  # fmt: skip
NOT_NEEDED = dict.fromkeys(("jupyter_lsp", "jupyter_server_terminals", "jupyterlab_jupytext", "notebook_shim"), False)
HANDLE, TRACK = ".noUi-handle, .ui-slider-handle", ".noUi-target, .ui-slider"  # of ipywidgets 8, and of 7
READY = """async () => {
    const context = window.jupyterapp.shell.currentWidget.sessionContext
    await context.ready
    await context.session.kernel.info
}"""
DONE = """() => window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel.status === 'idle'
    && ![...document.querySelectorAll('.jp-InputPrompt')].some(prompt => prompt.textContent.includes('*'))"""
PIXELS = """async image => {
    await image.decode()
    const [width, height] = [image.naturalWidth, image.naturalHeight]
    const context = Object.assign(document.createElement('canvas'), {width, height}).getContext('2d')
    context.drawImage(image, 0, 0)
    return Array.from(context.getImageData(0, 0, width, height).data)
}"""


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """The address of a JupyterLab of its own, with settings of its own, that serves `folder`."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", *SERVER, f"--port={port}", f"--ServerApp.root_dir={folder}"]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as home, open(Path(home, "log"), "w+") as log:
        Path(home, "jupyter_server_config.json").write_text(
            json.dumps({"ServerApp": {"jpserver_extensions": NOT_NEEDED}})
        )
        own = {"JUPYTER_CONFIG_DIR": home, "JUPYTER_RUNTIME_DIR": home, "IPYTHONDIR": home}
        process = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=subprocess.STDOUT)
        try:
            for _ in range(1200):  # a loaded machine needs more than half a minute
                with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api/status", timeout=2):
                    break
                if process.poll() is not None:
                    break
                time.sleep(0.1)
            else:
                process.kill()
                process.wait()
            assert process.poll() is None, f"JupyterLab did not start:\n{Path(log.name).read_text()[-2000:]}"
            yield address
        finally:
            process.terminate()
            process.wait(20)


@contextlib.contextmanager
def browser(**options) -> Iterator:
    """A Playwright page in a context with these options. What fails leaves a screenshot in `tests/screenshots`.

    Skips the test where there is no Playwright, or no Chromium or Chrome.
    """
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    path = next(filter(None, map(shutil.which, names)), None) or pytest.skip("neither Chromium nor Chrome is installed")
    with (
        api.sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=CHROMIUM) as chromium,
    ):
        page = chromium.new_page(viewport={"width": 1280, "height": 1000}, **options)
        try:
            yield page
        except BaseException:
            SCREENSHOTS.mkdir(exist_ok=True)
            test = os.environ.get("PYTEST_CURRENT_TEST", "lab").rpartition("::")[2].partition(" ")[0]
            page.screenshot(path=SCREENSHOTS / f"{test}.png")
            raise


@contextlib.contextmanager
def lab(folder: Path) -> Iterator:
    """A page on a JupyterLab that serves `folder`; skips as `browser` does."""
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with server(folder) as address, browser(base_url=address) as page:
        yield page


def open_notebook(page, name: str) -> None:
    """Open a notebook of the served folder, and wait for its kernel."""
    page.goto(f"/lab/tree/{name}?reset")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=60_000)
    page.add_style_tag(content=".Toastify { display: none }")  # messages that would cover widgets
    page.evaluate(READY)
    page.wait_for_function(DONE, timeout=60_000)


def run_all(page, timeout_s: float = 60) -> None:
    """Run all cells of the open notebook, and wait until the last has run without an error."""
    page.locator(".jp-Notebook .jp-Cell").first.click()  # a notebook without the focus runs nothing
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(DONE, timeout=timeout_s * 1000)
    errors = page.locator(".jp-OutputArea [data-mime-type='application/vnd.jupyter.error']")
    assert errors.count() == 0, errors.first.inner_text()


def pixels(image) -> list[int]:
    """The red, green, blue and alpha of each pixel of an image on the page (a locator)."""
    return image.evaluate(PIXELS)
