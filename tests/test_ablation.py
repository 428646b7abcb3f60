"""The recorded ablation: what notebooks 06 and 07 read is what the command would train now."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import ablation  # noqa: E402


@pytest.mark.parametrize("job", ["parts", "classes"])
def test_recorded_runs_are_those_of_the_plan(job):
    found, plan = json.loads((BENCHMARKS / "results" / f"{job}.json").read_text()), ablation.plan(job)
    assert set(found) == {"real images", *plan}
    for name, recipe in plan.items():
        assert len(found[name]) >= 3 and {run["images"] for run in found[name].values()} == {64 * recipe.steps}
    assert (BENCHMARKS / "results" / f"{job}.txt").read_text() == ablation.table(job, found)


def test_parts_lead_from_the_textbook_to_the_sealed_recipe():
    plan, whole = ablation.plan("parts"), ablation.WHOLE
    assert set(plan["textbook"].differs(whole)) == {key for textbook in ablation.PARTS.values() for key in textbook}
    assert plan["+ decay"] == whole
    for name, textbook in ablation.PARTS.items():
        less = plan["+ rates"] if name == "decay" else plan[f"without {name}"]
        assert {k: mine for k, (mine, _) in less.differs(whole).items()} == textbook


def test_ways_differ_in_labels_and_the_pairs_in_width():
    ways = {name: set(recipe.differs(ablation.BEST)) for name, recipe in ablation.plan("classes").items()}
    assert ways.pop("a pair a class") == {"labels", "g_width", "d_width"}
    assert all(changed <= {"labels"} for changed in ways.values())
