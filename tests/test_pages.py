"""What README, docs and the other pages promise: links lead somewhere, commands and examples work, numbers agree."""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gan_helpers import __version__, generators
from gan_helpers.__main__ import parser
from gan_helpers.course.authoring import workshop

ROOT = Path(__file__).resolve().parents[1]
LIST = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
NAMES = subprocess.run(LIST, cwd=ROOT, capture_output=True, text=True).stdout.split()
PAGES = [ROOT / name for name in NAMES if (ROOT / name).exists()]
PAGES = PAGES or [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]  # where there is no git
README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str = "") -> list[str]:
    """The contents of a page's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """A page without code blocks, HTML and Markdown's signs."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"<[^>]+>", "", text))
    return re.sub(r"---+|[|#*`]", " ", text)


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text_of(page), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", prose(title).strip().lower()).replace(" ", "-") for title in titles}


def dead_links(page: Path) -> list[str]:
    """The links of a page, to files of the repository and headings in them, that lead nowhere."""
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    dead = []
    for link in (link for link in links if not re.match(r"https?:|mailto:", link)):
        name, _, anchor = link.partition("#")
        there = page.parent / name if name else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_and_pictures_are_described(page: Path) -> None:
    assert dead_links(page) == []
    assert "![](" not in text_of(page)
    assert all(re.search(r'\balt="[^"]', tag) for tag in re.findall(r"<img\b[^>]*>", text_of(page)))


def test_dead_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# A loss, and more\n")
    (tmp_path / "a.md").write_text(
        "# A\n[1](b.md#a-loss-and-more) [2](b.md#none) [3](c.md) [4](#a) <img src='x'>\n```\n[5](no.md)\n```\n"
    )
    assert dead_links(tmp_path / "a.md") == ["b.md#none", "c.md"]


def test_readme_is_short() -> None:
    assert len(prose(text_of(README)).split()) <= 1200


def test_readme_tells_the_minutes_that_its_notebooks_tell() -> None:
    rows = dict(re.findall(r"^\| \[.+?\]\(notebooks/(\w+)\.ipynb\) \| .+? \| (\d+) \|", text_of(README), re.MULTILINE))
    stated = {
        twin.stem: re.search(r"^# \| Time \| (\d+) minutes", text_of(twin), re.MULTILINE)[1]
        for twin, _ in workshop.pairs()
    }
    assert rows == stated


def test_readme_shows_generators_that_are_shipped_with_their_size() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| .+ \| ([\d.]+) M \|$", text_of(README), re.MULTILINE)
    assert len(rows) >= 5
    for name, size in rows:
        assert f"{generators.load_generator(name).card['parameters'] / 1e6:.1f}" == size, name


def commands() -> list[str]:
    """Every `python -m gan_helpers COMMAND …` that stands on a line of its own, in pages and in notebooks."""
    texts = [*map(text_of, PAGES), *(re.sub(r"^# ", "", text_of(twin), flags=re.M) for twin, _ in workshop.pairs())]
    found = [re.findall(r"^!?(?:\.venv\S+)?python -m gan_helpers ([^\n\\]+)$", text, re.MULTILINE) for text in texts]
    return sorted({line.strip() for lines in found for line in lines})


@pytest.mark.parametrize("command", commands())
def test_commands_are_understood(command: str) -> None:
    parser().parse_args(shlex.split(command, comments=True))


def test_the_options_of_train_are_described() -> None:
    choices = parser()._subparsers._group_actions[0].choices  # command → its parser
    options = {name for action in choices["train"]._actions for name in action.option_strings} - {"-h", "--help"}
    rows = re.findall(r"^\| (`--.+?) \|", text_of(ROOT / "docs" / "command-line.md"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"--[\w-]+", row)} == options


def test_functions_that_are_listed_can_be_imported() -> None:
    table = re.findall(r"^\| .+ \| (.+) \|$", text_of(ROOT / "docs" / "python.md"), re.MULTILINE)
    names = [name for row in table for name in re.findall(r"`([a-z]\w+(?:\.\w+)+)`", row)]
    assert len(names) > 30
    for name in names:
        module, _, attribute = f"gan_helpers.{name}".rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_make_has_what_pages_name() -> None:
    targets = set(re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:^|`)make ([\w./-]+)", text_of(page), re.MULTILINE)}
    assert named <= targets


def test_systems_without_make_run_what_make_runs() -> None:
    """On Windows, by hand and in the workflow: pytest with the same arguments, after the same checks."""
    made = (ROOT / "Makefile").read_text("utf-8")
    options = re.search(r"-m pytest (.+)$", made, re.MULTILINE)[1]
    for name in ("docs/install.md", ".github/workflows/test.yml"):
        text = (ROOT / name).read_text("utf-8")
        assert f"-m pytest {options} tests notebooks\n" in text, name
        assert "ruff check ." in text and "ruff format --check ." in text


@pytest.mark.parametrize("page", [page for page in PAGES if page != CONTRIBUTING and blocks(page, "python")],
                         ids=lambda page: page.name)  # fmt: skip
def test_python_on_pages_runs(page: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "python"):
        exec(re.sub(r"\bsteps=\d+", "steps=2", block), {})


# --- CONTRIBUTING.md --------------------------------------------------------------------------------------------------

TRIED = """
import torch

from gan_helpers import data, metrics, recipes, runs
from gan_helpers.course.exercises import grade

assert "60,000 old" in data.DOWNLOADED["kmnist"] and data.SETS["kmnist"].open
runs.train(recipes.get("tiny-fashion").but(steps=1), out="runs/recipe", progress=False)
small = recipes.get("first-minute").but(steps=1, batch_size=4)
for k, changes in enumerate(({"loss": "absolute"}, {"augment": "contrast"}, {"family": "plain", "net.slope": 0.1})):
    runs.train(small.but(**changes), out=f"runs/{k}", progress=False)
features = torch.tensor([[0.0, 0.0], [0.0, 4.0]])
seen = metrics.Compared(fake=features, logits=features, real=features + torch.tensor([3.0, 4.0]), train=None)
assert metrics.METRICS["means"].compute(seen).value == 5
print(grade("00.4", lambda z: z.sum(1)).state, grade("00.4", lambda z: z.sum(0)).state)
"""


def with_example(block: str, root: Path) -> None:
    """Put an example of CONTRIBUTING.md where its first line says: into a new file, or beside a line of an old one."""
    where, _, code = block.partition("\n")
    path, place, anchor = re.fullmatch(r'# ([\w./]+)(?:, (at the end|before|after)(?: "(.+)")?)?', where).groups()
    old = (root / path).read_text("utf-8") if place else ""
    assert not anchor or old.count(anchor) == 1, f"{path} has no such line: {anchor}"
    before, mark, after = old.partition(anchor) if anchor else (old, "", "")
    text = f"{before}{code}\n\n{mark}{after}" if place == "before" else f"{before}{mark}\n{code}{after}"
    (root / path).write_text(text, encoding="utf-8")


def test_additions_work_in_their_one_place(tmp_path: Path) -> None:
    """All examples of CONTRIBUTING.md, put into a copy of the package; each is tried."""
    shutil.copytree(ROOT / "gan_helpers", tmp_path / "gan_helpers", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data").mkdir()
    for path in (*ROOT.glob("data/*.npz"), ROOT / "pyproject.toml"):
        shutil.copy(path, tmp_path / path.relative_to(ROOT))
    for block in blocks(CONTRIBUTING, "python"):
        with_example(block, tmp_path)
    env = os.environ | {"PYTHONPATH": str(tmp_path), "GAN_COURSE_FAST": "1"}
    done = subprocess.run([sys.executable, "-c", TRIED], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == ["right", "wrong"]


def test_a_commit_is_checked_by_the_ruff_of_the_tests() -> None:
    hooks = re.findall(r"ruff==([\d.]+)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert set(hooks) == set(re.findall(r'"ruff==([\d.]+)"', (ROOT / "pyproject.toml").read_text("utf-8")))


def test_versions_agree() -> None:
    stated = {"pyproject.toml": r'^version = "(.+)"', "CITATION.cff": r"^version: (.+)$"}
    found = {name: re.search(rule, (ROOT / name).read_text("utf-8"), re.MULTILINE)[1] for name, rule in stated.items()}
    assert found == dict.fromkeys(stated, __version__)
