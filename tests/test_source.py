"""What the source itself promises to its reader."""

import ast
from pathlib import Path

import gan_helpers


def test_every_statement_has_a_line_of_its_own():
    """`f(), g()` reads as a slip."""
    for path in Path(gan_helpers.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            tuple_alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Tuple)
            assert not tuple_alone, f"{path.name}:{node.lineno}: {ast.unparse(node)}"
