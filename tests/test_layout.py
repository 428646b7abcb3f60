"""What may import what, and how much there is to read: read from the source, and tried where Jupyter is missing."""

from __future__ import annotations

import ast
import graphlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
JUPYTER = {"ipywidgets", "IPython", "anywidget", "traitlets", "jupyterlab"}

# The way of the data through the toolkit: a module imports from its own row and from those above, never from below.
FLOW = [
    "errors options environment console files cards tensors temporary threads memory history",
    "data",
    "models losses augment",
    "recipes",
    "devices precision batches recorded",
    "training",
    "latent plots animate frames",
    "checkpoints callbacks growing",
    "generators runs",
    "metrics classifier features evaluation directions",
    "by_class",
    "page",
    "widgets",
    "__main__",
]

CORE = "recipes models losses augment training latent"  # what one reads to understand how a GAN is trained here
MOST_IN_CORE = 2_000  # lines, docstrings, comments and blank ones too, as `wc -l` counts them
MOST_IN_TOOLKIT = 6_200  # lines of code in all of gan_helpers without course/, less those of docstrings and comments


class Import(NamedTuple):
    """`name` is a module's full name; `late`: inside a function, so that it runs only when that is called."""

    name: str
    late: bool


def dotted(path: Path) -> str:
    """The name under which the file is imported: 'gan_helpers.data' of gan_helpers/data/__init__.py."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {dotted(path): path for path in sorted((ROOT / "gan_helpers").rglob("*.py"))}
TOOLKIT = [name for name in SOURCES if not name.startswith("gan_helpers.course")]


def imports(module: str) -> Iterator[Import]:
    """All imports of a module, but those for type checkers."""
    package = module if SOURCES[module].name == "__init__.py" else module.rpartition(".")[0]

    def within(node: ast.AST, late: bool) -> Iterator[Import]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, late) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            home = ".".join([*parents, *filter(None, [node.module])])
            for alias in node.names:
                whole = f"{home}.{alias.name}"
                yield Import(whole if whole in SOURCES else home, late)
        for child in ast.iter_child_nodes(node):
            yield from within(child, late or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))

    yield from within(ast.parse(SOURCES[module].read_text(encoding="utf-8")), False)


def run_at_once(module: str) -> set[str]:
    """What runs when this module is imported: of a.b.c also the packages a and a.b, but for those that it lies in."""
    early = {made.name for made in imports(module) if not made.late}
    packages = {name[:i] for name in early for i, letter in enumerate(name) if letter == "."}
    return early | {package for package in packages if not f"{module}.".startswith(f"{package}.")}


def closure(modules: Iterable[str]) -> set[str]:
    """All modules that run when these are imported, with what they import themselves, and so on."""
    seen, todo = set(), list(modules)
    while todo:
        if (module := todo.pop()) not in seen:
            seen.add(module)
            todo += run_at_once(module) if module in SOURCES else []
    return seen


def part(module: str) -> str:
    """The word for a module in FLOW: 'data' of gan_helpers.data.folder."""
    return module.split(".")[1] if "." in module else ""


def test_the_reader_sees_what_is_there():
    assert Import("gan_helpers.models.blocks", False) in imports("gan_helpers.latent")
    assert Import("gan_helpers.generators", True) in imports("gan_helpers.__main__")
    assert {"gan_helpers.models", "gan_helpers.models.blocks", "torch"} <= closure(["gan_helpers.latent"])
    assert "anywidget" in closure(["gan_helpers.course.widgets"])


def test_the_toolkit_never_imports_the_course():
    wrong = [(m, made.name) for m in TOOLKIT for made in imports(m) if made.name.startswith("gan_helpers.course")]
    assert not wrong


def test_every_module_of_the_toolkit_stands_in_the_table_once():
    words = [word for row in FLOW for word in row.split()]
    assert sorted(words) == sorted({part(module) for module in TOOLKIT} - {""})


def test_modules_import_downstream_only():
    row = {word: i for i, words in enumerate(FLOW) for word in words.split()}
    wrong = [
        f"{module} imports {made.name}"
        for module in TOOLKIT
        for made in imports(module)
        if part(made.name) in row and row[part(made.name)] > row.get(part(module), -1)
    ]
    assert not wrong


def test_no_import_runs_in_a_circle():
    graph = {module: run_at_once(module) & SOURCES.keys() for module in SOURCES}
    graphlib.TopologicalSorter(graph).prepare()  # raises a CycleError that names the circle


@pytest.mark.parametrize("words", [words for words in FLOW if words != "widgets"])
def test_only_the_widgets_need_jupyter(words):
    modules = [module for module in TOOLKIT if part(module) in words.split()]
    assert modules and not [name for name in closure(modules) if name.split(".")[0] in JUPYTER]


def test_the_page_needs_no_widget():
    page = [module for module in TOOLKIT if part(module) == "page"]
    late = [made.name for module in closure(page) & SOURCES.keys() for made in imports(module)]
    assert not [name for name in (*closure(page), *late) if name.startswith("gan_helpers.widgets")]


def lines_of_code(module: str) -> int:
    """Lines that are neither blank nor a comment nor part of a docstring."""
    text, documented = SOURCES[module].read_text(encoding="utf-8"), set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            documented |= {*range(node.body[0].lineno, node.body[0].end_lineno + 1)}
    lines = enumerate(text.splitlines(), 1)
    return sum(bool(line.strip()) and line.strip()[0] != "#" and k not in documented for k, line in lines)


def test_the_core_is_read_in_an_hour():
    core = {
        module: len(SOURCES[module].read_bytes().splitlines()) for module in TOOLKIT if part(module) in CORE.split()
    }
    assert sum(core.values()) <= MOST_IN_CORE, sorted(core.items(), key=lambda item: -item[1])


def test_the_toolkit_stays_small():
    toolkit = {module: lines_of_code(module) for module in TOOLKIT}
    assert sum(toolkit.values()) <= MOST_IN_TOOLKIT, sorted(toolkit.items(), key=lambda item: -item[1])


WITHOUT_JUPYTER = """
import sys
from pathlib import Path

class Refusing:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in JUPYTER:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Refusing)
from gan_helpers.__main__ import main

for command in Path("commands").read_text().splitlines():
    print(command, "→", main(command.split()))
"""
COMMANDS = {
    "export-explorer dcgan-faces --out x.html": "x.html",
    "train first-minute --steps 2 --out run": "run/samples.png",
    "sample run --n 4 --out x.png": "x.png",
    "evaluate dcgan-faces --data faces --features faces-net --n 100 --metrics kernel --draws 1 --out x.json": "x.json",
}


def test_the_commands_work_where_jupyter_is_missing(tmp_path):
    (tmp_path / "commands").write_text("\n".join(COMMANDS))
    code = f"JUPYTER = {JUPYTER}\n{WITHOUT_JUPYTER}"
    own = {"PYTHONPATH": str(ROOT), "GAN_COURSE_FAST": "1", "PYTHONIOENCODING": "utf-8"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | own, capture_output=True, encoding="utf-8"
    )
    for command, file in COMMANDS.items():
        assert f"{command} → 0" in run.stdout and (tmp_path / file).exists(), run.stdout + run.stderr
