"""Draw the embedded cartoon faces: `python data/draw_faces.py --out data/faces.npz`.

Every attribute is chosen by our own seeded generator and handed to DiceBear as its only option, so the table is exact.
Face i depends on (seed, i) alone. Styles, credits and what is changed in them: `data/README.md`.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from gan_helpers.errors import CourseError

SIZE, COLOURS = 64, 64  # pixels of a side; colours kept per face
SKIN = {
    "tone 1": "#f8dcc8",
    "tone 2": "#f0c5a5",
    "tone 3": "#e2ab84",
    "tone 4": "#cf9470",  # lightest to darkest
    "tone 5": "#b97d57",
    "tone 6": "#9f6846",
    "tone 7": "#855338",
    "tone 8": "#6c422f",
}
HAIR_COLOR = {
    "black": "#2a2433",
    "brown": "#7d4a1e",
    "red": "#c85a28",
    "blond": "#e8c068",
    "grey": "#b9bcc8",
    "pink": "#e0709c",
    "blue": "#4a82c8",
}
CLOTHES = {
    "red": "#d9484f",
    "orange": "#f08a3c",
    "yellow": "#f0c23c",
    "green": "#4fa862",
    "teal": "#3cb8b0",
    "blue": "#4468d8",
    "purple": "#7c58c4",
    "white": "#f2f2ee",
}
BACKGROUND = {
    "sky": "#cfe6fb",
    "mint": "#d0f0dc",
    "lemon": "#fbf3c4",
    "rose": "#fbd5dd",
    "lilac": "#e2d6f7",
    "grey": "#e3e6ea",
    "aqua": "#c4eef0",
    "peach": "#fde3cc",
}
MOUTH, EYES = ("laugh", "smile", "sad", "surprised"), ("open", "closed", "wink")
GLASSES, LONG = {"round": 4.7, "square": 1.8}, ("bob", "long", "very long", "wavy")  # a lens's corner radius; long hair
STYLES = {  # what each style calls things; `frame`: x, y, side of the part kept; `eyes_at`: x, y, scale of our glasses
    "personas": {
        "canvas": 64,
        "frame": (7, 4, 50),
        "eyes_at": (32, 28.6, 1),
        "fixed": {"noseVariant": "mediumRound"},
        "clothes": ("rounded", "squared"),
        "clothes_color": "clothingColor",
        "eyes": ("open", "happy", "wink"),
        "mouth": ("bigSmile", "smile", "frown", "surprise"),
        "beard_part": "facialHair",
        "beard": {"goatee": "goatee", "full": "beardMustache"},
        "hair": {
            "bun": "straightBun",
            "top knot": "bunUndercut",
            "curly": "curly",
            "curly bun": "curlyBun",
            "high top": "curlyHighTop",
            "fade": "fade",
            "side part": "shortCombover",
            "bob": "bobCut",
            "long": "long",
            "very long": "extraLong",
        },
    },
    "toon-head": {
        "canvas": 768,
        "frame": (99, 84, 570),
        "eyes_at": (384, 404, 11.5),
        "fixed": {"eyebrowsVariant": "neutral"},
        "clothes": ("tShirt", "turtleNeck"),
        "clothes_color": "clothesColor",
        "eyes": ("happy", "bow", "wink"),
        "mouth": ("laugh", "smile", "sad", "agape"),
        "beard_part": "beard",
        "beard": {"full": "fullBeard", "long": "longBeard"},
        "hair": {
            "side part": "sideComed",
            "spiky": "spiky",
            "undercut": "undercut",
            "parted": "bun",
            "bob": "sideComed+shoulderHigh",
            "long": "bun+longStraight",
            "wavy": "sideComed+longWavy",
        },
    },
}
LENS = '<rect x="{}" y="-4.6" width="10" height="9.4" rx="{}"/>'
FRAMES = (  # our own glasses, the same in every style: one style has none, the other ties them to the eyes
    '<g transform="translate({} {}) scale({})" stroke="#1b0640" stroke-width="1.5" fill="#fff" fill-opacity=".22">{}'
    '<path d="M-1.5-.8q1.5-1.4 3 0M-11.5-1.5l-2.2-.8M11.5-1.5l2.2-.8" fill="none"/></g></svg>'
)


def choose(seed: int, i: int) -> dict[str, str | bool]:
    """The attributes of face i: independent draws, so no attribute hints at another (or at the skin)."""
    rng = np.random.default_rng([seed, i])

    def pick(names, p=None):
        return str(rng.choice(list(names), p=p))

    kind = STYLES[style := pick(STYLES)]
    face = {
        "style": style,
        "skin": pick(SKIN),
        "hair": pick(kind["hair"]),
        "hair_color": pick(HAIR_COLOR),
        "eyes": pick(EYES, (0.76, 0.12, 0.12)),
        "mouth": pick(MOUTH, (0.3, 0.3, 0.2, 0.2)),
        "beard_kind": pick(kind["beard"]) if rng.random() < 0.3 else "none",
        "glasses_kind": pick(GLASSES) if rng.random() < 0.35 else "none",
        "clothes": pick(kind["clothes"]),
        "clothes_color": pick(CLOTHES),
        "background": pick(BACKGROUND),
    }
    return face | {
        "glasses": face["glasses_kind"] != "none",
        "beard": face["beard_kind"] != "none",
        "smile": face["mouth"] in MOUTH[:2],
        "long_hair": face["hair"] in LONG,
    }


@cache
def _style(name: str):
    """DiceBear's definition of a style with our changes (all named in data/README.md)."""
    from dicebear import Style

    def path(**attributes):
        return {"name": "path", "type": "element", "attributes": attributes}

    definition = json.loads(files("dicebear_styles").joinpath(f"{name}.json").read_text("utf-8"))
    canvas, parts = definition["canvas"]["elements"], definition["components"]
    hair = parts["hair"]["variants"]
    mouth = next(i for i, part in enumerate(canvas) if part["name"] == "mouth")
    if name == "personas":
        outline, face = canvas[0]["attributes"]["d"], canvas[2]["children"][0]["attributes"]["d"]
        skin = {"type": "color", "name": "skin"}  # the neck and ears get a shadow, not the face a grey veil
        canvas[1:3] = [path(d=outline, fill="#501c10", opacity=".2"), path(d=face, fill=skin)]
        mouth_hole = path(d="M8.4 12.6a5.6 3.4 0 1 0 11.2 0a5.6 3.4 0 1 0-11.2 0", fill=skin)
        parts["facialHair"]["variants"]["beardMustache"]["elements"][2]["children"][1] = mouth_hole
        elements = [element for variant in hair.values() for element in variant["elements"]]
        for veil in (child["attributes"] for element in elements for child in element.get("children", ())):
            if "overlay" in veil.get("style", ""):
                veil["opacity"] = ".12"
    else:
        hair["bun"]["elements"] = [part for part in hair["bun"]["elements"] if part["name"] != "circle"]
        pen = {"stroke": "#2a0a14", "stroke-width": "13", "stroke-linecap": "round"}
        for variant, curve in (("smile", "M26 14q32.5 34 65 0"), ("sad", "M26 38q32.5-34 65 0")):
            parts["mouth"]["variants"][variant]["elements"] = [path(d=curve, **pen)]
        canvas[mouth]["attributes"]["transform"] = "translate(308.5 479) scale(1.3)"
    canvas.append(canvas.pop(mouth))  # the mouth lies on the beard, not under it
    return Style(definition)


def draw(face: dict[str, str | bool]) -> np.ndarray:
    """One face from its attributes → uint8 (3, 64, 64): drawn twice as large and averaged down."""
    try:
        import resvg_py
        from dicebear import Avatar
    except ImportError as error:
        raise CourseError(f"Drawing faces needs {error.name}. Install it with: pip install -e '.[faces]'") from error
    style = STYLES[face["style"]]
    hair, _, rear = style["hair"][face["hair"]].partition("+")
    beard, color = style["beard_part"], HAIR_COLOR[face["hair_color"]]
    options = (
        style["fixed"]
        | {
            "seed": "0",
            "backgroundColor": BACKGROUND[face["background"]],
            "skinColor": SKIN[face["skin"]],
            "hairVariant": hair,
            "hairColor": color,
            f"{beard}Color": color,
            "clothesVariant": face["clothes"],
            style["clothes_color"]: CLOTHES[face["clothes_color"]],
            "eyesVariant": style["eyes"][EYES.index(face["eyes"])],
            "mouthVariant": style["mouth"][MOUTH.index(face["mouth"])],
            f"{beard}Probability": 100 if face["beard"] else 0,
            "rearHairProbability": 100 if rear else 0,
        }
        | ({"rearHairVariant": rear} if rear else {})
    )
    if face["beard"]:
        options[f"{beard}Variant"] = style["beard"][face["beard_kind"]]
    side, (x, y, kept) = style["canvas"], style["frame"]
    svg = Avatar(_style(face["style"]), options).to_string()
    svg = svg.replace(f'viewBox="0 0 {side} {side}"', f'viewBox="{x} {y} {kept} {kept}"', 1)
    if face["glasses"]:
        lenses = "".join(LENS.format(x, GLASSES[face["glasses_kind"]]) for x in (-11.5, 1.5))
        svg = svg.removesuffix("</svg>") + FRAMES.format(*style["eyes_at"], lenses)
    png = resvg_py.svg_to_bytes(svg_string=svg, width=2 * SIZE, height=2 * SIZE, skip_system_fonts=True)
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.uint32)
    return ((pixels.reshape(SIZE, 2, SIZE, 2, 3).sum((1, 3)) + 2) // 4).astype(np.uint8).transpose(2, 0, 1)


def quantise(image: np.ndarray, colours: int = COLOURS) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (3, H, W) → index uint8 (H, W), 0 the commonest colour, and palette uint8 (3, colours), zeros at its end.

    Takes the finest even grid that leaves at most `colours` cells occupied; a cell's mean is its colour.
    """
    rgb = image.reshape(3, -1).astype(np.int64)
    for step in range(1, 256):
        cell = (rgb + step // 2) // step
        _, index, count = np.unique((cell[0] << 16) | (cell[1] << 8) | cell[2], return_inverse=True, return_counts=True)
        if len(count) <= colours:
            break
    order = np.argsort(-count, kind="stable")
    index, count = np.argsort(order)[index.ravel()], count[order]
    palette = np.zeros((3, colours), np.uint8)
    for channel, values in zip(palette, rgb, strict=True):
        channel[: len(count)] = (2 * np.bincount(index, values).astype(np.int64) + count) // (2 * count)
    return index.astype(np.uint8).reshape(image.shape[1:]), palette


def draw_faces(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Faces 0..n-1 as `data/faces.npz` holds them: index (n, 64, 64), palette (n, 3, 64), one array a column."""
    table = [choose(seed, i) for i in range(n)]
    packed = [quantise(draw(face)) for face in tqdm(table, desc="drawing faces", unit="face")]
    index, palette = (np.stack(part) for part in zip(*packed, strict=True))
    return {"index": index, "palette": palette} | {name: np.array([face[name] for face in table]) for name in table[0]}


def pick_fashion(images: Path, labels: Path, per_class: int, seed: int = 0) -> dict[str, np.ndarray]:
    """`per_class` images of each class from Fashion-MNIST's gzipped IDX files: images (n, 1, 28, 28), labels (n,)."""
    y = np.frombuffer(gzip.decompress(labels.read_bytes()), np.uint8, offset=8)
    x = np.frombuffer(gzip.decompress(images.read_bytes()), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.choice(np.flatnonzero(y == k), per_class, replace=False) for k in range(10)])
    rng.shuffle(rows)
    return {"images": x[rows], "labels": y[rows]}


def main() -> None:
    """Draw the cartoon faces, or with --fashion pick the Fashion-MNIST images."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the .npz file to write")
    parser.add_argument("--n", type=int, default=10_000, help="how many images (default 10,000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fashion", nargs=2, type=Path, metavar=("IMAGES", "LABELS"), help="its two train-*.gz files")
    args = parser.parse_args()
    if args.out.suffix != ".npz" or not args.out.parent.is_dir() or args.n < 10:
        parser.error("--out must be an .npz file in a folder that is there, and --n at least 10")
    try:
        arrays = pick_fashion(*args.fashion, args.n // 10, args.seed) if args.fashion else draw_faces(args.n, args.seed)
    except (CourseError, OSError) as error:
        sys.exit(str(error))
    np.savez_compressed(args.out, **arrays)
    print(f"{args.out}: {args.n:,} images, {args.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
