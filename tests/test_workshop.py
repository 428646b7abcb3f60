"""The notebooks' workshop: executing, comparing with nbval, twins, addresses, and the first cell."""

import base64
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image, ImageSequence

from gan_helpers.course.authoring import workshop
from gan_helpers.errors import CourseError

ROOT = Path(__file__).resolve().parents[1]
TWIN = """\
# %% [markdown]
# # A small notebook
#
# Whatever a notebook may show.

# %%
import os
import sys

with open("kept_short", "w") as file:
    file.write(os.environ.get("GAN_COURSE_FAST", "no"))
print("two lines\\nof text")
print("a warning", file=sys.stderr)
object()

# %%
import ipywidgets

ipywidgets.FloatSlider(value=float(os.environ.get("GAN_COURSE_FAST", 0)))

# %%
from tqdm.auto import tqdm

total = sum(tqdm(range(here.pick(cpu=300, gpu=300, test=3))))

# %%
from PIL import Image

from gan_helpers.plots import show

show(Image.new("RGB", (2, 2)), "A black square.", width=50)

# %%
from gan_helpers.course.exercises import check


def my_answer(frames):
    return frames @ "nothing"


check("00.2", my_answer)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a small twin."""
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/ann/course"\n')
    (tmp_path / "notebooks" / "text").mkdir(parents=True)
    (tmp_path / "notebooks" / "text" / "small.py").write_text(TWIN)
    return tmp_path


def paths(root: Path) -> tuple[Path, Path]:
    return workshop.pairs(root)[0]


def test_run_and_compare(root: Path, monkeypatch, capsys) -> None:
    """The outputs are clean, nbval finds no difference to a run that is kept short, and it does find a wrong output."""
    monkeypatch.setenv("GAN_COURSE_FAST", "1")
    _, path = paths(root)
    assert workshop.run(root=root) == []
    shown = capsys.readouterr().out
    assert "cell 3/7" in shown and "left out, as it went to stderr: a warning" in shown
    notebook = nbformat.read(path, as_version=4)
    first, small, slider, bar, picture, exercise = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert first.outputs[0].text.startswith("The course is ready: PyTorch ")
    assert (path.parent / "kept_short").read_text() == "no"
    assert small.outputs[0].text == "two lines\nof text\n" and len(small.outputs) == 2
    assert small.outputs[1].data == {"text/plain": "<object at 0x…>"}
    assert slider.outputs[0].data == {"text/plain": workshop.NOTE} and bar.outputs == []
    assert picture.outputs[0].metadata == {"image/png": {"alt": "A black square.", "width": 50}}
    assert picture.outputs[0].data["text/plain"] == "A black square."
    assert 'on line 5 of your code: `return frames @ "nothing"`' in exercise.outputs[0].text
    took = notebook.metadata.pop(workshop.TOOK)
    assert took["clock"] >= 1 and took["processor"] >= 1 and took["processors"] == os.cpu_count()
    assert notebook.metadata == {"kernelspec": workshop.KERNEL, "language_info": {"name": "python"}}
    assert workshop.sync(root=root, check=True) == [] and workshop.address(root=root, check=True) == []

    path.with_name("wrong.ipynb").write_text(path.read_text().replace('two lines\\n"', 'three lines\\n"'))
    shutil.copy(ROOT / "conftest.py", root)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "notebooks"]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True).stdout
    assert [line.split(" - ")[0] for line in told.splitlines() if "FAILED" in line] == [
        "FAILED notebooks/wrong.ipynb::Cell 1"
    ]
    assert (path.parent / "kept_short").read_text() == "1"


def encoded(image: Image.Image, kind: str, **options) -> str:
    return base64.b64encode(workshop.saved(image, kind, **options)).decode()


def opened(kept: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(kept)))


NOISE = Image.effect_noise((64, 48), 90)


@pytest.mark.parametrize(
    "image, much",
    [
        (NOISE.convert("RGB"), 0.6),  # grey, in three channels
        (
            Image.merge("RGB", [NOISE.point(lambda v: v // 32 * 32)] * 2 + [Image.new("L", NOISE.size)]),
            0.7,
        ),  # 8 colours
        (NOISE.quantize(16), 1),
        (Image.merge("RGB", [Image.effect_noise((64, 48), 90) for _ in "RGB"]), 1),
        (Image.merge("RGBA", [NOISE] * 4), 1),  # transparent
        (Image.merge("RGBA", [NOISE] * 3 + [Image.new("L", NOISE.size, 255)]), 0.6),
    ],
)
def test_kept_pngs_get_smaller_and_keep_every_pixel(image, much):
    before = encoded(image, "PNG", optimize=True)
    after = workshop.smaller(before)
    assert len(after) <= much * len(before) and workshop.smaller(after) == after
    assert opened(after).format == "PNG" and (
        opened(after).convert("RGBA").tobytes() == opened(before).convert("RGBA").tobytes()
    )


def test_kept_gifs_become_webp_of_the_same_duration():
    frames = [Image.effect_noise((64, 48), 20 * k).convert("RGB") for k in range(1, 6)]
    before = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=[100, 200, 300, 100, 900])
    after = workshop.smaller(before)
    film, times = opened(after), []
    for frame in ImageSequence.Iterator(film):
        frame.load()
        times.append(frame.info["duration"])
    assert len(after) < len(before) and (film.format, film.size, sum(times)) == ("WEBP", (64, 48), 1600)
    assert workshop.smaller(after) == after


def test_other_outputs_are_kept_as_they_are():
    for kept in ("iVBO", encoded(NOISE, "JPEG"), encoded(NOISE, "GIF")):
        assert workshop.smaller(kept) == kept


def test_a_failing_cell_leaves_the_notebook(root: Path) -> None:
    twin, path = paths(root)
    twin.write_text("# %%\nx = 1\nx / 0\n\n# %%\nx = 2\n")
    workshop.sync(root=root, to="notebooks")
    workshop.address(root=root)
    before = path.read_text()
    (failed,) = workshop.run(["small"], root)
    assert failed.startswith("small: cell 2 failed.") and failed.endswith("ZeroDivisionError: division by zero")
    assert path.read_text() == before and [file.name for file in path.parent.iterdir()] == ["text", "small.ipynb"]


def test_names_that_are_none(root: Path) -> None:
    with pytest.raises(CourseError, match="Did you mean 'small'"):
        workshop.pairs(root, ["smal"])
    assert workshop.main(["run", "no_such_notebook"]) == 1


def test_sync_takes_the_newer_side_and_keeps_outputs(root: Path) -> None:
    twin, path = paths(root)
    cells = [
        new_markdown_cell("# Title"),
        new_code_cell("1", outputs=[new_output("stream", text="1")]),
        new_code_cell("2"),
    ]
    took = {"clock": 9, "processor": 8, "processors": 2}
    workshop.write(path, new_notebook(cells=cells, metadata={workshop.TOOK: took}))
    assert workshop.sync(root=root, check=True) == ["small: twin and notebook differ from cell 1 on."]
    assert twin.read_text() == TWIN
    os.utime(twin, (0, 0))
    assert len(workshop.sync(root=root)) == 1 and workshop.sync(root=root, check=True) == []
    assert twin.read_text() == "# %% [markdown]\n# # Title\n\n# %%\n1\n\n# %%\n2\n"
    twin.write_text(twin.read_text().replace("2", "3") + '\n# %% tags=["nbval-skip"]\n4\n')
    os.utime(path, (0, 0))
    workshop.sync(root=root)
    joined = nbformat.read(path, as_version=4)
    assert joined.metadata[workshop.TOOK] == took
    _, one, three, four = joined.cells
    assert (one.outputs[0].text, three.source, four.metadata) == ("1", "3", {"tags": ["nbval-skip"]})
    once = path.read_text()
    workshop.write(path, nbformat.read(path, as_version=4))
    assert path.read_text() == once


def test_sync_to_a_side(root: Path) -> None:
    twin, path = paths(root)
    workshop.sync(root=root, to="notebooks")
    twin.unlink()
    workshop.sync(root=root, to="text")
    assert twin.read_text() == TWIN


def test_ids_follow_from_sources() -> None:
    notebook = new_notebook(cells=[new_code_cell("1"), new_code_cell("2"), new_code_cell("1")])
    before = [cell.id for cell in workshop.clean(notebook).cells]
    notebook.cells.insert(1, new_code_cell("3"))
    after = [cell.id for cell in workshop.clean(notebook).cells]
    assert len(set(before)) == 3 and before == [after[0], *after[2:]]


def test_address(root: Path) -> None:
    workshop.sync(root=root, to="notebooks")
    readme = root / "README.md"
    badge = "(https://colab.research.google.com/github/{}/notebooks/small.ipynb)"
    link = "[other](https://github.com/someone/else)"
    readme.write_text(f"{badge.format('old/name/blob/v1')} {link}\ngit clone --depth 1 https://github.com/old/name\n")
    citation = root / "CITATION.cff"
    citation.write_text('repository-code: "https://github.com/old/name"\nlicense: MIT\n')
    assert len(workshop.address(root=root, check=True)) == 4
    assert len(workshop.address(root=root)) == 4 and workshop.address(root=root, check=True) == []
    assert (
        readme.read_text()
        == f"{badge.format('ann/course/blob/main')} {link}\ngit clone --depth 1 https://github.com/ann/course\n"
    )
    assert citation.read_text() == 'repository-code: "https://github.com/ann/course"\nlicense: MIT\n'
    for side in paths(root):
        title, first, second, *_ = workshop.read(side).cells
        name, found, text = title.source.split("\n\n")
        assert name == "# A small notebook" and found.endswith(badge.format("ann/course/blob/main")) and text
        assert "https://github.com/ann/course gan-course" in first.source and "import sys" in second.source

    with open(root / "pyproject.toml", "a") as file:
        file.write('\n[tool.gan-course]\nref = "v2"\n')
    assert len(workshop.address(root=root)) == 3
    assert "--branch v2 " in paths(root)[0].read_text() and "blob/v2/" in readme.read_text()


def test_first_cell_is_small() -> None:
    assert len(workshop.FIRST_CELL.splitlines()) <= 12


@pytest.mark.skipif(os.name == "nt", reason="its git and pip are shell scripts, as on Colab")
@pytest.mark.parametrize("there", [False, True])
def test_first_cell_on_colab(tmp_path: Path, there: bool) -> None:
    """With a `git` that copies, and a `pip` that notes its arguments; the second time, the course is there already."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text(
        f'#!/bin/sh\necho "$@" > git\nmkdir -p gan-course/notebooks\nln -s {ROOT}/gan_helpers gan-course\n'
    )
    (tmp_path / "bin" / "pip").write_text('#!/bin/sh\necho "$@" > pip\n')
    for tool in (tmp_path / "bin").iterdir():
        tool.chmod(0o755)
    (tmp_path / "content").mkdir()
    if there:
        subprocess.run([tmp_path / "bin" / "git"], cwd=tmp_path / "content", check=True)
    cell = workshop.FIRST_CELL.format(repo="ann/course", ref="v2")
    code = f"import sys\nsys.modules['google.colab'] = sys\n{cell}\nprint(os.getcwd(), here)"
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "content", env=os.environ | {"PATH": path},
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    git, pip = [(tmp_path / "content" / tool).read_text().strip() for tool in ("git", "pip")]
    assert git == ("" if there else "clone -q --depth 1 --branch v2 https://github.com/ann/course gan-course")
    assert pip == "install -q -e gan-course"
    assert "The course is ready: PyTorch" in told and f"{tmp_path}/content/gan-course/notebooks " in told


def test_settings_for_the_machine() -> None:
    from gan_helpers.course.setup import Here

    assert [Here(device, False).pick(cpu=1, gpu=2, test=0) for device in ("cpu", "cuda", "mps")] == [1, 2, 2]
    assert Here("cuda", True).pick(cpu=1, gpu=2, test=0) == 0 and Here("cuda", True).pick(cpu=1, gpu=2) == 1
