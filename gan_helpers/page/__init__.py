"""A generator as one HTML file that needs no kernel and no network.

`compiler.py` writes a generator down as layers and numbers (where to teach a page another type of layer, it says),
`net.js` runs them, `pad.js` draws the pad of seeds, here and in the notebooks' explorer, and `page.html` is the page.
"""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path

import torch
from torch import nn

from .. import directions, generators, latent
from ..environment import at_home
from ..errors import CourseError
from ..files import save_text
from ..models.blocks import OnePerClass
from .compiler import compile_net

FARTHEST, PSI = 6.0, 1.5  # how far sliders go along a direction and in truncation (1: as drawn), here and in a notebook
SEEDS = 15  # the page carries the seeds i + 100 j, i and j below this
MAX_BYTES = 12_000_000


def asset(name: str) -> str:
    """The text of a file beside this one."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def export_page(generator: nn.Module, path: str | Path, title: str) -> Path:
    """Write the page: sliders along directions, a pad of seeds, keyframes with playback, classes, the generator.

    Pixels differ from PyTorch's by at most 2 grey levels of 255 where float16 holds the weights exactly, as it does
    those of shipped generators.

    Args:
        path: ends in .html.
        title: what the page is called.

    Raises:
        CourseError: a layer that the page does not know, a net for each class, or a page over 12 MB.
    """
    if isinstance(generator, OnePerClass):
        raise CourseError(
            f"{title} is {len(generator.nets)} nets, one a class (OnePerClass), and a page holds one net."
        )
    moves = directions.principal(generator)  # (directions, latent_dim)
    net, halves, singles = compile_net(generator)
    seeds = [latent.draw_z(1, generator.latent_dim, i + 100 * j) for j in range(SEEDS) for i in range(SEEDS)]
    numbers = [halves, singles, torch.cat(seeds).numpy(), moves.numpy()]
    blobs = [array.astype(array.dtype.newbyteorder("<")).tobytes() for array in numbers]  # row by row, little-endian
    spec = net | {
        "title": title,
        "latent": generator.latent_dim,
        "classes": [*generators.class_names(generator)],
        "directions": len(moves),
        "seeds": SEEDS,
        "farthest": FARTHEST,
        "psi": PSI,
    }
    card = getattr(generator, "card", {})
    facts = {"Made from": card.get("data"), "Limits": card.get("limits"), "Licence": card.get("licence")}
    texts = {
        "TITLE": html.escape(title),
        "FACTS": "".join(f"<dt>{name}</dt><dd>{html.escape(str(fact))}</dd>" for name, fact in facts.items() if fact),
        "SPEC": json.dumps(spec).replace("<", "\\u003c"),
        "NET": asset("net.js"),
        "PAD": asset("pad.js"),
        "BLOBS": json.dumps([base64.b64encode(blob).decode() for blob in blobs]),
    }
    page = re.sub("%([A-Z]+)%", lambda match: texts[match[1]], asset("page.html"))
    if len(page.encode()) > MAX_BYTES:
        raise CourseError(
            f"The page would have {len(page) / 1e6:.1f} MB, over {MAX_BYTES / 1e6:.0f}: the net is too big."
        )
    path = at_home(path)
    save_text(path, page)
    return path
