"""The course installed from a wheel: it trains, samples, measures and exports without the repository and its extras.

The wheel is unpacked beside this environment's packages, of which those that only extras bring are hidden. `make
test-long` runs the same again in a fresh environment that `GAN_COURSE_PYTHON` names.
"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FRESH = os.environ.get("GAN_COURSE_PYTHON")
HIDE = """
import sys
class Hide:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {hidden}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
"""
OF_EXTRAS = {
    "IPython", "anywidget", "efficientnet_lite_pytorch", "imageio", "ipywidgets", "jupyterlab", "scipy", "tensorboard",
    "torch_fidelity", "torchvision",
}  # fmt: skip
COMMANDS = """
from importlib.metadata import entry_points
(script,) = entry_points(group="console_scripts", name="gan-helpers")
for command in (
    "train first-minute --steps 3 --out run --quiet --threads 1 --set batch_size=8",
    "sample run --n 4 --out run.png",
    "sample dcgan-faces --n 4 --out faces.png",
    "evaluate dcgan-faces --data faces --n 100 --draws 1 --metrics kernel --features faces-net",
    "export-explorer dcgan-faces --out page.html",
):
    assert script.load()(command.split()) == 0, command
import gan_helpers.environment as environment
from gan_helpers.course.failures.record import results
assert results()
print(environment.DATA, environment.cache_dir(), sep="\\n")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built without a network."""
    pytest.importorskip("hatchling", reason="needs hatchling (extra 'test')")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def run(wheel, tmp_path_factory):
    """run(*arguments, hide=…): Python with the installed course, in a folder that has nothing of it; its output."""
    root = tmp_path_factory.mktemp("installed")
    site, here = root / "site-packages", root / "here"
    here.mkdir()
    with zipfile.ZipFile(wheel) as file:
        file.extractall(site)

    def run(*arguments: str, hide: set[str] = OF_EXTRAS) -> str:
        hider = root / f"hide{len(hide)}"
        hider.mkdir(exist_ok=True)
        (hider / "sitecustomize.py").write_text(HIDE.format(hidden=hide))
        env = {k: v for k, v in os.environ.items() if k not in ("GAN_HELPERS_CACHE", "PYTHONPATH")}
        env |= dict.fromkeys(("XDG_CACHE_HOME", "LOCALAPPDATA"), str(root / "cache")) | {"PYTHONDONTWRITEBYTECODE": "1"}
        if not FRESH:
            env["PYTHONPATH"] = os.pathsep.join([str(hider), str(site)])
        done = subprocess.run([FRESH or sys.executable, *arguments], env=env, cwd=here, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run.here, run.root = here, root
    return run


def has_widgets(run) -> bool:
    return run("-c", "import importlib.util as u; print(u.find_spec('ipywidgets'))", hide=set()).strip() != "None"


def test_the_wheel_holds_what_a_user_needs_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {path for path in (ROOT / "gan_helpers").rglob("*") if path.suffix in (".py", ".js", ".html", ".typed")}
    package = {path for path in package if "authoring" not in path.parts}
    data = {path for folder in ("generators", "networks") for path in (ROOT / "data" / folder).iterdir()}
    data |= set((ROOT / "data").glob("*.npz"))
    expected = {path.relative_to(ROOT).as_posix() for path in package} | {"gan_helpers/_data/failures.txt"}
    expected |= {f"gan_helpers/_data/{path.relative_to(ROOT / 'data').as_posix()}" for path in data}
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert "gan_helpers/py.typed" in expected and "gan_helpers/_data/faces.npz" in expected
    assert wheel.stat().st_size < 60 * 2**20  # PyPI takes 100 MB


def test_it_trains_samples_measures_and_exports(run):
    where = Path(run("-c", "import gan_helpers; print(gan_helpers.__file__)").strip()).parent
    before = set(where.rglob("*"))
    *_, data, cache = run("-c", COMMANDS).splitlines()
    assert Path(data) == where / "_data" and where != ROOT / "gan_helpers"
    assert {path.name for path in run.here.iterdir()} == {"run", "run.png", "faces.png", "page.html"}
    assert Image.open(run.here / "faces.png").size == (2 * 66 - 2, 2 * 66 - 2)
    assert where not in Path(cache).parents and Path(cache).name == "gan-helpers"
    assert set(where.rglob("*")) == before  # nothing was written among the packages


def test_without_extras_every_module_but_the_widgets_can_be_imported(run):
    code = """
import importlib, pkgutil, gan_helpers
for module in pkgutil.walk_packages(gan_helpers.__path__, "gan_helpers.", onerror=lambda name: None):
    try:
        module.name.endswith("__main__") or importlib.import_module(module.name)
    except ImportError as error:
        print(module.name, error, sep=": ")
"""
    if FRESH and has_widgets(run):
        pytest.skip("the environment has extras")
    told = dict(line.split(": ", 1) for line in run("-c", code).splitlines())
    assert set(told) == {"gan_helpers.course.widgets", "gan_helpers.widgets"}
    assert "pip install 'gan-helpers[jupyter]'" in told["gan_helpers.widgets"]


def test_the_explorer_opens(run):
    if not has_widgets(run):
        pytest.skip("the environment is without the extra 'jupyter'")
    code = "from gan_helpers.widgets import explore; print(type(explore('dcgan-faces')).__mro__)"
    assert "ipywidgets" in run("-c", code, hide=set())


def test_a_lost_file_is_told_without_git(run):
    """Somebody has copied the package alone, or its data are damaged: there is nothing to check out."""
    code = "from pathlib import Path\nfrom gan_helpers import environment\nenvironment.DATA = Path('nowhere')\n"
    code += "from gan_helpers import data, features, generators\n"
    for call in ("data.load('faces')", "generators.find('dcgan-faces')", "features.load('faces-net')"):
        code += f"try: {call}\nexcept Exception as error: print(error)\n"
    told = run("-c", code)
    assert told.count("Install the course's wheel again") == 3 and "git checkout" not in told
