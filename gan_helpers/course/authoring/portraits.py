"""Pictures of shipped generators: the page of all, stills for the README, and the card of each with what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor, nn

from ... import cards, data, features, generators, latent, metrics, plots
from ...environment import ROOT
from ...files import save_atomically, save_text
from . import board

SHOWN = 20  # of each generator on the page of all
ON_A_CARD = 32  # images, or four of each class


def first_images(net: nn.Module, n: int, each: int = 0) -> Tensor:
    """The first images of seed 0, not picked: n of them (n, C, S, S), or `each` of every class in turn."""
    labels = torch.arange(net.num_classes).repeat_interleave(each) if each and net.class_names else None
    n = n if labels is None else len(labels)
    return latent.generate(net, latent.draw_z(n, net.latent_dim), labels)


def with_names(sheet: Image.Image, names: Sequence[str], margin: int = 96) -> Image.Image:
    """A sheet with a row for each name, which stands left of it."""
    page = Image.new("RGB", (margin + sheet.width, sheet.height), "white")
    page.paste(sheet, (margin, 0))
    for k, name in enumerate(names):
        middle = (k + 0.5) * page.height / len(names)
        ImageDraw.Draw(page).text((margin - 8, middle), name, fill="black", font_size=15, anchor="rm")
    return page


def save(page: Image.Image, path: str, quality: int = 90) -> None:
    """Write a picture into images/, as WebP."""
    target = ROOT / "images" / f"{path}.webp"
    target.parent.mkdir(parents=True, exist_ok=True)
    save_atomically(target, partial(page.save, quality=quality))


def page_of_all(order: Sequence[str]) -> None:
    """Draw `images/gallery.webp`: twenty samples of each shipped generator, those of the board first."""
    shown = [*order, *(name for name in generators.shipped() if name not in order)]
    page = Image.new("RGB", (190 + SHOWN * 66, len(shown) * 70), "white")
    for k, name in enumerate(shown):
        images = first_images(generators.load_generator(name), SHOWN)  # (20, C, S, S)
        page.paste(plots.grid(F.interpolate(images, 64, mode="nearest"), SHOWN), (190, 70 * k))
        ImageDraw.Draw(page).text((4, 70 * k + 24), name, fill="black", font_size=16)
    save(page, "gallery")


def stills(names: Sequence[str]) -> None:
    """Draw the first images of shipped generators, 64 of them, or 12 of each class, enlarged twice, by its name."""
    for name in names:
        net = generators.load_generator(name)
        images = first_images(net, 64, each=12)
        if net.class_names:
            sheet = plots.grid(F.interpolate(images, scale_factor=2, mode="bilinear"), 12)
            page = with_names(sheet, net.class_names)
        else:
            page = plots.grid(images)
        save(page, f"{name}-samples")


def card(name: str, judged: dict | None, train: data.ImageSet | None) -> None:
    """Write the card of a shipped generator anew: what its file tells, its scores, its samples and its curve.

    Args:
        judged: its entry of `board.read`, None where nobody has scored it.
        train: the images that it learned from, where they may be shown.
    """
    net, path = generators.load_generator(name), generators.shipped()[name]
    rows = dict(net.card)
    for network, scores in (judged or {}).get("best", {}).items():
        told = [f"1000 x KD {board.interval(scores['kernel'], 1000)}"]
        told += [f"FD {board.interval(scores['frechet'])}"] if "frechet" in scores else []
        rows[f"measured by {network}"] = ", ".join(told) + " (one run; ± over five fresh sets of images)"
    parts = [samples(net)]
    if curve := (judged or {}).get("curve"):
        parts.append(drawn(curve))
    if train is not None:
        parts.append(beside_training_images(net, train, features.own_of(board.kind_of(name), net.recipe.channels)))
    width = max(part.width for part in parts)
    page = Image.new("RGB", (width, sum(part.height + 12 for part in parts) - 12), "white")
    top = 0
    for part in parts:
        page.paste(part, (0, top))
        top += part.height + 12
    save(page, f"cards/{name}", quality=80)
    cards.write_card(path, net.recipe.about, rows)
    what = f"{'Four images of each class' if net.class_names else f'{ON_A_CARD} images'} of seed 0, not picked"
    what += "; below them the distance as it trained" if curve else ""
    what += "; at the bottom eight of them, each above its nearest training image" if train is not None else ""
    text = path.with_suffix(".md").read_text("utf-8")
    save_text(path.with_suffix(".md"), f"{text}\n![{what}](../../images/cards/{name}.webp)\n\n*{what}.*\n")


def samples(net: nn.Module) -> Image.Image:
    """The first images of a generator, at least 64 pixels wide each; with classes a row for each."""
    images = first_images(net, ON_A_CARD, each=4)
    scale = max(1, 64 // images.shape[-1])
    images = F.interpolate(images, scale_factor=scale, mode="bilinear") if scale > 1 else images
    if not net.class_names:
        return plots.grid(images, 8)
    # Two columns of classes: ten rows of four would be taller than wide.
    half = (len(net.class_names) + 1) // 2
    sides = [
        with_names(plots.grid(images[4 * k : 4 * (k + half)], 4), net.class_names[k : k + half]) for k in (0, half)
    ]
    page = Image.new("RGB", (sum(side.width for side in sides) + 12, sides[0].height), "white")
    page.paste(sides[0], (0, 0))
    page.paste(sides[1], (sides[0].width + 12, 0))
    return page


def drawn(curve: dict) -> Image.Image:
    """The distance of a run over its steps."""
    figure = Figure(figsize=(6.4, 2.2), dpi=100, layout="constrained")
    axes = figure.subplots()
    plots.draw_scores(axes, curve["scores"], curve["judge"])
    axes.set(xlabel="step")
    axes.legend(loc="upper right")
    return plots.rendered(figure).convert("RGB")


def beside_training_images(net: nn.Module, train: data.ImageSet, network: str, count: int = 8) -> Image.Image:
    """The first images of a generator, and below each the training image that a network finds nearest."""
    train = train.resized(net.recipe.image_size, net.recipe.channels)
    look, fakes = features.load(network), plots.to_uint8(first_images(net, count))
    _, rows = metrics.nearest(look(fakes), look(train.images))
    pairs = torch.cat([fakes, torch.from_numpy(train.images[rows.numpy()])])
    return plots.grid(pairs, count, max(1, 64 // net.recipe.image_size))
