"""How long a frame of the laboratory takes: five training steps of the GAN in the plane, and its picture.

    python benchmarks/lab.py [--rounds 40]

Milliseconds of the process (time.process_time), which other work on the machine lengthens little, one thread; medians.
Twenty frames a second need 50 ms. Prints, and keeps in `benchmarks/results/lab.txt`.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from report import RESULTS, reporter

from gan_helpers.course.toy import LOSSES, SHAPES
from gan_helpers.course.widgets import Lab


def frame(box: Lab) -> float:
    """Milliseconds of one frame."""
    began = time.process_time()
    box.advance(5)
    return 1000 * (time.process_time() - began)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=40, help="frames of each laboratory")
    o, say = p.parse_args(), reporter(RESULTS / "lab.txt")
    torch.set_num_threads(1)
    say(f"PyTorch {torch.__version__}, 1 thread, {o.rounds} frames of 5 steps each, medians")
    for data, loss in [*((data, "non-saturating") for data in SHAPES), *(("ring", loss) for loss in LOSSES)]:
        box = Lab(data, loss)
        frame(box)
        say(f"{data:<18} {loss:<16} {statistics.median(frame(box) for _ in range(o.rounds)):6.1f} ms a frame")


if __name__ == "__main__":
    main()
