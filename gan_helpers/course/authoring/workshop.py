"""The notebooks' workshop: `python -m gan_helpers.course.authoring.workshop run | sync | address`.

A notebook is written as a text twin, `notebooks/text/NAME.py` (jupytext's percent format), that a person can review;
`run` executes it into `notebooks/NAME.ipynb`, whose outputs GitHub shows.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
from jupytext.combine import combine_inputs_with_outputs
from nbformat import NotebookNode
from PIL import Image, ImageChops, ImageSequence

from ...environment import ROOT
from ...errors import CourseError, nearest, speak_anyway
from ...files import save_text

PERCENT = {"extension": ".py", "format_name": "percent"}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
TWIN_METADATA = {"jupytext": {"notebook_metadata_filter": "-all", "cell_metadata_filter": "tags,-all"}}
WIDGET = "application/vnd.jupyter.widget-view+json"
TOOK = "gan_course"  # in a notebook's metadata: what `run` measured
NOTE = "[An interactive widget: run this cell to use it.]"
FIRST_CELL = """\
# On Colab this fetches the course; elsewhere it only finds the course that this notebook belongs to.
import os
import sys

if "google.colab" in sys.modules and not os.path.isdir("../gan_helpers"):
    fetch = "test -d gan-course || git clone -q --depth 1 --branch {ref} https://github.com/{repo} gan-course"
    assert os.system(fetch + " && pip install -q -e gan-course") == 0, "The course could not be fetched."
    os.chdir("gan-course/notebooks")
sys.path.insert(0, os.path.abspath(".."))
from gan_helpers.course.setup import setup_notebook

here = setup_notebook()"""
BADGE = "[![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
PAGES = ("README.md", "docs/install.md", "CITATION.cff")  # which name the repository's address
OWN_ADDRESS = r'git clone (?:-\S+ (?:\d+ )?)*|git\+|repository-code: "'  # what stands before it
COLAB = "https://colab.research.google.com/github/{}/blob/{}/notebooks/"


def pairs(root: Path = ROOT, names=()) -> list[tuple[Path, Path]]:
    """Twin and notebook of each name (all without names); one of the two may not be there yet.

    Raises:
        CourseError: a name that has neither.
    """
    folder = root / "notebooks"
    stems = sorted({path.stem for path in (*folder.glob("*.ipynb"), *folder.glob("text/*.py"))})
    if unknown := [name for name in names if name not in stems]:
        raise CourseError(f"There is no notebook '{unknown[0]}'.{nearest(unknown[0], stems)}")
    return [(folder / "text" / f"{stem}.py", folder / f"{stem}.ipynb") for stem in names or stems]


def read(path: Path) -> NotebookNode:
    """A notebook from its twin or its .ipynb; an empty one where there is no file."""
    if not path.exists():
        return nbformat.v4.new_notebook()
    return jupytext.read(path, fmt=PERCENT) if path.suffix == ".py" else nbformat.read(path, as_version=4)


def clean_outputs(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs less stderr, progress bars and memory addresses. A widget becomes a note, for it needs a kernel."""
    kept = []
    for output in outputs:
        output, data = NotebookNode(output), dict(output.get("data", {}))
        if output.get("name") == "stderr" or (WIDGET in data and output.output_type == "display_data"):
            continue
        if WIDGET in data:
            output.data = data = {"text/plain": NOTE}
        for holder, key in ((output, "text"), (data, "text/plain")):
            if key in holder:
                holder[key] = re.sub(r"\b0x[0-9a-f]{6,}\b", "0x…", holder[key])
        kept.append(NotebookNode(output, data=data) if data else output)
    return kept


def smaller(encoded: str) -> str:
    """An image in base64 in fewer bytes: an animated GIF as WebP, a PNG with the same pixels; any other, as it is."""
    shortest = raw = base64.b64decode(encoded)
    try:
        image = Image.open(io.BytesIO(raw))
    except OSError:  # no image after all
        return encoded
    if image.format == "GIF" and image.n_frames > 1:
        frames, times = [], []
        for frame in ImageSequence.Iterator(image):
            frames.append(frame.convert("RGB"))
            times.append(frame.info.get("duration", 100))
        options = {"save_all": True, "append_images": frames[1:], "duration": times, "loop": 0, "method": 4}
        shortest = min(raw, saved(frames[0], "WEBP", quality=80, **options), key=len)
    elif image.format == "PNG" and image.mode in ("L", "P", "RGB", "RGBA"):
        seen = image.convert("RGBA")
        for other in (image.convert("RGB"), image.convert("L"), image.convert("RGB").quantize(256)):
            if ImageChops.difference(other.convert("RGBA"), seen).getbbox(alpha_only=False) is None:
                shortest = min(shortest, saved(other, "PNG", optimize=True), key=len)
    return encoded if shortest is raw else base64.b64encode(shortest).decode()


def saved(image: Image.Image, kind: str, **options) -> bytes:
    """A picture as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def clean(notebook: NotebookNode) -> NotebookNode:
    """The notebook in place, less all that changes from run to run or machine to machine."""
    took = {TOOK: notebook.metadata[TOOK]} if TOOK in notebook.metadata else {}
    notebook.metadata = NotebookNode(kernelspec=KERNEL, language_info={"name": "python"}, **took)
    notebook.nbformat_minor, seen = 5, Counter()
    for cell in notebook.cells:
        digest = hashlib.sha1(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[digest] += 1
        cell.id = f"{digest}-{seen[digest]}"  # follows from the source, so an edit changes one id
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        if cell.cell_type == "code":
            cell.outputs = clean_outputs(cell.outputs)
            for data in (output.data for output in cell.outputs if "data" in output):
                data.update({kind: smaller(data[kind]) for kind in data if kind in ("image/png", "image/jpeg")})
    return notebook


def write(path: Path, notebook: NotebookNode) -> None:
    """Write a twin or a notebook in one move, and only where that changes the file."""
    if path.suffix == ".py":
        text = jupytext.writes(NotebookNode(notebook, metadata=TWIN_METADATA), fmt=PERCENT)
    else:
        text = nbformat.writes(clean(notebook)) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_text(path, text)


def processor_seconds() -> float:
    """What all processes that this one started, and that have ended, used of the processors (0 on Windows)."""
    return sum(os.times()[2:4])


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run all cells in a fresh kernel in `folder`, with a line of progress for each, and fill in the outputs.

    The seconds that it took go into the metadata: on the clock, and of the processors, with their number.

    Raises:
        CourseError: a cell failed; the message holds its number, its source and the error.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    at, began = 0, 0.0

    def start(cell: NotebookNode, cell_index: int) -> None:
        nonlocal at, began
        at, began = cell_index, time.perf_counter()

    def end(cell: NotebookNode, cell_index: int, execute_reply: dict) -> None:
        seconds, line = time.perf_counter() - began, cell.source.strip().partition("\n")[0]
        print(f"  cell {cell_index + 1}/{len(notebook.cells)} {seconds:6.1f} s  {line[:80]}", flush=True)
        for output in cell.outputs:
            if output.get("name") == "stderr":
                print(f"  left out, as it went to stderr: {output.text.strip()[-200:]}")

    settings = {"timeout": None, "record_timing": False, "coalesce_streams": True, "store_widget_state": False}
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, resources=where, on_cell_start=start, on_cell_executed=end, **settings)
    clock, processor = time.perf_counter(), processor_seconds()
    try:
        client.execute(env={k: v for k, v in os.environ.items() if k != "GAN_COURSE_FAST"})
    except (CellExecutionError, DeadKernelError) as error:
        told = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip()
        raise CourseError(f"cell {at + 1} failed. {told}") from None
    seconds = {"clock": time.perf_counter() - clock, "processor": processor_seconds() - processor}
    notebook.metadata[TOOK] = {k: round(v) for k, v in seconds.items()} | {"processors": os.cpu_count()}


def run(names=(), root: Path = ROOT) -> list[str]:
    """Execute twins into notebooks. A notebook that fails stays as it was, and the others are still run.

    Returns:
        What failed.
    """
    address(names, root)
    failed = []
    for twin, path in pairs(root, names):
        notebook, began = read(twin), time.perf_counter()
        print(path.stem, flush=True)
        try:
            execute(notebook, path.parent)
        except CourseError as error:
            failed.append(f"{path.stem}: {error}")
        else:
            write(path, notebook)
            print(f"{path.stem}: {time.perf_counter() - began:.0f} s, {path.stat().st_size / 1000:.0f} kB")
    return failed


def cells(notebook: NotebookNode) -> list[tuple]:
    """What a twin and its notebook must agree in."""
    return [(cell.cell_type, cell.source, tuple(cell.metadata.get("tags", ()))) for cell in notebook.cells]


def sync(names=(), root: Path = ROOT, check: bool = False, to: str | None = None) -> list[str]:
    """Make twins and notebooks agree: `to` 'text' or 'notebooks', else the newer wins. Unchanged cells keep outputs.

    Returns:
        What differed, a line each; with `check` nothing is written.
    """
    found = []
    for twin, path in pairs(root, names):
        ours, theirs = read(twin), read(path)
        if (a := cells(ours)) == (b := cells(theirs)):
            continue
        first = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        found.append(f"{path.stem}: twin and notebook differ from cell {first + 1} on.")
        ages = [side.stat().st_mtime if side.exists() else 0 for side in (twin, path)]
        if not check and (to or ("notebooks" if ages[0] > ages[1] else "text")) == "text":
            write(twin, theirs)
        elif not check:
            joined = combine_inputs_with_outputs(ours, theirs)
            joined.metadata |= {k: v for k, v in theirs.metadata.items() if k == TOOK}
            write(path, joined)
    return found


def project(root: Path = ROOT) -> tuple[str, str]:
    """OWNER/REPOSITORY on GitHub, and the branch or tag that learners get (default: main), from pyproject.toml."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    repo = re.search(r'^Repository = "https://github\.com/(.+?)/?"$', text, re.MULTILINE)
    ref = re.search(r'^\[tool\.gan-course\][^\[]*?^ref = "(.+)"', text, re.MULTILINE)
    if not repo:
        raise CourseError("pyproject.toml names no GitHub Repository under [project.urls].")
    return repo[1], ref[1] if ref else "main"


def with_address(notebook: NotebookNode, name: str, root: Path = ROOT) -> NotebookNode:
    """The notebook in place, with the badge under its title, and the first code cell that all notebooks share."""
    repo, ref = project(root)
    title = next((cell for cell in notebook.cells if cell.cell_type == "markdown"), None)
    if title:
        first, *rest = [line for line in title.source.splitlines() if not line.startswith(BADGE)]
        badge = f"{BADGE}({COLAB.format(repo, ref)}{name}.ipynb)"
        title.source = "\n\n".join(filter(None, [first, badge, "\n".join(rest).strip("\n")]))
    at = next((i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"), len(notebook.cells))
    if at == len(notebook.cells) or "setup_notebook" not in notebook.cells[at].source:
        notebook.cells.insert(at, nbformat.v4.new_code_cell(metadata={"tags": ["nbval-ignore-output"]}))
    notebook.cells[at].source = FIRST_CELL.format(repo=repo, ref=ref)
    return notebook


def address(names=(), root: Path = ROOT, check: bool = False) -> list[str]:
    """Write pyproject.toml's address into badges and first cells, and into the Colab links and addresses of `PAGES`.

    Returns:
        What differed, a line each; with `check` nothing is written.
    """
    found = []
    for path in [side for pair in pairs(root, names) for side in pair if side.exists()]:
        notebook = with_address(read(path), path.stem, root)
        if cells(notebook) != cells(read(path)):
            found.append(f"{path.relative_to(root)}: badge or first code cell are not the common ones.")
            if not check:
                write(path, notebook)
    repo, ref = project(root)
    for page in (root / name for name in PAGES if (root / name).exists()):
        old = page.read_text(encoding="utf-8")
        new = re.sub(COLAB.format(r"[\w.-]+/[\w.-]+", r"[\w.-]+"), COLAB.format(repo, ref), old)
        new = re.sub(rf"({OWN_ADDRESS})https://[^\s\"]+", rf"\g<1>https://github.com/{repo}", new)
        if new != old:
            found.append(f"{page.relative_to(root)}: an address is not pyproject.toml's.")
            if not check:
                save_text(page, new)
    return found


def main(argv: list[str] | None = None) -> int:
    about = __doc__.partition("\n")[0]
    p = argparse.ArgumentParser(prog="python -m gan_helpers.course.authoring.workshop", description=about)
    jobs = p.add_subparsers(required=True, dest="job", metavar="JOB")
    for job in (run, sync, address):
        c = jobs.add_parser(job.__name__, help=job.__doc__.partition("\n")[0].rstrip("."))
        c.add_argument("names", nargs="*", help="notebooks, for example 00_start_here (default: all)")
        c.set_defaults(call=job)
        if job is not run:
            c.add_argument("--check", action="store_true", help="write nothing, and fail if anything differs")
        if job is sync:
            c.add_argument("--to", choices=["text", "notebooks"], help="the side to write (default: the older)")
    speak_anyway()
    o = vars(p.parse_args(argv))
    job, call, must_agree = o.pop("job"), o.pop("call"), o.get("check", True)
    try:
        found = call(**o)
    except CourseError as error:
        found, must_agree = [f"workshop: {error}"], True
    print("\n".join(found) or f"{job}: all is well.")
    return 1 if found and must_agree else 0


if __name__ == "__main__":
    sys.exit(main())
