"""What holds for every notebook as it stands in the repository, and that each of these rules can fail."""

import re
import statistics
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from gan_helpers import workshop

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


def stream(text: str, name: str = "stdout"):
    return new_output("stream", text=text, name=name)


def image(alt: str | None):
    return new_output("display_data", {"image/png": "iVBO"}, metadata={"image/png": {"alt": alt} if alt else {}})


@pytest.mark.parametrize("path", [notebook for _, notebook in workshop.pairs()], ids=lambda path: path.stem)
def test_notebook(path: Path) -> None:
    assert path.exists(), f"python -m gan_helpers.workshop run {path.stem}"
    assert problems(path) == []


def test_readme_has_the_address() -> None:
    assert [line for line in workshop.address(check=True) if line.startswith("README")] == []


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
    ("badge or first cell", set_source(1, "from gan_helpers.notebook import setup_notebook")),
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
