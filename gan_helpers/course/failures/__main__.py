"""`python -m gan_helpers.course.failures`: every case over five seeds, with a row in the record for each arm."""

import argparse

import torch

from ...errors import speak_anyway
from .cases import CASES
from .record import treat_all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(CASES), help="names of cases; the others' rows are kept")
    speak_anyway()
    o = parser.parse_args()
    torch.set_num_threads(1)
    for name in o.only:
        treat_all(name, CASES[name], o.seeds)


if __name__ == "__main__":
    main()
