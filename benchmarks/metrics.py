"""Our metrics against torch-fidelity's and pytorch-fid's, on the same features, in one process.

    python benchmarks/metrics.py [--dim 2048] [--n 10000] [--images 500] [--rounds 3]

Prints and keeps in `benchmarks/results/metrics.txt`: the Fréchet distance of full-rank covariances; all metrics on
given features; 500 images through Inception (random weights: the time is the same); memory against N.
Each line has both times, their ratio, and both numbers, which must agree.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from gan_helpers import features
from gan_helpers.metrics import Moments, Pairs, frechet_distance, inception_score, kid, precision_recall

RESULTS = Path(__file__).parent / "results" / "metrics.txt"


def timed(function, rounds: int) -> tuple[float, object]:
    """Median seconds, and the last result."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = function()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), result


def like_inception(n: int, dim: int, seed: int) -> torch.Tensor:
    """Features (n, dim) of full rank whose spectrum falls as Inception's does: sparse, positive, correlated."""
    rng = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=torch.Generator().manual_seed(99)) * torch.logspace(0, -2, dim)[:, None]
    return (torch.randn(n, dim, generator=rng) @ mixing / 20 + 0.05 * seed).clamp_min(0)


def frechet(o, x, y, report) -> None:
    from pytorch_fid.fid_score import calculate_frechet_distance
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    a, b = Moments(x), Moments(y)
    stats = [fid_features_to_statistics(f.double()) for f in (x, y)]

    def ours() -> float:
        for m in (a, b):
            m.__dict__.pop("root", None)  # factor both anew: nothing is cached
        return frechet_distance(a, b)

    def torch_fidelity() -> float:
        return fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]

    def pytorch_fid() -> float:
        return calculate_frechet_distance(*(s[k] for s in stats for k in ("mu", "sigma")))

    mine, value = timed(ours, o.rounds)
    cached, _ = timed(lambda: frechet_distance(a, b), o.rounds)
    for name, function in (("torch-fidelity", torch_fidelity), ("pytorch-fid", pytorch_fid)):
        theirs, other = timed(function, 1)
        report(f"Fréchet distance, {o.dim} dimensions, from covariances", mine, name, theirs, value, other)
    report(f"the same with the reference's factor kept ({cached:.2f} s)", cached, "pytorch-fid", theirs, value, other)


def all_metrics(o, x, y, report) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    logits = x[:, :1008] * 10

    def ours() -> tuple:
        pairs = Pairs(x, y)
        shares = precision_recall(pairs)
        return (
            frechet_distance(x, y),
            kid(pairs).value,
            inception_score(logits).value,
            shares["precision"],
            shares["recall"],
        )

    def torch_fidelity(**subsets) -> tuple:
        stats = [fid_features_to_statistics(f) for f in (x, y)]
        shares = prc_features_to_metric(x, y, verbose=False)
        return (
            fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"],
            kid_features_to_metric(x, y, verbose=False, **subsets)["kernel_inception_distance_mean"],
            isc_features_to_metric(logits, shuffle=False)["inception_score_mean"],
            shares["precision"],
            shares["recall"],
        )

    mine, found = timed(ours, o.rounds)
    theirs, usual = timed(torch_fidelity, 1)
    whole, same = timed(lambda: torch_fidelity(kid_subsets=1, kid_subset_size=len(x)), 1)
    title = f"FID + KID + IS + precision/recall, {len(x):,} x {o.dim}"
    report(f"{title}, their KID over all pairs too", mine, "torch-fidelity", whole, found, same)
    report(f"{title}, their KID over 100 random subsets", mine, "torch-fidelity", theirs, found, usual)


def end_to_end(o, report) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (o.images, 3, 64, 64), np.uint8))

    class Random(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_, **__) -> None: ...  # keep the random weights

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.pth"
        torch.save({}, path)
        net = Random("random", ["2048", "logits_unbiased"], feature_extractor_weights_path=path)
        for module in net.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(
                    module.weight
                )  # else the signal fades to denormal numbers, which are slow
        torch.save(net.state_dict(), path)
        ours = features.inception("inception", path)

    def theirs() -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([net(part)[0] for part in images.split(64)])

    mine, found = timed(lambda: ours(images, batch=64), 1)
    other, same = timed(theirs, 1)
    report(f"{o.images} images through Inception", mine, "torch-fidelity", other, found.sum().item(), same.sum().item())


def memory(o, report_line) -> None:
    """Peak memory of streaming moments, in processes of their own."""
    code = (
        "import sys, torch; from gan_helpers.metrics import Moments\n"
        "m = Moments()\n"
        f"for _ in range(int(sys.argv[1]) // 1000): m.add(torch.randn(1000, {o.dim}))\n"
        "print(next(int(line.split()[1]) // 1024 for line in open('/proc/self/status') if 'VmHWM' in line))"  # Linux
    )
    for n in (5_000, 50_000):
        peak = subprocess.run([sys.executable, "-c", code, str(n)], capture_output=True, text=True, check=True).stdout
        report_line(f"memory at the peak of streaming {n:,} features of {o.dim}: {peak.strip()} MB")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("--dim", type=int, default=2048)
    p.add_argument("--n", type=int, default=10_000)
    p.add_argument("--images", type=int, default=500)
    p.add_argument("--rounds", type=int, default=3)
    o = p.parse_args()
    lines: list[str] = []

    def report_line(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    def report(title: str, mine: float, name: str, theirs: float, value, other) -> None:
        numbers = [np.atleast_1d(np.array(v, float)) for v in (value, other)]
        texts = [" ".join(f"{v:.6g}" for v in n) for n in numbers]
        report_line(
            f"{title}\n  ours {mine:.2f} s, {name} {theirs:.2f} s: {theirs / mine:.1f}x | {texts[0]} | {texts[1]}"
        )

    report_line(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, medians of {o.rounds} (peers once)")
    x, y = like_inception(o.n, o.dim, 0), like_inception(o.n, o.dim, 1)
    frechet(o, x, y, report)
    all_metrics(o, x, y, report)
    end_to_end(o, report)
    memory(o, report_line)
    report_line(f"this process at its peak: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
