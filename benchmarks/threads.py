"""Steps a second of `small-cifar10` by the number of threads: alone, beside a busy process, and with one core's quota.

    python benchmarks/threads.py [--seconds 5] [--rounds 2]

Each number is a process of its own, in turn: PyTorch's own number of threads; the same with passive waiting
(OMP_WAIT_POLICY, which must stand before PyTorch is loaded); one thread; and what `threads.choose` measures there. The
quota is a control group of version 1 where this process may make one; affinity is `taskset` to one core. "of what is
left" compares the choice with one thread on a core of its own, times the cores that the others leave. Wants an idle
machine. Prints a table and keeps it in `benchmarks/results/threads.txt`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import torch
from report import arguments, reporter

GROUP = Path("/sys/fs/cgroup/cpu/gan-course-benchmark")
CHILD = """
import os, sys, time
seconds, count, group, pinned = float(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
if group:
    open(group + "/cgroup.procs", "w").write(str(os.getpid()))
if pinned:
    os.sched_setaffinity(0, {0})
import torch
from gan_helpers import data, recipes, threads
from gan_helpers.training import Trainer
images = data.load("fashion").resized(32, 3)
trainer = Trainer(recipes.get("small-cifar10"), images.images[:2000], "cpu", labels=images.labels[:2000])
default = torch.get_num_threads()
count = {"default": None, "chosen": 0}.get(count, 1)
if count == 0:
    count = threads.choose()
with threads.using(count):
    trainer.train_step()
    began, first = time.perf_counter(), trainer.step
    while time.perf_counter() - began < seconds:
        trainer.train_step()
    print((trainer.step - first) / (time.perf_counter() - began), torch.get_num_threads())
"""


def steps(seconds: float, count: str, group: Path | None = None, pinned: bool = False, passive: bool = False):
    """Steps a second and threads of one process; `count` is default, chosen or 1."""
    environment = os.environ | ({"OMP_WAIT_POLICY": "passive"} if passive else {})
    command = [sys.executable, "-c", CHILD, str(seconds), count, str(group or ""), "yes" if pinned else ""]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    return float(out[0]), int(out[1])


@contextmanager
def busy(processes: int):
    """Inside, that many processes count without an end."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


@contextmanager
def quota():
    """A control group that may use one core's time, or None where none can be made."""
    try:
        GROUP.mkdir(exist_ok=True)
        (GROUP / "cpu.cfs_quota_us").write_text("100000")
    except OSError:
        yield None
        return
    try:
        yield GROUP
    finally:
        with suppress(OSError):
            GROUP.rmdir()


def main() -> None:
    p = arguments(__doc__, "threads.txt", rounds=2, seconds=5)
    o = p.parse_args()
    say = reporter(o.out)
    ways = {"default": {}, "passive": {"passive": True}, "1": {}, "chosen": {}}
    say(f"small-cifar10, steps/s, medians of {o.rounds} rounds of {o.seconds:g} s; {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads by default, PyTorch {torch.__version__}")  # fmt: skip
    say(f"{'':22} {'default':>8} {'passive':>8} {'1':>8} {'chosen':>8}   of what is left")
    own = None
    with quota() as group:
        places = {"alone": (0, {}), "beside 1 busy process": (1, {})}
        places |= {"quota of 1 core": (0, {"group": group})} if group else {}
        places["affinity to 1 core"] = (0, {"pinned": True})
        for place, (processes, where) in places.items():
            found = {way: [] for way in ways}
            with ExitStack() as stack:
                stack.enter_context(busy(processes))
                for _ in range(o.rounds):
                    for way, options in ways.items():
                        count = "default" if way == "passive" else way
                        found[way].append(steps(o.seconds, count, **where, **options))
            rates = {way: statistics.median(rate for rate, _ in values) for way, values in found.items()}
            own = own or rates["1"]
            left = 2 if place == "alone" else 1
            counts = "/".join(str(count) for _, count in found["chosen"])
            say(f"{place:22} " + " ".join(f"{rate:8.1f}" for rate in rates.values())
                + f"   {rates['chosen'] / own / left:.2f} (chose {counts})")  # fmt: skip


if __name__ == "__main__":
    main()
