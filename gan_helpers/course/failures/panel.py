"""The diagnosis panel: what a ward round sees of each patient."""

from __future__ import annotations

import numpy as np

from ... import plots
from .ward import Patient


def panel(patients: dict[str, Patient]):
    """The diagnosis panel, a row for each patient: samples, kinds, gradients, D's opinions, diversity and distance."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.9 * len(patients) + 0.3), dpi=80, layout="constrained")
    titles = "samples", "share of each kind", "length of gradients", "share that D calls real", "against real samples"
    rows = figure.subplots(len(patients), 5, squeeze=False)
    for row, (name, patient) in zip(rows, patients.items(), strict=True):
        last, first, bars = patient.last, row[0].get_subplotspec().is_first_row(), len(patient.ward.kinds)
        draw_samples(row[0], patient)
        row[0].set_ylabel(name, fontsize=10)
        row[1].bar(range(bars), last.histogram.tolist(), color=plots.BLUE)
        row[1].axhline(1 / bars, color="black", linestyle=":")
        highest = max(0.4, 1.05 * last.histogram.max().item())
        row[1].set(ylim=(0, highest), xticks=[], xlabel=f"{last.kinds} of {bars} kinds")
        draw_course(row[2], patient, G="g_gradient", D="d_gradient")
        draw_course(row[3], patient, training="seen", fake="faked", unseen="unseen")
        draw_course(row[4], patient, diversity="diversity", distance="distance")
        row[3].set_ylim(-0.05, 1.05)
        row[2].set_yscale("log")
        row[4].set_yscale("log")
        for axes, title in zip(row, titles, strict=True):
            axes.set_title(title if first else "", fontsize=10)
            axes.tick_params(labelsize=7)
        for axes in row[2:]:
            axes.legend(fontsize=7) if first else None
    for column in (rows[:, 2], rows[:, 4]):  # whole decades, the same for all patients
        low, high = np.log10([axes.get_ylim() for axes in column]).T
        for axes in column:
            axes.set_ylim(10.0 ** np.floor(low.min()), 10.0 ** np.ceil(high.max()))
            axes.tick_params(which="minor", labelleft=False)
    return figure


def draw_course(axes, patient: Patient, **columns: str) -> None:
    """Some vitals over the steps, one line each: legend = column."""
    looks = (("-", plots.BLUE), ("--", plots.ORANGE), (":", "black"))
    for (label, column), (style, colour) in zip(columns.items(), looks, strict=False):
        checks = [(check.step, getattr(check, column)) for check in patient.checks]
        checks = [(step, value) for step, value in checks if value or "gradient" not in column]  # none before step 1
        axes.plot(*zip(*checks, strict=True), style, color=colour, label=label)


def draw_samples(axes, patient: Patient) -> None:
    """Points over real ones, or 24 images."""
    samples = patient.last.samples
    if samples.ndim == 2:
        for points_, colour in ((patient.ward.real, plots.BLUE), (samples, plots.ORANGE)):
            axes.plot(*points_.T, ".", color=colour, markersize=2)
        axes.set(xlim=(-1.8, 1.8), ylim=(-1.8, 1.8), aspect="equal")
    else:
        axes.imshow(plots.grid(samples[:24], 6), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
