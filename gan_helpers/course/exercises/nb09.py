"""Exercises of notebook 09: a protocol line, cures, copying against chance, a card; and the rubric of the capstone."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from . import Wrong, exercise


def protocol_line(score: dict) -> str:
    s, kind = score, "FID" if score["network"] == "inception" else f"FD({score['network']})"
    line = f"{kind} {s['value']} ± {s['spread']} over {s['draws']} draws of {s['n']} images"
    return f"{line}, against {s['reference']}, {s['resize']}, weights {s['weights']}; real images {s['floor']}"


NEEDED = {
    "value": "the value itself is missing.",
    "spread": "how far does it move between draws? The spread is missing.",
    "n": "how many images were scored? A distance falls with that number.",
    "draws": "over how many draws was the spread taken?",
    "reference": "against which real images? The reference is missing.",
    "weights": "which weights did the network have? Two networks may share a name.",
    "resize": "the resize is missing, and it alone moves a score.",
    "floor": "is that good? Only the floor, the score of real images, tells.",
}
SCORES = (
    {"value": 31.4, "spread": 0.8, "n": 270, "draws": 3, "reference": "boats-held-out", "network": "cifar10-net",
     "weights": "5c1f09aa", "resize": "bilinear to 32", "floor": 9.7},
    {"value": 12.6, "spread": 0.3, "n": 5000, "draws": 4, "reference": "cats-held-out", "network": "inception",
     "weights": "2015-12-05", "resize": "bicubic to 299", "floor": 5.1},
)  # fmt: skip


@exercise(
    "09.1",
    "The protocol line",
    hints=[
        "An f-string with every value of the dict in it; the order is yours.",
        'The name depends on the network: "FID" if it is "inception", else f"FD({network})".',
    ],
    solution=protocol_line,
)
def check_protocol_line(answer) -> str:
    for score in SCORES:
        line = answer(dict(score))
        if not isinstance(line, str):
            raise Wrong(f"it must return a line of text; got {type(line).__name__}.")
        fid = score["network"] == "inception"
        if not fid and ("FID" in line or f"FD({score['network']})" not in line):
            raise Wrong(f"a distance through {score['network']} is no FID: call it FD({score['network']}).")
        if fid and "FID" not in line:
            raise Wrong("with Inception's features the distance has the name that all readers know: FID.")
        for key, told in NEEDED.items():
            if not re.search(rf"(?<![\d.]){re.escape(str(score[key]))}0*(?!\d|\.\d)", line.replace(",", "")):
                raise Wrong(told)
    return "Somebody else could repeat it, and would know when not to compare."


CURES = {"a": "slow D down", "b": "more variety", "c": "more images", "d": "keep the best", "e": "none"}
WHY = {
    "a": "D is right always and G's gradient has died, as the saturating loss has it when D wins: no lesson reaches G. "
    "D must become weaker or smoother.",
    "b": "D is not too strong, but the fakes hardly differ from each other: G has collapsed.",
    "c": "D knows its training images by heart and calls unseen real ones fake: the set is too small for it.",
    "d": "the panel is calm, and the distance has risen since step 2,000: the best generator lies behind you.",
    "e": "D wins most, not all; gradients live; fakes vary; unseen images pass as real. That is health.",
}


@exercise(
    "09.2",
    "Which cure?",
    hints=[
        "Compare D on training images with D on held-out images first: only one run has a gap.",
        "Then diversity, then G's gradient. What is left is either well, or was better before.",
    ],
    solution="cure = " + repr(CURES),
)
def check_cures(answer: dict) -> str:
    if not isinstance(answer, dict) or set(answer) != set(CURES):
        raise Wrong("give a dict with the keys a, b, c, d, e.")
    for key, right in CURES.items():
        if answer[key] not in CURES.values():
            raise Wrong(f"{key}: {answer[key]!r} is none of the five cures.")
        if answer[key] != right:
            raise Wrong(f"{key}: {WHY[key]}")
    return "Five panels, five different answers; no loss curve was needed."


def beyond_chance(to_train, to_held_out, n_train, n_held_out):
    chance = n_train / (n_train + n_held_out)
    share = (to_train < to_held_out).double().mean().item()
    return (share - chance) / (1 - chance)


@exercise(
    "09.3",
    "Too small a set?",
    hints=[
        "First the share of fakes whose nearest training image is nearer than their nearest held-out one.",
        "An honest fake's nearest real image is a training image with probability n_train / (n_train + n_held_out). "
        "Stretch the scale so that this becomes 0, and 1 stays 1.",
    ],
    solution=beyond_chance,
)
def check_beyond_chance(answer) -> str:
    import torch

    rng = torch.Generator().manual_seed(3)
    to_train, to_held_out = torch.rand(400, generator=rng), torch.rand(400, generator=rng)
    to_train, share = to_train * 0.1, lambda a, b: (a < b).double().mean().item()
    found = float(answer(to_train.clone(), to_held_out.clone(), 900, 100))
    s, back = share(to_train, to_held_out), share(to_held_out, to_train)
    right = (s - 0.9) / 0.1
    slips = {
        "that is the share itself. With nine training images for each held-out one, chance alone gives 90 %.": s,
        "chance is not one half: there are more training images to be near to.": 2 * s - 1,
        "subtracted, but not stretched: a thief should get 1.": s - 0.9,
        "that is the share nearest to a *held-out* image.": back,
        "chance is n_train / (n_train + n_held_out), not the other way round.": (s - 0.1) / 0.9,
    }
    for told, slip in slips.items():
        if math.isclose(found, slip, abs_tol=1e-6):
            raise Wrong(told)
    if not math.isclose(found, right, abs_tol=1e-6):
        raise Wrong(f"with share {s:.3f} and 900 to 100 images it gives {found:.3f}; it should be {right:.3f}.")
    if not math.isclose(float(answer(to_train, to_train + 1, 30, 30)), 1):
        raise Wrong("all fakes nearest to training images, 30 images on each side: that should give 1.")
    return "0 is honest, 1 is a copier, below 0 is chance; and the number of images no longer matters."


CARD = {
    "data": "240 photos of colleagues, taken from the company's web page; nobody was asked",
    "licence": "not to be passed on: no permission of the people shown",
    "limits": "copies its training images (0.8 beyond chance); says nothing about people elsewhere",
    "chosen_by": "the best of 12 scores on the same held-out images, so its score is optimistic",
}
NO = r"\b(no|not|none|nobody|never|without)\b|n't\b"
AGREED = r"\bconsent|\bpermi|\bask|\bagree"
GIVEN = r"\brights?\b|\bpass|\bpubli|\bshar|distribut|\breleas|\bgiven?\b|\bto be used|\blicen[cs]e"
COPY = r"\bcop(y|ies|ied)|memor|\bhand(s|ing)? out|reproduc|repeat"
ON_CARD = {
    "data": {
        r"\b240\b": "data: how many images?",
        rf"({NO})[^.;,]*({AGREED})|({AGREED})[^.;,]*({NO})|unasked": "data: did the people agree? Say what you know.",
    },
    "licence": {
        rf"({NO})[^.;:]*({AGREED}|{GIVEN})|cannot|must not|do(n't| not) use|private|internal|forbid|prohibit|^none\b": (
            "licence: nobody gave a right that you could pass on."
        ),
        r"^(?!.*\bno (restriction|limit|condition))": "licence: nobody gave a right that you could pass on.",
    },
    "limits": {
        rf"^(?!.*({NO})(\s+\w+){{0,3}}\s+({COPY}))(?!.*found nothing).*({COPY}|by heart|overfit|leak)": (
            "limits: 0.8 beyond chance: what does this generator do?"
        )
    },
    "chosen_by": {
        r"best|lowest|pick|chos": "chosen_by: the last generator, or a chosen one?",
        r"\b12\b|twelve": "chosen_by: the best of how many scores?",
    },
}


@exercise(
    "09.4",
    "The card",
    hints=[
        "Read the five facts once more: which of them would you want to know before you used this generator?",
        "Number and consent go under data; what the copying test found under limits; best of how many under chosen_by.",
    ],
    solution="card = " + repr(CARD),
)
def check_card(answer: dict) -> str:
    if not isinstance(answer, dict) or set(answer) != set(CARD):
        raise Wrong("give a dict with the keys " + ", ".join(CARD) + ".")
    for key, wanted in ON_CARD.items():
        for pattern, told in wanted.items():
            if not re.search(pattern, str(answer[key]).lower()):
                raise Wrong(told)
    return "The next person can decide without asking you. You might decide not to publish it at all."


# --- the rubric -----------------------------------------------------------------------------------------------------

Facts = dict[str, float]


class Criterion(NamedTuple):
    """One line of the rubric: what each level asks, and the highest level that a run's numbers allow."""

    levels: tuple[str, str, str]
    most: Callable[[Facts], int]


def steps_up(*reached: bool) -> int:
    """1, and one more for each condition in a row that holds."""
    return 1 + next((i for i, ok in enumerate(reached) if not ok), len(reached))


CRITERIA = {
    "data": Criterion(
        ("counted", "300 training images or more", "1,000 or more, under 5 % near-duplicates"),
        lambda f: steps_up(f["training images"] >= 300, f["training images"] >= 1000 and f["near-duplicates"] < 0.05),
    ),
    "training": Criterion(
        ("it ran", "each image seen 5 times or more", "20 times or more"),
        lambda f: steps_up(f["times each image was seen"] >= 5, f["times each image was seen"] >= 20),
    ),
    "diagnosis": Criterion(
        ("the panel is read", "diversity above .5", "and D right on 55 to 95 % of fakes"),
        lambda f: steps_up(f["diversity"] > 0.5, 0.55 <= f["D right on fakes"] <= 0.95),
    ),
    "measurement": Criterion(
        ("one number", "with a floor and 200 images or more", "and a spread over three draws or more"),
        lambda f: steps_up(f["images scored"] >= 200, f["draws"] >= 3),
    ),
    "quality": Criterion(
        ("both numbers quoted", "precision at least half of real images'", "and recall at least half of theirs"),
        lambda f: steps_up(
            f["precision"] >= f["precision of real images"] / 2, f["recall"] >= f["recall of real images"] / 2
        ),
    ),
    "honesty": Criterion(
        ("neighbours looked at", "copying below .5 beyond chance", "below .2"),
        lambda f: steps_up(f["copying beyond chance"] < 0.5, f["copying beyond chance"] < 0.2),
    ),
    "exploration": Criterion(
        ("sliders moved", "one direction named", "three directions named"),
        lambda f: steps_up(f["directions named"] >= 1, f["directions named"] >= 3),
    ),
    "showing": Criterion(
        ("a GIF", "and a page without a kernel", "and a card with three lines of yours"),
        lambda f: steps_up(f["page, MB"] > 0, f["lines on the card"] >= 3),
    ),
}


def quoted(sentence: str, facts: Facts) -> bool:
    """Whether a sentence holds one of the numbers: rounded to two digits or better, or as a percentage."""
    found = re.findall(r"(-?\d[\d,]*\.?\d*|-?\.\d+)(\s?%)?", sentence)
    numbers = [float(n.replace(",", "")) / (100 if percent else 1) for n, percent in found]
    return any(abs(n - f) <= max(0.05 * abs(f), 0.005) for n in numbers for f in facts.values())


def review(rubric: dict[str, tuple[int, str]], facts: dict[str, Facts]) -> str:
    """The summary card of a filled rubric, or what is still missing in it.

    Args:
        rubric: for each of CRITERIA a level, 0 to 3, and a sentence that quotes one of the run's numbers.
        facts: criterion → name → number, of the run.
    """
    if all(... in tuple(rubric.get(name, (...,))) for name in CRITERIA):
        return "The rubric is still blank. Replace the ... and run the cell again."
    problems, lines = [], []
    for name, criterion in CRITERIA.items():
        level, sentence = (*rubric.get(name, (...,)), ...)[:2]
        if level is ... or sentence is ... or not str(sentence).strip():
            problems.append(f"{name}: still blank.")
        elif level not in (0, 1, 2, 3):
            problems.append(f"{name}: the level must be 0, 1, 2 or 3, not {level!r}.")
        elif any(map(math.isnan, facts[name].values())):
            problems.append(f"{name}: it was only opened here, not trained: raise `steps`, and its signs are written.")
        elif name == "quality" and not all(quoted(str(sentence), {k: facts[name][k]}) for k in ("precision", "recall")):
            numbers = "precision {precision:.4g} and recall {recall:.4g}".format(**facts[name])
            problems.append(f"{name}: quote both of the run's numbers, {numbers}.")
        elif not quoted(str(sentence), facts[name]):
            known = "; ".join(f"{key} {value:.4g}" for key, value in facts[name].items())
            problems.append(f"{name}: quote one of the run's numbers. They are: {known}.")
        elif level > (most := criterion.most(facts[name])):
            wanted = criterion.levels[level - 1]
            problems.append(f"{name}: level {level} asks for '{wanted}'; the run's numbers allow {most}.")
        lines.append(f"{name:<12} {level}/3   {sentence}")
    if problems:
        return "Not yet:\n" + "\n".join(f"- {problem}" for problem in problems)
    total = sum(rubric[name][0] for name in CRITERIA)
    return "\n".join([*lines, f"{'total':<12} {total}/{3 * len(CRITERIA)}"])
