"""A ward of small GANs that fail on purpose, each by one switch; their vitals, taken as they train; and cures.

`python -m gan_helpers.course.failures` treats every case over five seeds and writes `benchmarks/results/failures.txt`.
"""

from .cases import CASES, Case, batchnorm_around_zero, moved, over, spread_of_one, wobble
from .panel import panel
from .record import Row, call, record, results, verdict
from .ward import Patient, Vitals, Ward, clothes, points

__all__ = [
    "CASES", "Case", "Patient", "Row", "Vitals", "Ward", "batchnorm_around_zero", "call", "clothes", "moved", "over",
    "panel", "points", "record", "results", "spread_of_one", "verdict", "wobble",
]  # fmt: skip
