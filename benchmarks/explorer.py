"""From a slider's event to the new pixels in the kernel, beside the generator's own forward pass.

    python benchmarks/explorer.py [SOURCE ...] [--events 200]

Events are the messages that a dragged slider sends, handed to the explorer as the kernel hands them on. Times are of
the process (time.process_time), one thread, forward passes and events in turn, so that other work on the machine
counts little; the wall clock stands beside. Prints, and keeps in `benchmarks/results/explorer.txt`.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from pathlib import Path

import torch

from gan_helpers import checkpoints, latent
from gan_helpers.widgets import explore


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


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("sources", nargs="*", default=[*checkpoints.shipped()])
    p.add_argument("--events", type=int, default=200)
    o = p.parse_args()
    torch.set_num_threads(1)
    lines = [f"{platform.machine()}, 1 thread, PyTorch {torch.__version__}, {o.events} events, medians"]
    for source in o.sources:
        lines.append(measure(source, o.events))
        print(lines[-1], flush=True)
    kept = Path(__file__).with_name("results") / "explorer.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
