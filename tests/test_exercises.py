"""Every exercise three ways: blank, solved, and plausible but wrong, each with a message of its own."""

import copy
import re

import pytest
import torch
import torch.nn.functional as F

from gan_helpers.exercises import REGISTRY, grade, nb00, nb01, nb02, nb05, nb06, nb07

loss = F.binary_cross_entropy_with_logits


def missing_detach(g, d, real, z):
    a, b = d(real), d(g(z))
    return loss(a, torch.ones_like(a)) + loss(b, torch.zeros_like(b))


def swapped_labels(g, d, real, z):
    a, b = d(real), d(g(z).detach())
    return loss(a, torch.ones_like(a)) + loss(b, torch.ones_like(b))


def no_fakes(g, d, real, z):
    a = d(real)
    return loss(a, torch.ones_like(a))


def no_gradient(g, d, real, z):
    with torch.no_grad():
        return missing_detach(g, d, real, z)


def eval_always(g, z, mates):
    return nb02.share_changed(copy.deepcopy(g).eval(), z, mates)


def other_z(g, z, mates):
    with torch.no_grad():
        return ((g(z)[0] - g(mates)[0]).abs() > 1 / 255).float().mean().item()


def whole_batch(g, z, mates):
    with torch.no_grad():
        return (g(z)[:1] - g(torch.cat([z[:1], mates]))[:1]).abs()


@torch.no_grad()
def swapped_decay(ema, net, decay):
    nb02.update_ema(ema, net, 1 - decay)


@torch.no_grad()
def parameters_only(ema, net, decay):
    for a, b in zip(ema.parameters(), net.parameters(), strict=True):
        a.lerp_(b, 1 - decay)


@torch.no_grad()
def thrown_away(ema, net, decay):
    for a, b in zip(ema.parameters(), net.parameters(), strict=True):
        a = decay * a + (1 - decay) * b  # noqa: F841, PLW2901


def with_gradient(ema, net, decay):
    for a, b in zip(ema.parameters(), net.parameters(), strict=True):
        a.lerp_(b, 1 - decay)


@torch.no_grad()
def counters_averaged(ema, net, decay):
    for a, b in zip(ema.state_dict().values(), net.state_dict().values(), strict=True):
        a.copy_(decay * a + (1 - decay) * b)


def per_frame(frames):
    to_start, to_end = ((frames - f).square().flatten(1).sum(1) for f in (frames[0], frames[-1]))
    return to_end < to_start


def swapped_ends(frames):
    to_start, to_end = ((frames - f).square().flatten(1).sum(1) for f in (frames[0], frames[-1]))
    return int((to_start < to_end).nonzero()[0])


def nearest_to_end(frames):
    return int((frames - frames[-1]).square().flatten(1).sum(1).argmin())


def roots(*sets, divide=True):
    return [(x - x.mean(0)) / ((len(x) - 1) ** 0.5 if divide else 1) for x in sets]


def assemble(a, b, means=1.0, norm="nuc", times=2, divide=True):
    p, q = roots(a, b, divide=divide)
    traces = p.square().sum() + q.square().sum()
    return means * (a.mean(0) - b.mean(0)).square().sum() + traces - times * torch.linalg.matrix_norm(p @ q.T, norm)


def without_means(a, b):
    return assemble(a, b, means=0)


def root_once(a, b):
    return assemble(a, b, times=1)


def undivided(a, b):
    return assemble(a, b, divide=False)


def frobenius(a, b):
    return assemble(a, b, norm="fro")


def by_cholesky(a, b):
    try:
        p, q = (torch.linalg.cholesky(x.T.cov()) for x in (a, b))
    except RuntimeError:
        return torch.tensor(1.0)  # "it happens with few images only"
    traces = p.square().sum() + q.square().sum()
    return (a.mean(0) - b.mean(0)).square().sum() + traces - 2 * torch.linalg.svdvals(p.T @ q).sum()


def shuffled(x):
    return x.flip(0)


def another_bell(x):
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(5)).double() * 2 + x.mean() + 1


def unscaled_points(x):
    signs = torch.ones_like(x)
    signs[::2] = -1
    return signs + x.mean()


def with_slopes(**changed):
    """The right slopes, some of them replaced by a function of (a, right slopes)."""
    names = {"minimax": "minimax", "ns": "non-saturating", "ls": "least squares", "hinge": "hinge"}
    return lambda a: nb01.slopes(a) | {names[k]: f(a, nb01.slopes(a)) for k, f in changed.items()}


exchanged = with_slopes(minimax=lambda a, s: s["non-saturating"], ns=lambda a, s: s["minimax"])
slope_in_d = with_slopes(minimax=lambda a, s: -1 / (1 - a.sigmoid()))
uphill = with_slopes(hinge=lambda a, s: -s["hinge"])
mean_slope = with_slopes(ls=lambda a, s: s["least squares"] / len(a))
three_numbers = with_slopes(hinge=lambda a, s: s["hinge"][:3])


def rows_of(z_of, y_of):
    """A sampler that gets z and y from functions of (n, classes, latent_dim)."""

    def sample(generator, n, classes, latent_dim):
        with torch.no_grad():
            return generator.eval()(z_of(n, classes, latent_dim), y_of(n, classes))

    return sample


def repeated_z(n, classes, latent_dim):
    return torch.randn(n, latent_dim).repeat(classes, 1)


classes_in_turn = rows_of(repeated_z, lambda n, classes: torch.arange(classes).repeat(n))
fresh_rows = rows_of(lambda n, k, d: torch.randn(n * k, d), lambda n, k: torch.arange(k).repeat_interleave(n))


def still_training(generator, n, classes, latent_dim):
    y = torch.arange(classes).repeat_interleave(n)
    return generator(repeated_z(n, classes, latent_dim), y).detach()


def other_z_a_class(generator, z, classes):
    images = torch.stack([generator(z[torch.randperm(len(z))], torch.full((len(z),), k)) for k in range(classes)])
    return images.var(0, correction=0).mean() / images.flatten(0, 1).var(0, correction=0).mean()


def class_over_rest(generator, z, classes):
    share = nb06.share_of_class(generator, z, classes)
    return share / (1 - share)


def graph_is_enough(augment):
    return augment(torch.randn(2, 1, 8, 8, requires_grad=True)).requires_grad


def backward_always(augment):
    x = torch.randn(2, 1, 8, 8, requires_grad=True)
    augment(x).sum().backward()
    return x.grad.abs().sum() > 0


def never_shortened(w, v):
    v = w.T @ (w @ v)
    return v.norm(), v


def squared(w, v):
    v = w.T @ (w @ v)
    return v.norm(), v / v.norm()


GOOD_SEEDS, GOOD_CHECK = nb00.SEEDS, nb00.SELF_CHECK
RIGHT = {
    "00.0": GOOD_CHECK,
    "00.1": GOOD_SEEDS,
    "00.2": nb00.first_closer_to_end,
    "00.3": nb00.discriminator_loss,
    "01.1": nb01.slopes,
    "01.2": nb01.optimal_d,
    "01.3": nb01.smoothed_d,
    "01.4": nb01.w1,
    "02.1": nb02.LAYERS_32,
    "02.2": nb02.share_changed,
    "02.3": nb02.update_ema,
    "05.1": nb05.frechet,
    "05.2": nb05.impostor,
    "05.3": nb05.COMPARABLE,
    "06.1": nb06.sample_rows,
    "06.2": nb06.projection,
    "06.3": nb06.share_of_class,
    "06.4": nb06.MODELS,
    "07.1": nb07.attention_map,
    "07.2": nb07.power_step,
    "07.3": nb07.lets_through,
    "07.4": nb07.reach,
}
WRONG = [
    ("00.0", GOOD_CHECK | {"logit": "a", "sizes": "c"}, "4 of 6.*logit, sizes"),
    ("00.0", GOOD_CHECK | {"logit": "yes"}, "'a', 'b' or 'c'"),
    ("00.1", GOOD_SEEDS | {"seed 7 twice": "different"}, "where would chance come in"),
    ("00.1", GOOD_SEEDS | {"first of 1 and first of 100": "different"}, "batch-mates"),
    ("00.2", per_frame, "10 numbers"),
    ("00.2", swapped_ends, "frame 0"),
    ("00.2", nearest_to_end, "last frame"),
    ("00.3", missing_detach, "generator received a gradient"),
    ("00.3", swapped_labels, "labels are swapped"),
    ("00.3", no_fakes, "both terms"),
    ("00.3", no_gradient, "no gradient at all"),
    ("01.1", exchanged, "exchanged"),
    ("01.1", slope_in_d, "in D, not in the logit"),
    ("01.1", uphill, "hinge has the wrong sign"),
    ("01.1", mean_slope, "least squares at a"),
    ("01.1", three_numbers, "3 numbers"),
    ("01.2", lambda p, q, share: p / (p + q), "as many real"),
    ("01.2", lambda p, q, share: (1 - share) * p / ((1 - share) * p + share * q), "share of \\*real"),
    ("01.2", lambda p, q, share: (1 - share) * q / (share * p + (1 - share) * q), "being generated"),
    ("01.2", lambda p, q, share: share * p / (p + q), "1/17"),
    ("01.3", lambda p, q, a, b: p / (p + q), "targets 1 and 0"),
    ("01.3", lambda p, q, a, b: a * p / (p + q), "fake_target is not"),
    ("01.3", lambda p, q, a, b: a * p / (a * p + b * q), "how often"),
    ("01.3", lambda p, q, a, b: (b * p + a * q) / (p + q), "exchanged"),
    ("01.4", lambda x, y: (x - y).abs().mean(), "sort both"),
    ("01.4", lambda x, y: (x.mean() - y.mean()).abs(), "means"),
    ("01.4", lambda x, y: (x.sort().values - y.sort().values).square().mean(), "squares"),
    ("01.4", lambda x, y: (x.sort().values - y.sort().values).abs().sum(), "1/n"),
    (
        "02.1",
        [(100, 512, 4, 1, 0), (512, 256, 4, 2, 1), (256, 128, 4, 2, 1), (128, 64, 4, 2, 1), (64, 3, 4, 2, 1)],
        "64",
    ),
    ("02.1", [*nb02.LAYERS_32[:-1], (64, 3, 4, 2, 0)], "34x34"),
    ("02.1", [(100, 256, 4, 1, 0), (512, 128, 4, 2, 1), (128, 3, 4, 2, 1)], "takes 512 channels"),
    ("02.2", eval_always, "switch to eval"),
    ("02.2", other_z, "evaluation mode"),
    ("02.2", whole_batch, "one number"),
    ("02.3", swapped_decay, "swapped"),
    ("02.3", parameters_only, "statistics stayed behind"),
    ("02.3", thrown_away, "did not move"),
    ("02.3", with_gradient, "no_grad"),
    ("02.3", counters_averaged, "num_batches_tracked"),
    ("05.1", without_means, "means are missing"),
    ("05.1", root_once, "enters twice"),
    ("05.1", undivided, "not divided"),
    ("05.1", frobenius, "nuclear"),
    ("05.1", by_cholesky, "fewer images than features"),
    ("05.2", shuffled, "x's own numbers"),
    ("05.2", another_bell, "the means differ"),
    ("05.2", unscaled_points, "standard deviations"),
    ("05.3", nb05.COMPARABLE | {"d": "no"}, "no bias"),
    ("05.3", nb05.COMPARABLE | {"c": "yes"}, "falls with N"),
    ("06.1", classes_in_turn, "take turns"),
    ("06.1", fresh_rows, "other z"),
    ("06.1", still_training, "training mode"),
    ("06.2", lambda h, y, head, e: head(h) + (e(y) * h).sum(1), "met \\(N,\\)"),
    ("06.2", lambda h, y, head, e: head(h + e(y))[:, 0], "added to the features"),
    ("06.2", lambda h, y, head, e: (e(y) * h).sum(1), "without the class"),
    ("06.3", other_z_a_class, "same for every class"),
    ("06.3", class_over_rest, "over what z does"),
    ("06.3", lambda *a: nb06.share_of_class(*a) ** 0.5, "standard deviations"),
    ("06.4", nb06.MODELS | {"a": "good"}, "narrower"),
    ("06.4", nb06.MODELS | {"c": "good"}, "tenth of their variety"),
    ("07.1", lambda q, k: (q.mT @ k).softmax(1), "columns sum to 1"),
    ("07.1", lambda q, k: (k.mT @ q).softmax(-1), "belongs to key i"),
    ("07.1", lambda q, k: q.mT @ k, "without a softmax"),
    ("07.2", never_shortened, "length"),
    ("07.2", squared, "square of the largest"),
    ("07.2", lambda w, v: ((w @ v).norm(), v), "does not move"),
    ("07.3", graph_is_enough, "zero everywhere"),
    ("07.3", backward_always, "no graph at all"),
    ("07.4", lambda layers: 1 + sum(k - 1 for k, _ in layers), "two pixels wide"),
    ("07.4", lambda layers: sum(k for k, _ in layers), "kernel - 1, not kernel"),
]


def test_every_exercise_is_tested_three_ways():

    for number in ("00.0", "01.1", "02.1", "05.1", "06.1", "07.1"):
        grade(number, ...)  # loads the notebook's module
    wrong = [number for number, *_ in WRONG]
    assert set(REGISTRY) == set(RIGHT) and all(wrong.count(number) >= 2 for number in RIGHT)


@pytest.mark.parametrize("number", RIGHT)
def test_blank_and_solved(number):
    blank = dict.fromkeys(RIGHT[number], ...) if isinstance(RIGHT[number], dict) else ...
    assert grade(number, blank).state == "not attempted"
    outcome = grade(number, RIGHT[number])
    assert outcome.state == "right", outcome.message


@pytest.mark.parametrize("number, answer, told", WRONG)
def test_wrong_answers_are_told_what_is_wrong(number, answer, told):
    state, message = grade(number, answer)
    assert state == "wrong"
    assert re.search(told, message), message
