"""What holds for every notebook as it stands in the repository, and that each of these rules can fail.

First how it is stored and run, then what makes it a lesson: the marks of a great notebook that a script can check.
"""

import math
import re
import statistics
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from gan_helpers.course.authoring import workshop

MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:home|root|work|tmp)\b")
NOT_COMPARED = {"nbval-skip", "nbval-ignore-output"}


def texts(cell) -> list[str]:
    """A cell's source, and whatever its outputs say in words."""
    outputs = [output.get("text", "") for output in cell.get("outputs", ())]
    data = [pair for output in cell.get("outputs", ()) for pair in output.get("data", {}).items()]
    return [cell.source, *outputs, *(str(value) for kind, value in data if not kind.startswith("image/"))]


def lacks_description(cell) -> bool:
    """Whether a cell shows or links an image without saying what is on it."""
    for output in cell.get("outputs", ()):
        for kind in output.get("data", {}):
            if kind.startswith("image/") and not output.metadata.get(kind, {}).get("alt"):
                return True
    said = "\n".join(texts(cell))
    tags = re.findall(r"<img\b[^>]*>", said)
    return "![](" in said or any(not re.search(r"\balt=[\"'][^\"']", tag) for tag in tags)


def problems(path: Path) -> list[str]:
    """The rules that a notebook breaks."""
    root, notebook = path.parents[1], nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    shown = [cell for cell in code if cell.outputs]
    compared = [cell for cell in shown if not NOT_COMPARED & set(cell.metadata.get("tags", ()))]
    lines = [len(cell.source.splitlines()) for cell in code]
    rules = {
        "not run from top to bottom": [cell.execution_count for cell in code] != list(range(1, len(code) + 1)),
        "too little compared": not compared or len(compared) < len(shown) / 2,
        "error": any(output.output_type == "error" for output in outputs),
        "stderr": any(output.get("name") == "stderr" for output in outputs),
        "widget state": "widgets" in notebook.metadata,  # GitHub would call the notebook invalid
        "large output": any(len(str(output)) > 500_000 for output in outputs),
        "large file": path.stat().st_size > 1_000_000,
        "long cell": max(lines) > 40,
        "long cells": statistics.median(lines) > 15,
        "machine path": any(MACHINE_PATH.search(text) for cell in notebook.cells for text in texts(cell)),
        "image without description": any(map(lacks_description, notebook.cells)),
        "twin differs": workshop.sync([path.stem], root, check=True),
        "badge or first cell": workshop.address([path.stem], root, check=True),
    }
    return [rule for rule, broken in rules.items() if broken]


# --- the marks of a lesson -------------------------------------------------------------------------------------------

NUMBERS = dict(
    zip(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), range(1, 11), strict=True)
)
TIME = re.compile(r"\| Time \| (\d+) minutes, of which your computer (?:trains|works) for (?:about )?(\w+)")
BLANK = r"Exercise {}: not attempted yet\. Replace the \.\.\. and run the cell again\.\n?"


def prose(notebook) -> str:
    """All that a notebook says in its markdown cells."""
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def row(text: str, name: str) -> str:
    """The right-hand side of a line of the table under a notebook's title, or ""."""
    found = re.search(rf"^\| {name} \| (.+) \|$", text, re.MULTILINE)
    return found[1] if found else ""


def words(notebook) -> list[str]:
    """The terms of its line 'Words introduced'."""
    return [word.strip() for word in row(prose(notebook), "Words introduced").split(",") if word.strip()]


def spellings(word: str) -> list[str]:
    """How a term may be written: 'moving average (EMA)' has two names, 'precision and recall' is two words."""
    return [part for part in re.split(r" and |[()]", word) if part.strip()]


def numbered(text: str) -> list[int]:
    """The numbers that lines of a text begin with."""
    return [int(n) for n in re.findall(r"^(\d)\. ", text, re.MULTILINE)]


def questions(text: str) -> tuple[list[int], list[int]]:
    """The numbers of the questions at the start, and of those at the end, which must have answers folded away."""
    first = re.search(r"\*\*Before we begin\*\*.*?(?=\n#|\n\n(?![\d ]))", text, re.DOTALL)
    last = re.search(
        r"\*\*Can you answer these without looking\?\*\*(.*?)<details><summary>Answers</summary>\n\n1\. ",
        text,
        re.DOTALL,
    )
    return numbered(first[0]) if first else [], numbered(last[1]) if last else []


def explained(word: str, text: str) -> bool:
    """Whether a term stands in bold somewhere, in one of its spellings, or in the plural."""
    bold = [" ".join(b.lower().split()) for b in re.findall(r"\*\*([^*]+)\*\*", text)]
    return any(s.strip().lower() in b for s in spellings(word) for b in bold)


def timing_is_off(notebook) -> bool:
    """Whether the stated minutes of computing lie outside what `workshop run` measured, where it did.

    On a machine with other work the clock says too much, and the processors' time, shared among all of them, too
    little: the truth lies between. Minutes may be rounded up.
    """
    stated = TIME.search(prose(notebook))
    if not stated or not (seconds := notebook.metadata.get("gan_course")):
        return False
    stated = 60 * (NUMBERS.get(stated[2]) or float(stated[2]))
    return (
        not 0.75 * seconds["processor"] / seconds["processors"]
        <= stated
        <= max(1.25 * seconds["clock"], 60 * math.ceil(seconds["clock"] / 60))
    )


def exercises(notebook, number: str) -> list[bool]:
    """For each exercise `check("NN.k", …)` with k from 1: whether its output is that of a blank."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and (ids := re.findall(rf'^check\("({number}\.[1-9])"', cell.source, re.MULTILINE)):
            said = "".join(output.get("text", "") for output in cell.outputs)
            found.append(re.fullmatch("".join(BLANK.format(re.escape(i)) for i in ids), said) is not None)
    return found


def shows_picture(cell) -> bool:
    """Whether an output of a code cell is a picture."""
    data = [kind for output in cell.get("outputs", ()) for kind in output.get("data", {})]
    return any(kind.startswith("image/") for kind in data)


def bare_widgets(notebook) -> bool:
    """Whether some widget has no task around it, or no picture near it for readers without a kernel."""
    code = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    for k, i in enumerate(code):
        if any(workshop.NOTE in text for text in texts(notebook.cells[i])[1:]):
            near = [notebook.cells[j] for j in code[max(0, k - 2) : k + 3]]
            around = notebook.cells[max(0, i - 3) : i + 2]
            if not any(map(shows_picture, near)) or not any("**Task" in cell.source for cell in around):
                return True
    return False


def missing_marks(path: Path) -> list[str]:
    """The marks of a lesson that a notebook lacks."""
    notebook = nbformat.read(path, as_version=4)
    text, blank = prose(notebook), exercises(notebook, path.stem[:2])
    start, end = questions(text)
    marks = {
        "title and aim": re.match(rf"# {path.stem[:2]} · .+\n", text) and "**Aim.** " in text,
        "needs and data": row(text, "You need") and row(text, "Data"),
        "minutes": TIME.search(text),
        "minutes as measured": not timing_is_off(notebook),
        "at most five words": 1 <= len(words(notebook)) <= 5,
        "words explained": all(explained(word, text) for word in words(notebook)),
        "three questions": start == [1, 2, 3],
        "predictions": len(re.findall(r"\*\*Predict\b", text)) >= 3,
        "tasks and pictures for widgets": not bare_widgets(notebook),
        "three to five exercises": 3 <= len(blank) <= 5,
        "blank exercises": all(blank),
        "summary": re.search(r"^## Summary$", text, re.MULTILINE),
        "five questions": end == [1, 2, 3, 4, 5],
        "papers": re.search(r"\*\*Papers:\*\*.*arxiv\.org", text, re.DOTALL),
    }
    return [mark for mark, there in marks.items() if not there]


def too_early(notebooks: dict[str, str], introduced: dict[str, str]) -> list[str]:
    """Terms used before the notebook that introduces them, but for paragraphs that name that notebook.

    A term that is one word in small letters (mode, feature, floor) has an everyday meaning, too, and is left out.

    Args:
        notebooks: number → its prose.   introduced: term → number.
    """
    found = []
    for word, home in introduced.items():
        names = [s.strip() for s in [*spellings(word), word] if "(" not in s and (s != s.lower() or len(s.split()) > 1)]
        for number, text in notebooks.items():
            for paragraph in text.split("\n\n") if number < home else ():
                plain = " ".join(re.sub(r"`[^`]*`|\]\([^)]*\)", " ", paragraph).split())
                used = any(
                    re.search(rf"(?<![\w-]){re.escape(name)}s?(?![\w-])", plain, re.IGNORECASE) for name in names
                )
                if used and not re.search(rf"\b{home}(?!\d)", paragraph):
                    found.append(f"{word} ({home}) in {number}: {plain[:60]}")
    return found


def glossary(text: str) -> dict[str, str]:
    """Term → number of the notebook that introduces it, from the table in glossary.md."""
    return dict(re.findall(r"^\| ([^|]+?) \| [^|]+ \| \[(\d\d)\]\([\w.]+\) \|$", text, re.MULTILINE))


@pytest.mark.parametrize("path", [notebook for _, notebook in workshop.pairs()], ids=lambda path: path.stem)
def test_notebook_is_a_lesson(path: Path) -> None:
    assert missing_marks(path) == []


def test_words_are_in_the_glossary_and_come_in_order() -> None:
    notebooks = {path.stem[:2]: workshop.read(path) for _, path in workshop.pairs() if path.exists()}
    introduced = [(word, number) for number, notebook in notebooks.items() for word in words(notebook)]
    assert len(introduced) == len(dict(introduced)), "a word is introduced twice"
    known = glossary((workshop.ROOT / "notebooks" / "glossary.md").read_text(encoding="utf-8"))
    assert {word: number for word, number in known.items() if number in notebooks} == dict(introduced)
    assert list(known) == sorted(known, key=str.lower)
    assert too_early({number: prose(notebook) for number, notebook in notebooks.items()}, dict(introduced)) == []


LESSON = """# 07 · A lesson

**Aim.** Learn.

| | |
|---|---|
| You need | nothing |
| Time | 60 minutes, of which your computer works for about three (two CPU cores) |
| Data | none |
| Words introduced | moving average (EMA), mode |

**Before we begin**, three questions. They come back at the end.

1. Why?
2. How?
3. When?

## 1. A start
The **moving average** of **modes**. **Predict.** A. **Predict** b. **Predict:** c.

## Summary
- It was short.

**Can you answer these without looking?**
1. a
2. b
3. c
4. d
5. e

<details><summary>Answers</summary>

1. All. 2. of 3. them 4. are 5. yours.
</details>

**Papers:** [arXiv:1406.2661](https://arxiv.org/abs/1406.2661)"""
CHECKS = [f'check("07.{k}", ...)' for k in (1, 2, 3)]
NOT_ATTEMPTED = "Exercise 07.{}: not attempted yet. Replace the ... and run the cell again.\n"


def lesson(root: Path, change: Callable[[str], str] = str, checks=CHECKS, said=NOT_ATTEMPTED, seconds=None) -> Path:
    """A notebook with all the marks, but for what `change` does to its text."""
    cells = [new_markdown_cell(change(LESSON))]
    cells += [new_code_cell(source, outputs=[stream(said.format(k))]) for k, source in enumerate(checks, 1)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"gan_course": seconds} if seconds else {})
    nbformat.write(notebook, root / "07_small.ipynb")
    return root / "07_small.ipynb"


def without(old: str, new: str = ""):
    return lambda text: text.replace(old, new)


LACKING = [
    ("title and aim", without("# 07 · A lesson", "# A lesson")),
    ("title and aim", without("**Aim.**", "Aim.")),
    ("needs and data", without("| You need | nothing |\n")),
    ("needs and data", without("| Data |", "| Input |")),
    ("minutes", without("60 minutes, ", "An hour, ")),
    ("minutes", without(", of which your computer works for about three")),
    ("at most five words", without("EMA), mode", "EMA), mode, mode, mode, mode, mode")),
    ("at most five words", without("| Words introduced | moving average (EMA), mode |\n")),
    ("words explained", without("**moving average**", "*moving average*")),
    ("three questions", without("3. When?\n")),
    ("three questions", without("**Before we begin**", "Before we begin")),
    ("predictions", without("**Predict:** c", "Predict: c")),
    ("summary", without("## Summary", "## Farewell")),
    ("five questions", without("5. e\n")),
    ("five questions", without("<details>")),
    ("papers", without("**Papers:** [arXiv", "[arXiv")),
]


def test_good_lesson(tmp_path: Path) -> None:
    assert missing_marks(lesson(tmp_path)) == []


@pytest.mark.parametrize(("mark", "change"), LACKING)
def test_each_mark_can_be_missing(tmp_path: Path, mark: str, change: Callable) -> None:
    assert missing_marks(lesson(tmp_path, change)) == [mark]


def test_exercises_are_three_to_five_and_blank(tmp_path: Path) -> None:
    assert missing_marks(lesson(tmp_path, checks=CHECKS[:2])) == ["three to five exercises"]
    assert missing_marks(lesson(tmp_path, checks=2 * CHECKS)) == ["three to five exercises", "blank exercises"]
    assert missing_marks(lesson(tmp_path, said="✓ Exercise 07.{}, An answer: Right.\n")) == ["blank exercises"]


@pytest.mark.parametrize(("task", "picture"), [(True, True), (False, True), (True, False)])
def test_widgets_have_a_task_and_a_picture(tmp_path: Path, task: bool, picture: bool) -> None:
    notebook = nbformat.read(lesson(tmp_path), as_version=4)
    slider = new_output("execute_result", {"text/plain": workshop.NOTE}, execution_count=1)
    widget = new_code_cell("slider", outputs=[slider])
    shown = new_code_cell("picture", outputs=[image("A square.")] if picture else [])
    notebook.cells += [new_markdown_cell("**Task.** Drag." if task else "Drag."), widget, new_code_cell("1"), shown]
    nbformat.write(notebook, tmp_path / "07_small.ipynb")
    lacking = [] if task and picture else ["tasks and pictures for widgets"]
    assert missing_marks(tmp_path / "07_small.ipynb") == lacking


@pytest.mark.parametrize(
    ("clock", "processor", "marks"),
    [
        (180, 350, []),
        (2000, 350, []),
        (180, 40, []),
        (120, 200, ["minutes as measured"]),
        (900, 700, ["minutes as measured"]),
    ],
)
def test_stated_minutes_lie_between_two_clocks(
    tmp_path: Path, clock: float, processor: float, marks: list[str]
) -> None:
    seconds = {"clock": clock, "processor": processor, "processors": 2}
    assert missing_marks(lesson(tmp_path, seconds=seconds)) == marks


@pytest.mark.parametrize(
    ("said", "early"),
    [("The EMA is calm.", True), ("Its moving\naverages are calm.", True), ("The EMA (notebook 02) is calm.", False),
     ("[A lesson](02_lesson.ipynb) on the EMA.", False), ("In training mode.", False), ("`ema` falls.", False)],
)  # fmt: skip
def test_words_used_too_early_are_found(said: str, early: bool) -> None:
    introduced = {"moving average (EMA)": "02", "mode": "01"}
    assert bool(too_early({"00": said, "02": "The EMA."}, introduced)) == early


def test_glossary_is_read() -> None:
    assert glossary("| Term | What | Notebook |\n|---|---|---|\n| mode | a hill | [01](01_gan_theory.ipynb) |") == {
        "mode": "01"
    }


# --- how it is stored: examples ---------------------------------------------------------------------------------------


def stream(text: str, name: str = "stdout"):
    return new_output("stream", text=text, name=name)


def image(alt: str | None):
    return new_output("display_data", {"image/png": "iVBO"}, metadata={"image/png": {"alt": alt} if alt else {}})


@pytest.mark.parametrize("path", [notebook for _, notebook in workshop.pairs()], ids=lambda path: path.stem)
def test_notebook(path: Path) -> None:
    assert path.exists(), f"python -m gan_helpers.course.authoring.workshop run {path.stem}"
    assert problems(path) == []


def test_pages_have_the_address() -> None:
    assert [line for line in workshop.address(check=True) if not line.startswith("notebooks")] == []


def small(root: Path, change: Callable | None = None) -> Path:
    """A small notebook with its twin that breaks no rule, but for what `change` does to its cells and itself."""
    cells = [
        new_markdown_cell("# A title"),
        new_code_cell("print('hello')", outputs=[stream("hello\n")]),
        new_code_cell("picture", outputs=[image("A square.")]),
        new_markdown_cell("![A square](square.png) from https://example.org/tmp/"),
    ]
    (root / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/ann/course"\n')
    path = root / "notebooks" / "small.ipynb"
    notebook = workshop.with_address(nbformat.v4.new_notebook(cells=cells), "small", root)
    for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
        cell.execution_count = count
    workshop.clean(notebook)
    if change:
        change(notebook.cells, notebook)
    path.parent.mkdir()
    path.write_text(nbformat.writes(notebook))
    workshop.write(path.parent / "text" / "small.py", notebook)
    return path


def set_output(output):
    return lambda cells, _: cells[2].outputs.append(output)


def set_source(index: int, source: str):
    return lambda cells, _: setattr(cells[index], "source", source)


def ignore_all(cells, notebook):
    for cell in cells:
        cell.metadata = {"tags": ["nbval-ignore-output"]}


def lengthen(cells, notebook):
    for cell in cells[2:4]:
        cell.source = "x = 1\n" * 15 + "x"


BAD = [
    ("not run from top to bottom", lambda cells, _: setattr(cells[3], "execution_count", None)),
    ("not run from top to bottom", lambda cells, _: setattr(cells[3], "execution_count", 4)),
    ("too little compared", ignore_all),
    ("error", set_output(new_output("error", ename="ValueError", evalue="no", traceback=[]))),
    ("stderr", set_output(stream("warning", "stderr"))),
    ("widget state", lambda _, notebook: notebook.metadata.update(widgets={})),
    ("large output", set_output(stream("x" * 500_001))),
    ("large file", lambda cells, _: [set_output(stream("x" * 400_000))(cells, _) for _ in range(3)]),
    ("long cell", set_source(3, "x = 1\n" * 40 + "x")),
    ("long cells", lengthen),
    ("machine path", set_source(3, "open('/tmp/x')")),
    ("machine path", set_output(stream("/home/ann/course\n"))),
    ("image without description", set_output(image(None))),
    ("image without description", set_source(4, "![](square.png)")),
    ("image without description", set_source(4, '<img src="square.png">')),
    ("badge or first cell", set_source(0, "# A title")),
    ("badge or first cell", set_source(1, "from gan_helpers.course.setup import setup_notebook")),
]


def test_good_notebook(tmp_path: Path) -> None:
    assert problems(small(tmp_path)) == []


@pytest.mark.parametrize(("rule", "change"), BAD)
def test_each_rule_can_fail(tmp_path: Path, rule: str, change: Callable) -> None:
    assert problems(small(tmp_path, change)) == [rule]


@pytest.mark.parametrize("change", [lambda text: text.replace("hello", "bye"), lambda text: text + "\n# %%\n1 + 1\n"])
def test_twin_that_differs(tmp_path: Path, change: Callable) -> None:
    path = small(tmp_path)
    twin = path.parent / "text" / "small.py"
    twin.write_text(change(twin.read_text()))
    assert problems(path) == ["twin differs"]
