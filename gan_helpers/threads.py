"""How many threads a run on the CPU computes with: chosen once, by measurement, before its first step.

After each layer PyTorch's threads wait for the slowest of them. Where another program holds one of the cores, all wait
for the thread that shares it: two threads can then be slower than one. `benchmarks/threads.py` measures it.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F

from .errors import CourseError


def quota(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """Cores' worth of time that this process's control groups allow, as containers limit it; infinite without a limit.

    Args:
        cgroups: where Linux mounts control groups; version 2, and version 1 with its folder `cpu`.
        own: the list of this process's groups, in lines `number:controllers:/path`.
    """
    try:
        lines = own.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:  # not Linux
        return math.inf
    allowed = [math.inf]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top, read = (cgroups / "cpu", quota_1) if controllers else (cgroups, quota_2)
        group = top / path.strip("/")
        for folder in (group, *group.parents):  # each group above it limits too
            if folder.is_relative_to(top):
                with suppress(OSError, ValueError):  # no such file, or the word max
                    allowed.append(read(folder))
    return min(allowed)


def quota_2(folder: Path) -> float:
    """Cores from `cpu.max`, which holds two numbers of microseconds, such as `100000 100000`."""
    used, period = (folder / "cpu.max").read_text("utf-8").split()
    return int(used) / int(period)


def quota_1(folder: Path) -> float:
    """Cores from the two files of version 1, where -1 is no limit."""
    used, period = (int((folder / f"cpu.cfs_{name}_us").read_text("utf-8")) for name in ("quota", "period"))
    return used / period if used > 0 else math.inf


def cores() -> int:
    """Cores that this process may use: its affinity (`taskset`), but no more than the quota of its control group."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min(allowed, quota())))


def rate(count: int, seconds: float = 0.3) -> float:
    """Passes a second of a strided convolution, forward and backward, with `count` threads over about `seconds`.

    It is the mean, not the best: other programs' share of the cores is what it should see.
    """
    x, weight = torch.zeros(32, 32, 32, 32), torch.zeros(64, 32, 4, 4, requires_grad=True)
    x, passes = x.contiguous(memory_format=torch.channels_last), 0
    with using(count):
        F.conv2d(x, weight, stride=2).sum().backward()
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            for _ in range(10):
                F.leaky_relu(F.conv2d(x, weight, stride=2)).sum().backward()
            passes += 10
        return passes / (time.perf_counter() - began)


@cache
def choose() -> int:
    """The fastest of n, n/2, … and 1 threads, where n is PyTorch's number or the cores that there are, if fewer.

    It is measured once in a process, so that its runs add their numbers in one order and can be compared bit for bit.
    """
    counts = [min(torch.get_num_threads(), cores())]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    return max(counts, key=rate) if len(counts) > 1 else counts[0]


@contextmanager
def using(count: int | None):
    """Inside, PyTorch computes with `count` threads; afterwards as before. None leaves the number as it is.

    Raises:
        CourseError: less than one, or more than 1,024.
    """
    if count is not None and not 1 <= count <= 1024:
        raise CourseError(f"threads must lie between 1 and 1,024; got {count}.")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before if count is None else count)
        yield
    finally:
        torch.set_num_threads(before)
