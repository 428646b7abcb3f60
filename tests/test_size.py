"""How much a clone brings along, by folder. What a command can make smaller, or make again, is not kept larger."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MOST = {".": 60, "data/generators": 24, "images": 8, "notebooks": 8}  # megabytes


def tracked(folder: str) -> dict[str, int]:
    """The bytes of each file that git tracks in a folder and that is there; none outside a checkout of its own."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        return {}
    command = ["git", "ls-files", "-z", "--", folder]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8").stdout.split("\0")
    return {name: (ROOT / name).stat().st_size for name in names if (ROOT / name).is_file()}


@pytest.mark.parametrize("folder, most", MOST.items())
def test_the_tracked_tree_is_small(folder, most):
    if not (found := tracked(folder)):
        pytest.skip("this is no git checkout")
    largest = sorted(found, key=found.get, reverse=True)[:5]
    assert sum(found.values()) <= most * 1e6, {name: found[name] for name in largest}
