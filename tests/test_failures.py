"""The ward: patients are reproducible, vitals mean what they say, the record shows what the notebook teaches."""

import ast

import pytest
import torch

from gan_helpers.course import failures, toy
from gan_helpers.course.failures import CASES, Row, call, clothes, over, panel, points, record, results, verdict
from gan_helpers.course.widgets import Clinic
from gan_helpers.environment import ROOT

NOT_SHOWN = ("BatchNorm mode, by distance", "BatchNorm around 0")  # the notebook says so, and why
TWIN = ROOT / "notebooks" / "text" / "03_failure_lab.py"


def test_points_are_reproducible_and_their_switches_do_something():
    short = dict(steps=4, every=2)
    plain, again = points(3, **short), points(3, **short)
    assert torch.equal(plain.last.samples, again.last.samples)
    assert [check.step for check in plain.checks] == [0, 2, 4]
    for switch in ({"g_lr": 0.0}, {"momentum": 0.9}, {"noise": 0.5}, {"ema": 0.9}, {"r1": 1.0}):
        assert not torch.equal(plain.last.samples, points(3, **short, **switch).last.samples), switch
    assert torch.equal(points(3, steps=4, every=2, g_lr=0.0).last.samples, plain.checks[0].samples)  # G stands still


def test_schedule_multiplies_both_rates():
    gan = points(steps=101, every=101, schedule=0.5).gan
    assert (gan.g_lr, gan.d_lr) == (5e-4, 1e-3)


def test_vitals_of_samples_that_are_known():
    patient = points(steps=0, every=1)
    patient.draw = lambda: patient.ward.real
    look = patient.check(0)
    assert look.kinds == 8 and look.distance < 1e-6 and abs(look.diversity - 1) < 1e-5
    patient.draw = lambda: patient.ward.real[:1].expand(64, 2) + 1e-3 * torch.randn(64, 2)
    look = patient.check(0)
    assert look.kinds == 1 and look.diversity < 0.01 and look.distance > 1
    patient.draw = lambda: torch.full((64, 2), torch.nan)
    assert patient.check(0).distance == float("inf")


def test_clothes_draw_one_by_one_in_training_mode_from_the_same_weights():
    together, alone = clothes(steps=3, every=3), clothes(steps=3, every=3, batchnorm="train")
    assert together.losses == alone.losses and len(alone.losses) == 3
    assert not torch.allclose(together.last.samples, alone.last.samples, atol=0.01)
    assert failures.moved(together) == 0 and failures.moved(alone) > 0
    assert together.last.samples.shape == (250, 1, 16, 16) and 0 <= together.last.accuracy <= 1


def test_few_and_init():
    patient = clothes(steps=0, every=1, few=10, init=failures.batchnorm_around_zero)
    assert len(patient.trained_on) == 10
    norms = [m for m in patient.gan.generator.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and all(norm.weight.abs().max() < 0.2 for norm in norms)


def test_r1_of_a_linear_critic_is_its_squared_slope():
    net, x = torch.nn.Linear(2, 1), torch.randn(5, 2, requires_grad=True)
    penalty = toy.r1_penalty(net(x), x)
    assert torch.isclose(penalty, net.weight.square().sum()) and penalty.requires_grad


@pytest.mark.parametrize(
    "arm, values, told",
    [("sick", (3, 4), "fails"), ("sick", (3, 9), "not shown"), ("sick", (20, 30), "fails"), ("healthy", (8, 9), "")],
)
def test_verdict_needs_ranges_that_do_not_touch(arm, values, told):
    assert verdict(arm, values, (8, 9), values) == told


def test_verdict_of_cures():
    assert verdict("R1", (6, 7), (8, 9), (1, 5)) == "cures"
    assert verdict("R1", (5, 7), (8, 9), (1, 5)) == "not shown"
    assert verdict("R1", (0, 0.5), (8, 9), (1, 5)) == "not shown"  # apart, on the wrong side


def test_rows_survive_writing():
    row = Row("a case", "a number", "sick", "points(g_lr=0.01)", (1.0, 2.5), "fails", 3.0)
    assert Row.read(str(row)) == row


def test_over_takes_the_end():
    patient = points(steps=4, every=1)
    distances = [check.distance for check in patient.checks]
    assert over("distance", 0)(patient) == distances[-1]
    assert over("distance")(patient) == pytest.approx(sum(distances[-2:]) / 2)


def test_the_record_is_of_these_cases_and_shows_every_failure():
    rows = {(row.case, row.arm): row for row in results()}
    assert set(rows) == {(name, arm) for name, case in CASES.items() for arm in case.arms}
    for name, case in CASES.items():
        healthy, sick = rows[name, "healthy"], rows[name, "sick"]
        for arm, how in case.arms.items():
            row = rows[name, arm]
            assert row.how == call(case.make, how) and row.what == case.what and len(row.values) == 5
            assert row.verdict == verdict(arm, row.values, healthy.values, sick.values)
            assert row.seconds < 15
        expected = "not shown" if name in NOT_SHOWN else "fails"
        assert sick.verdict == expected, name
        assert record(name).count("\n") == len(case.arms)


def test_the_notebook_teaches_what_was_recorded():
    """Each patient of the notebook has the switches of an arm in the record (but for how long it trains)."""
    arms = {make: [] for make in ("points", "clothes")}
    for case in CASES.values():
        for how in case.arms.values():
            arms[case.make.__name__].append({k: getattr(v, "__name__", v) for k, v in how.items()})
    seen = 0
    for node in ast.walk(ast.parse(TWIN.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in arms:
            how = {k.arg: k.value for k in node.keywords if k.arg}
            how = {k: v.id if isinstance(v, ast.Name) else ast.literal_eval(v) for k, v in how.items()}
            assert any(how.items() <= arm.items() for arm in arms[node.func.id]), ast.unparse(node)
            seen += 1
    assert seen > 15


def test_panel_has_a_row_for_each_patient():
    patient = points(steps=2, every=1)
    assert len(panel({"one": patient, "two": patient}).axes) == 10


def test_clinic_treats():
    clinic = Clinic(steps=16)
    clinic.boxes["R1 (1)"].value = True
    clinic.button.click()
    assert "r1=1.0" in clinic.code.value and "step 16" in clinic.picture.caption
    assert clinic.picture.value[:4] == b"\x89PNG"
    first, clinic.failure.value = clinic.picture.value, "oscillation"
    clinic.button.click()
    assert "momentum=0.9" in clinic.code.value and clinic.picture.value != first
