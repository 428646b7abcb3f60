"""The engine of the exercises: blank, right, wrong and failing answers, hints, solutions, and what is printed."""

import pytest
import torch
from torch import nn

from gan_helpers.course import exercises
from gan_helpers.course.exercises import NotAttempted, Wrong, call, check, exercise, grade, hint, is_blank, solution
from gan_helpers.errors import CourseError


def double(x):
    return 2 * x


@pytest.fixture(autouse=True)
def examples(monkeypatch):
    """Exercises of a notebook that does not exist."""
    monkeypatch.setattr(exercises, "REGISTRY", {})

    @exercise("98.1", "Double", hints=["What is 1 + 1?", "Try 2 * x."], solution=double)
    def check_double(answer):
        if answer(3) != 6:
            raise Wrong(f"double of 3 should be 6, not {answer(3)}.")
        return "Twice as good."

    @exercise("98.2", "A number", hints=[], solution="    answer = 4\n")
    def check_number(answer):
        if answer + 0 != 4:
            raise Wrong("it is not 4.")

    @exercise("98.3", "A net", hints=[], solution=nn.Identity)
    def check_net(answer):
        if not call(answer, torch.ones(2)).equal(torch.ones(2)):
            raise Wrong("the net changes its input.")
        return "An identity."

    @exercise("98.4", "A pair", hints=[], solution="")
    def check_pair(answer):
        return f"drawn {torch.rand(1).item():.4f}"


def blank(x): ...


def documented(x):
    """Double x."""


def unfinished(x):
    y = ...
    return y


def half_done(x):
    y = ...
    return 2 * y


def raises_blank(x):
    raise NotImplementedError


class BlankNet(nn.Module):
    def forward(self, x): ...


@pytest.mark.parametrize("answer", [None, ..., blank, documented, unfinished, half_done, raises_blank, lambda x: None])
def test_not_attempted(answer, capsys):
    assert grade("98.1", answer).state == "not attempted"
    check("98.1", answer)
    assert capsys.readouterr().out == "Exercise 98.1: not attempted yet. Replace the ... and run the cell again.\n"


@pytest.mark.parametrize("answer", [(1, ...), [...], {"a": 1, "b": ...}])
def test_collections_with_blanks(answer):
    assert grade("98.4", answer).state == "not attempted"


def test_nets_with_blanks():
    assert grade("98.3", BlankNet()).state == "not attempted"
    assert grade("98.3", nn.Identity()) == ("right", "An identity.")


def test_no_answer_at_all():
    assert grade("98.2").state == "not attempted"


def test_right(capsys):
    check("98.1", double)
    check("98.2", 4)
    assert capsys.readouterr().out == "✓ Exercise 98.1, Double: Twice as good.\n✓ Exercise 98.2, A number: Right.\n"


def test_wrong(capsys):
    check("98.1", lambda x: x)
    shown = capsys.readouterr().out
    assert shown == '✗ Exercise 98.1, Double: double of 3 should be 6, not 3.\n  For a hint: hint("98.1")\n'


def forgets_to_return(x):
    x = 2 * x


def test_forgotten_return():
    assert grade("98.1", forgets_to_return) == ("wrong", "forgets_to_return returns None: is a `return` missing?")


def fails_inside(x):
    row = torch.zeros(3)
    return row @ torch.zeros(4)


def test_exceptions_name_the_learners_line():
    state, message = grade("98.1", fails_inside)
    line = fails_inside.__code__.co_firstlineno + 2
    assert state == "wrong" and message.startswith("RuntimeError: ") and "\n" not in message
    assert message.endswith(f"raised on line {line} of your code: `return row @ torch.zeros(4)`")


def test_exceptions_of_libraries_name_the_learners_line():
    def answer(x):
        return torch.nn.functional.conv2d(torch.zeros(1, 1, 2, 2), "weights")

    assert "of your code: `return torch.nn.functional" in grade("98.1", answer).message


def test_exceptions_without_a_message_or_source():
    namespace = {}
    exec("def answer(x):\n    raise ValueError", namespace)
    assert grade("98.1", namespace["answer"]) == ("wrong", "ValueError, raised on line 2 of your code.")


@pytest.mark.parametrize("error", [SystemExit(1), AssertionError(), RecursionError("deep")])
def test_check_never_raises(error, capsys):
    def answer(x):
        raise error

    check("98.1", answer)
    assert capsys.readouterr().out.startswith("✗ Exercise 98.1")


def test_answers_of_another_kind():
    state, message = grade("98.2", "four")
    assert state == "wrong" and message.startswith("the check can't use this answer (TypeError:")


def test_functions_keep_their_names_and_classes_stay_classes():
    assert exercises.guarded(double).__name__ == "double" and exercises.guarded(BlankNet) is BlankNet
    with pytest.raises(NotAttempted):
        exercises.guarded(blank)


def test_random_numbers_are_fixed_inside_and_untouched_outside():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    assert grade("98.4", (1, 2)) == grade("98.4", (1, 2))
    assert torch.rand(2).equal(expected)


def test_hints_come_one_by_one(capsys):
    for _ in range(3):
        hint("98.1")
    assert capsys.readouterr().out.splitlines() == [
        "Hint 1 of 2: What is 1 + 1?",
        "Hint 2 of 2: Try 2 * x.",
        'No more hints for exercise 98.1. solution("98.1") shows one way.',
    ]


def test_solutions_are_source(capsys):
    solution("98.1")
    solution("98.2")
    assert capsys.readouterr().out == "def double(x):\n    return 2 * x\nanswer = 4\n"


@pytest.mark.parametrize("action", [lambda: check("98.11", 1), lambda: hint("98.11"), lambda: solution("98.11")])
def test_unknown_ids_suggest_the_nearest(action, capsys):
    action()
    assert capsys.readouterr().out == "There is no exercise '98.11'. Did you mean '98.1'?\n"


@pytest.mark.parametrize("id", ["", "nonsense", 98.1, None])
def test_ids_that_are_none(id, capsys):
    check(id, 1)
    assert "There is no exercise" in capsys.readouterr().out
    with pytest.raises(CourseError):
        grade(id, 1)


def test_a_wrong_constant_is_an_answer():
    def blank(x):
        """Nothing yet."""
        ...

    assert is_blank(blank) and is_blank(lambda x: ...) and is_blank(lambda x: None)
    assert not is_blank(lambda x: 0.5) and not is_blank(lambda x: True)
