"""A patient on the ring, one switch that made it ill, and treatments to try: its chart is drawn as it trains."""

from __future__ import annotations

import ipywidgets as widgets

from ...widgets.picture import Picture, figure_png
from ..failures import CASES, Patient, call, panel, points

TREATMENTS = {
    "two time scales (d_lr × 10)": lambda how: {"d_lr": 10 * how.get("d_lr", 2e-3)},
    "a slower G (g_lr ÷ 5)": lambda how: {"g_lr": how.get("g_lr", 1e-3) / 5},
    "more D steps (5)": lambda how: {"d_steps": 5},
    "R1 (1)": lambda how: {"r1": 1.0},
    "instance noise (0.2)": lambda how: {"noise": 0.2},
    "EMA (0.98)": lambda how: {"ema": 0.98},
}


class Clinic(widgets.VBox):
    """Choose a failure, tick treatments, press *Treat*; the chart grows while the patient trains.

    Attributes:
        failure, boxes, button, picture, code: its parts; `boxes` name → checkbox.

    Args:
        steps: of each training.
    """

    def __init__(self, steps: int = 800) -> None:
        names = [name for name in ("mode collapse", "D too weak", "oscillation", "late divergence") if name in CASES]
        self.steps = steps
        self.failure = widgets.Dropdown(options=names, description="failure")
        self.boxes = {name: widgets.Checkbox(description=name, indent=False) for name in TREATMENTS}
        self.button = widgets.Button(description="Treat", icon="heartbeat")
        self.picture, self.code = Picture(), widgets.HTML("Nothing tried yet.")
        self.button.on_click(self.treat)
        columns = widgets.GridBox(list(self.boxes.values()))
        columns.layout.grid_template_columns = "repeat(3, 220px)"
        super().__init__([widgets.HBox([self.failure, self.button]), columns, self.code, self.picture])

    def treat(self, button=None) -> None:
        """Train the patient with what is ticked."""
        how = dict(CASES[self.failure.value].switch)
        for name, box in self.boxes.items():
            how |= TREATMENTS[name](how) if box.value else {}
        self.button.disabled, self.code.value = True, f"<code>{call(points, how)}</code>"
        try:
            points(steps=self.steps, every=self.steps // 8, live=self.show, **how)
        finally:
            self.button.disabled = False

    def show(self, patient: Patient) -> None:
        """The chart so far."""
        last = patient.last
        words = f"step {last.step}: {last.kinds} of 8 modes, distance {last.distance:.2f}"
        self.picture.show(figure_png(panel({"patient": patient})), f"The patient's chart, {words}", words)
