# make lab | make demo | make test      needs Python 3.10 or newer, make and git; all else goes into .venv/
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
ROOT_FLAG := $(if $(filter 0,$(shell id -u)),--allow-root)
# Two processes of one thread each; the tests of a file stay together.
SHORT := OMP_NUM_THREADS=1 GAN_COURSE_FAST=1
PYTEST := -m pytest -n 2 --dist loadfile --nbval --nbval-cell-timeout=600

.PHONY: help lab demo test test-long stacks wheel lowest notebooks images generators clean
help:
	@echo "make lab    set up .venv/ and open JupyterLab on notebooks/00_start_here.ipynb"
	@echo "make demo   set up .venv/ and train the first-minute recipe, without a browser"
	@echo "make test   set up what is missing and run all tests and notebooks, one case of a kind (a quarter of an hour)"
	@echo "Before a release: make test-long runs every case, and then"
	@echo "make stacks the widgets' tests again with ipywidgets 7.7.1, Colab's, in JupyterLab 3,"
	@echo "make wheel  the course as a wheel in a fresh environment, without the repository, and"
	@echo "make lowest the tests with the oldest packages that pyproject.toml allows"
	@echo "For authors: make notebooks runs all notebooks again and keeps their outputs; make images draws the grids,"
	@echo "make generators DATA='cifar10=PATH celeba=PATH' trains, exports and scores those that are missing (hours)"

.venv/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.10-3.14 found. Install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "Installing PyTorch and the course into .venv/ (some minutes, once) ..."
	$(BIN)/python -m pip install --quiet --editable ".[all]"
	@touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	@touch $@

lab: .venv/installed
	$(BIN)/jupyter lab $(ROOT_FLAG) notebooks/00_start_here.ipynb

demo: .venv/installed
	$(BIN)/python -m gan_helpers train first-minute --resume

test: .venv/installed-test
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(SHORT) $(BIN)/python $(PYTEST) tests notebooks

test-long: .venv/installed-test
	$(SHORT) $(BIN)/python $(PYTEST) -m "" tests notebooks
	$(MAKE) stacks wheel lowest

# Colab's stack of August 2026, and the JupyterLab that belongs to it, in front of everything else from .venv/.
WIDGET_TESTS := tests/test_widgets.py tests/test_explorer.py tests/test_lab.py tests/test_browser.py \
	tests/test_browser_explorer.py tests/test_browser_lab.py
.venv7/installed: .venv/installed-test
	$(BIN)/python -m venv --clear .venv7
	.venv7/bin/python -m pip install --quiet ipywidgets==7.7.1 ipykernel==6.17.1 'ipython==7.34.*' 'jupyterlab_widgets>=1,<2' \
		'jupyterlab>=3.6,<4' anywidget==0.9.21
	$(BIN)/python -c "import site; print(*site.getsitepackages(), sep='\n')" \
		> "$$(.venv7/bin/python -c 'import site; print(site.getsitepackages()[0])')/course.pth"
	@touch $@

stacks: .venv7/installed
	.venv7/bin/python -c "import ipywidgets, ipykernel, jupyterlab; print('ipywidgets', ipywidgets.__version__, \
		'ipykernel', ipykernel.__version__, 'JupyterLab', jupyterlab.__version__)"
	PYTHONPATH=$(CURDIR) .venv7/bin/python -m pytest -q $(WIDGET_TESTS)

# First with the packages that it cannot do without, then with all.
wheel: .venv/installed-test
	rm -rf .venv-wheel && $(PYTHON) -m venv .venv-wheel
	$(BIN)/python -m hatchling build -t wheel -d .venv-wheel
	for extra in "" "[all]"; do .venv-wheel/bin/python -m pip install --quiet "$$(echo $(CURDIR)/.venv-wheel/*.whl)$$extra" \
		&& GAN_COURSE_PYTHON=$(CURDIR)/.venv-wheel/bin/python $(BIN)/python -m pytest -q tests/test_installed.py || exit 1; done
	rm -rf .venv-wheel

# PyTorch 2.4 knows Python up to 3.12.
LOWEST := .venv-lowest/bin/python
lowest: .venv/installed-test
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv venv --quiet --clear --python ">=3.10,<3.13" .venv-lowest
	$(BIN)/uv pip install --quiet --python $(LOWEST) --resolution lowest-direct --editable ".[test]"
	$(SHORT) $(LOWEST) $(PYTEST) -q tests notebooks/00_start_here.ipynb
	rm -rf .venv-lowest

notebooks: .venv/installed-test
	$(BIN)/python -m gan_helpers.course.authoring.workshop run

images: .venv/installed
	$(BIN)/python -m gan_helpers.course.authoring.gallery stills best-celeba dcgan-faces best-cifar10

generators: .venv/installed
	$(BIN)/python -m gan_helpers.course.authoring.gallery train $(if $(DATA),--data $(DATA))

clean:
	rm -rf .venv .venv7 .venv-wheel .venv-lowest  # runs/ and notebooks/runs/ stay: they are yours
