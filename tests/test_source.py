"""What the source itself promises to its reader."""

import ast
from pathlib import Path

import pytest

import gan_helpers

ROOT = Path(__file__).resolve().parents[1]


def test_every_statement_has_a_line_of_its_own():
    """`f(), g()` reads as a slip."""
    for path in Path(gan_helpers.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            tuple_alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Tuple)
            assert not tuple_alone, f"{path.name}:{node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("twin", sorted((ROOT / "notebooks" / "text").glob("*.py")), ids=lambda path: path.stem)
def test_a_notebook_imports_what_it_uses_and_in_one_line(twin):
    """`hint` and `solution` are there for learners to call."""
    tree = ast.parse(twin.read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | {"hint", "solution", "setup_notebook"}
    idle = [alias.name for node in imports for alias in node.names if (alias.asname or alias.name) not in used]
    assert not idle, f"{twin.name} imports {idle} for nothing"
    places = {node.lineno: node.module for node in imports}
    torn = [line for line, module in places.items() if places.get(line - 1) == module]
    assert not torn, f"{twin.name}, lines {torn}: one line imports from one module"
