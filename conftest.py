"""Notebooks under nbval: what they show is compared, less what may differ between machines. Training is kept short."""

import os

os.environ.setdefault("GAN_COURSE_FAST", "1")
NOT_COMPARED = ("image/gif", "image/svg+xml", "image/webp", "text/html")  # nbval leaves out PNG and JPEG by itself


def pytest_collection_modifyitems(items):
    """Let nbval compare notebooks in the form in which the workshop stores them."""
    cells = [item for item in items if hasattr(item, "compare_outputs")]
    for notebook in {item.parent for item in cells}:
        notebook.skip_compare += NOT_COMPARED
    for item in cells:
        item.compare_outputs = cleaned(item.compare_outputs)


def cleaned(compare):
    """nbval's comparison, without stderr, widgets and memory addresses on either side."""
    from gan_helpers.course.authoring.workshop import clean_outputs

    return lambda test, ref, *rest: compare(clean_outputs(test), clean_outputs(ref), *rest)
