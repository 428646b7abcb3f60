"""From a slider's event to the new pixels: in the kernel beside the generator's own forward pass, and in a browser.

    python benchmarks/explorer.py [SOURCE ...] [--events 200] [--keys 100]

Events are the messages that a dragged slider sends, handed to the explorer as the kernel hands them on. Times are of
the process (time.process_time), one thread, forward passes and events in turn, so that other work on the machine
counts little; the wall clock stands beside. In the browser (JupyterLab in headless Chromium) an arrow key is pressed
on a slider of the explorer, and the page itself measures from the key's event to the first frame after the new image
has loaded; the meter of what else moved is off, then on. Prints, and keeps in `benchmarks/results/explorer.txt`.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from gan_helpers import generators, latent
from gan_helpers.widgets import explore

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
CELL = 'import torch\ntorch.set_num_threads(1)\nfrom gan_helpers.widgets import explore\nexplore("{}")'
WATCH = """image => {
    let pressed = 0
    window.delays = []
    document.addEventListener('keydown', () => { pressed = performance.now() }, true)
    image.addEventListener('load', () => requestAnimationFrame(() => {
        if (pressed) window.delays.push(performance.now() - pressed)
        pressed = 0
    }))
}"""


def timed(act) -> tuple[float, float]:
    """Milliseconds of the process and of the wall clock that `act` takes."""
    cpu, wall = time.process_time(), time.perf_counter()
    act()
    return 1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - wall)


def measure(source: str, events: int) -> str:
    """One line: medians of forward pass and event, and of their difference."""
    box = explore(source)
    net, view, controls = box.explorer.net, box.view, box.controls
    z, rows = latent.draw_z(1, net.latent_dim), []

    def forward() -> None:
        with torch.no_grad():
            net(z)

    for k in range(events + 20):
        name, state = [
            ("direction 1", {"value": 3 * ((k % 17) / 8 - 1) + k / 1000}),
            ("pad", {"place": [(k % 31) / 10 - 1.5, (k % 13) / 10]}),
            ("psi", {"value": 0.5 + (k % 10) / 20 + k / 10000}),
        ][k % 3]
        before = view.picture.value
        alone, event = timed(forward), timed(lambda name=name, state=state: controls[name].set_state(state))
        assert view.picture.value != before
        rows.append([*alone, *event, event[0] - alone[0]])
    cpu, wall, event_cpu, event_wall, extra = (statistics.median(column) for column in zip(*rows[20:], strict=True))
    worst = statistics.quantiles([row[4] for row in rows[20:]], n=20)[-1]
    return (
        f"{source:<14} forward {cpu:6.2f} ms ({wall:6.2f} wall), event to pixels {event_cpu:6.2f} ms "
        f"({event_wall:6.2f} wall), difference {extra:5.2f} ms, 95th percentile {worst:5.2f} ms"
    )


def in_browser(source: str, keys: int) -> list[str]:
    """Two lines: from key to image on the page, without the meter and with it."""
    import nbformat
    from browser import lab, open_notebook, run_all

    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.format(source))], metadata=kernel)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(notebook, Path(folder, "explore.ipynb"))
        with lab(Path(folder)) as page:
            open_notebook(page, "explore.ipynb")
            run_all(page, 300)
            page.locator(".gan-view img").evaluate(WATCH)
            knob = page.locator(".gan-explorer .widget-slider:visible", has_text="first layer 1").locator(
                ".noUi-handle"
            )
            for meter in (False, True):
                tick = page.locator(".gan-explorer .widget-checkbox:visible", has_text="what else moves")
                if meter and not tick.count():
                    continue
                if meter:
                    tick.locator("input").check()
                knob.focus()
                page.evaluate("window.delays = []")
                for k in range(keys + 10):
                    page.keyboard.press("ArrowRight" if k // 20 % 2 else "ArrowLeft")
                    page.wait_for_function("n => window.delays.length > n", arg=k, timeout=60_000)
                delays = page.evaluate("window.delays")[10:]
                middle, p95 = statistics.median(delays), statistics.quantiles(delays, n=20)[-1]
                words = "with the meter" if meter else "key to image"
                lines.append(f"{source:<14} {words:<14} median {middle:4.0f} ms, 95th percentile {p95:4.0f} ms")
    return lines


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("sources", nargs="*", default=[*generators.shipped()])
    p.add_argument("--events", type=int, default=200)
    p.add_argument("--keys", type=int, default=100, help="pressed in the browser; 0 leaves it out")
    o = p.parse_args()
    torch.set_num_threads(1)
    load = f"load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    lines = [f"{platform.machine()}, 1 thread, PyTorch {torch.__version__}, {o.events} events, medians; {load}"]
    for source in o.sources:
        lines += [measure(source, o.events)] if o.events else []
        lines += in_browser(source, o.keys) if o.keys else []
    print(*lines, sep="\n")
    kept = Path(__file__).with_name("results") / "explorer.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
