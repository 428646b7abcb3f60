"""Every exercise three ways: blank, solved, and plausible but wrong, each with a message of its own."""

import copy
import re
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_helpers.course.exercises import REGISTRY, grade, nb00, nb01, nb02, nb03, nb04, nb05, nb06, nb07, nb08, nb09

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
def no_biases(ema, net, decay):
    for (name, a), b in zip(ema.state_dict().items(), net.state_dict().values(), strict=True):
        if not name.endswith("bias"):
            a.lerp_(b, 1 - decay) if a.is_floating_point() else a.copy_(b)


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


def transposed(kernel):
    return lambda c_in, c_out: nn.ConvTranspose2d(c_in, c_out, kernel, 2, 1)


def resized_last(c_in, c_out):
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), nn.Upsample(scale_factor=2))


def dealt(a, b, counts=lambda gap, seen: abs(gap) >= abs(seen) - 1e-9):
    """The share of deals of a + b whose gap counts beside the gap that was seen."""
    scores = [*a, *b]
    gaps = []
    for mine in combinations(range(len(scores)), len(a)):
        theirs = [scores[i] for i in range(len(scores)) if i not in mine]
        gaps.append(sum(scores[i] for i in mine) / len(a) - sum(theirs) / len(b))
    return sum(counts(gap, gaps[0]) for gap in gaps) / len(gaps)


def one_sided(a, b):
    return dealt(a, b, lambda gap, seen: gap * (1 if seen > 0 else -1) >= abs(seen) - 1e-9)


def strictly_larger(a, b):
    return dealt(a, b, lambda gap, seen: abs(gap) > abs(seen) + 1e-9)


def straight(a, b, t):
    return a + (b - a) * t


def one_angle(a, b, t):
    w = ((a * b).sum() / (a.norm() * b.norm())).acos()
    return (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)


def never_parallel(a, b, t):
    w = torch.acos((a * b).sum(-1, keepdim=True) / (a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True)))
    return (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)


def one_by_one(direction, others):
    for other in others:
        direction = direction - (direction @ other) / (other @ other) * other
    return direction / direction.norm()


def not_unit(direction, others):
    basis = torch.linalg.qr(others.T)[0]
    return direction - basis @ (basis.T @ direction)


def dot_only(direction, others):
    rest = direction - (others @ direction) @ others
    return rest / rest.norm()


def precision(real, fake, k=3):
    return nb08.recall(fake, real, k)


def itself_counted(real, fake, k=3):
    return nb08.recall(real, fake, k - 1)


def always_three(real, fake, k=3):
    return nb08.recall(real, fake, 3)


def weighted_mean(z, w):
    return (w[:, None] * z).sum(0)


def to_the_sphere(z, w):
    mean = weighted_mean(z, w)
    return mean / mean.norm() * len(mean) ** 0.5


def to_its_own_spread(z, w):
    mixed = (w[:, None] * z).sum(0)
    return mixed / mixed.std()


def by_roots(z, w):
    return weighted_mean(z, w.sqrt())


def with_slopes(**changed):
    """The right slopes, some of them replaced by a function of (a, right slopes)."""
    names = {"minimax": "minimax", "ns": "non-saturating", "ls": "least squares", "hinge": "hinge"}
    return lambda a: nb01.slopes(a) | {names[k]: f(a, nb01.slopes(a)) for k, f in changed.items()}


exchanged = with_slopes(minimax=lambda a, s: s["non-saturating"], ns=lambda a, s: s["minimax"])
slope_in_d = with_slopes(minimax=lambda a, s: -1 / (1 - a.sigmoid()))
uphill = with_slopes(hinge=lambda a, s: -s["hinge"])
mean_slope = with_slopes(ls=lambda a, s: s["least squares"] / len(a))
three_numbers = with_slopes(hinge=lambda a, s: s["hinge"][:3])


def always_fid(score):
    return nb09.protocol_line(score | {"network": "inception"})


def value_only(score):
    return f"FD({score['network']}) {score['value']}" if score["network"] != "inception" else "FID"


def line_without(key):
    return lambda score: nb09.protocol_line(score | {key: "some"})


def share_only(to_train, to_held_out, n_train, n_held_out):
    return (to_train < to_held_out).double().mean()


def against_a_half(to_train, to_held_out, n_train, n_held_out):
    return 2 * share_only(to_train, to_held_out, n_train, n_held_out) - 1


def not_stretched(to_train, to_held_out, n_train, n_held_out):
    return share_only(to_train, to_held_out, n_train, n_held_out) - n_train / (n_train + n_held_out)


def other_chance(to_train, to_held_out, n_train, n_held_out):
    return nb09.beyond_chance(to_train, to_held_out, n_held_out, n_train)


def step_matrix(eta, damping):
    return torch.tensor([[1, -eta], [eta, 1 - eta * damping]], dtype=torch.float64)


def slopes_of(d, x):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(d(x).sum(), x, create_graph=True)[0].flatten(1)


def around_zero(module):
    for name, p in module.named_parameters(recurse=False):
        torch.nn.init.normal_(p, 0.0, 0.02 if name == "weight" else 0.0)


def only_convolutions(module):
    if isinstance(module, torch.nn.ConvTranspose2d):
        torch.nn.init.normal_(module.weight, 0.0, 0.02)


def wide_convolutions(module):
    if isinstance(module, torch.nn.ConvTranspose2d):
        torch.nn.init.normal_(module.weight)


@torch.no_grad()
def no_grad_only(g, z):
    return g(z)


def sample_by_sample(g, z):
    return torch.cat([no_grad_only(g, torch.stack([one, one]))[:1] for one in z])


def left_in_eval(g, z):
    return no_grad_only(g.eval(), z)


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


def never_negative(generator, n, classes, latent_dim):
    z = torch.rand(n, latent_dim).repeat(classes, 1)
    with torch.no_grad():
        return generator.eval()(z, torch.arange(classes).repeat_interleave(n))


def pooled_over_pixels(generator, z, classes):
    images = torch.stack([generator(z, torch.full((len(z),), k)) for k in range(classes)])
    return images.var(0, correction=0).mean() / images.var(correction=0)


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


def in_single_precision(real, fake, k=3):
    radius = torch.cdist(fake, fake).sort(1).values[:, k]
    return (torch.cdist(real, fake) <= radius).any(1).float().mean()


def mode_put_back(generator, n, classes, latent_dim):
    was = generator.training
    images = nb06.sample_rows(generator, n, classes, latent_dim)
    generator.train(was)
    return images


def divided_by_one_less(generator, z, classes):
    images = torch.stack([generator(z, torch.full((len(z),), k)) for k in range(classes)])
    return (images.var(0).mean() / images.flatten(0, 1).var(0).mean()).item()


def by_numpy(augment):
    x = torch.randn(2, 1, 8, 8, requires_grad=True)
    out = augment(x)
    if out.requires_grad:
        (out * torch.randn(out.shape)).sum().backward()
    return out.requires_grad and (x.grad.numpy() != 0).any()


def transposed_ones(c_in, c_out):
    layer = nn.ConvTranspose2d(c_in, c_out, 4, 2, 1)
    nn.init.ones_(layer.weight)
    return layer


def with_commas(score):
    return nb09.protocol_line(score).replace(str(score["n"]), f"{score['n']:,}").replace("31.4 ", "31.40 ")


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
    "03.0": nb03.QUIZ,
    "03.1": nb03.DIAGNOSES,
    "03.2": nb03.growth,
    "03.3": nb03.r1,
    "03.b1": nb03.critic_loss,
    "03.b2": nb03.last_layer,
    "03.b3": nb03.init,
    "03.b4": nb03.sample,
    "03.b5": nb03.least_squares,
    "03.b6": nb03.draw,
    "04.1": nb04.covers,
    "04.2": nb04.double,
    "04.3": nb04.translate,
    "04.4": nb04.luck,
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
    "08.1": nb08.slerp,
    "08.2": nb08.cleaned,
    "08.3": nb08.recall,
    "08.4": nb08.mix,
    "09.1": nb09.protocol_line,
    "09.2": nb09.CURES,
    "09.3": nb09.beyond_chance,
    "09.4": nb09.CARD,
}
ALSO_RIGHT = [  # once refused
    ("03.2", lambda eta, damping: torch.linalg.eigvals(step_matrix(eta, damping)).abs().max()),
    ("06.1", mode_put_back),
    ("07.2", lambda w, v: list(nb07.power_step(w, v))),
    ("07.3", by_numpy),
    ("08.3", in_single_precision),
    ("09.1", with_commas),
    ("09.4", nb09.CARD | {"licence": "cannot be passed on", "limits": "hands out its training images"}),
    ("09.4", nb09.CARD | {"data": "240 photos, taken without permission", "licence": "forbidden to share"}),
    ("09.4", nb09.CARD | {"data": "240 photos; permission was never given", "limits": "overfits: its faces are real"}),
    ("09.4", nb09.CARD | {"licence": "do not use: no consent", "limits": "leaks the faces of colleagues"}),
]
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
    ("02.1", [(100, 3, 4, 1, 0), (3, 3, 8, 8, 0)], "goes through 4, 32 pixels"),
    ("02.1", [(100, 256, 4, 1, 0), (512, 128, 4, 2, 1), (128, 3, 4, 2, 1)], "takes 512 channels"),
    ("02.2", eval_always, "switch to eval"),
    ("02.2", lambda g, z, mates: float(g.training), "on a test net the share is"),
    ("02.2", other_z, "evaluation mode"),
    ("02.2", whole_batch, "one number"),
    ("02.3", swapped_decay, "swapped"),
    ("02.3", parameters_only, "does not hold BatchNorm's statistics"),
    ("02.3", no_biases, "0.bias was left out"),
    ("02.3", thrown_away, "did not move"),
    ("02.3", with_gradient, "no_grad"),
    ("02.3", counters_averaged, "num_batches_tracked"),
    ("03.0", nb03.QUIZ | {"E": "3"}, "same weights"),
    ("03.0", nb03.QUIZ | {"1": "A"}, "waves around two"),
    ("03.0", nb03.QUIZ | {"1": "E"}, "must be one of"),
    ("03.1", nb03.DIAGNOSES | {"b": "collapse"}, "unseen ones"),
    ("03.1", nb03.DIAGNOSES | {"c": "healthy"}, "length of G's gradient"),
    ("03.2", lambda eta, damping: 1 + eta**2, "squared"),
    ("03.2", lambda eta, damping: (1 + eta**2) ** 0.5, "damping = 0.5"),
    ("03.2", lambda eta, damping: 1 - 0 * eta, "real part"),
    ("03.2", lambda eta, damping: torch.linalg.matrix_norm(step_matrix(eta, damping), 2), "singular"),
    ("03.2", lambda eta, damping: torch.linalg.eigvals(step_matrix(eta, damping))[0], "modulus"),
    ("03.3", lambda d, x: (slopes_of(d, x).norm(dim=1) - 1).square().mean(), "one-centred"),
    ("03.3", lambda d, x: slopes_of(d, x).square().mean(), "add them over the pixels"),
    ("03.3", lambda d, x: slopes_of(d, x).square().sum(1).mean().detach(), "create_graph"),
    ("03.3", lambda d, x: slopes_of(d, x).norm(dim=1).mean(), "mean length"),
    ("03.b1", lambda real, fake: -real.mean() - (0 * fake).mean(), "never learns what a fake is"),
    ("03.b1", lambda real, fake: -real.mean() - fake.mean(), "sign of the fake term"),
    ("03.b1", lambda real, fake: real.mean() - fake.mean(), "sign of the fake term"),
    ("03.b1", lambda real, fake: real.mean() + fake.mean(), "sign of the real term"),
    ("03.b2", torch.sigmoid, "darkest pixel"),
    ("03.b2", lambda a: a.clamp(-1, 1), "flat beyond"),
    ("03.b2", lambda a: a, "stay within"),
    ("03.b3", around_zero, "switched off"),
    ("03.b3", only_convolutions, "bias was left"),
    ("03.b3", wide_convolutions, "spread 1"),
    ("03.b4", no_grad_only, "other fourteen"),
    ("03.b4", left_in_eval, "evaluation mode"),
    ("03.b4", sample_by_sample, "moved BatchNorm"),
    ("03.b5", lambda a, b: (a - b).square().mean(), "every target"),
    ("03.b5", lambda a, b: (a.flatten() - b.flatten()).square().sum(), "that is the sum"),
    ("03.b6", lambda m, v, n: torch.randn(n, len(m)), "learned mean"),
    ("03.b6", lambda m, v, n: m + (v / 2).exp() * torch.randn(n, len(m)), "yours has 1"),
    ("03.b6", lambda m, v, n: m + v.exp() * 0.5 * torch.randn(n, len(m)), "the variance"),
    ("04.1", lambda kernel, stride: [kernel // stride] * stride, "not every output"),
    ("04.1", lambda kernel, stride: nb04.covers(kernel, stride)[::-1], "another order"),
    ("04.1", lambda kernel, stride: nb04.covers(kernel, stride)[:1], "repeats every 2"),
    ("04.2", transposed(4), "weights of their own"),
    ("04.2", transposed_ones, "weights of their own"),
    ("04.2", transposed(5), "21x21"),
    ("04.2", resized_last, "each 2x2 block"),
    ("04.2", lambda c_in, c_out: nn.Upsample(scale_factor=2), "returns 6"),
    ("04.3", lambda kernel, stride: (kernel // 2, 0), "Keras makes 16"),
    ("04.3", lambda kernel, stride: ((kernel - stride + 1) // 2, 0), "Keras makes 16"),
    ("04.3", lambda kernel, stride: (0, kernel - stride), "the place is not"),
    ("04.4", one_sided, "one direction"),
    ("04.4", strictly_larger, "at least as large"),
    ("04.4", lambda a, b: 1 - nb04.luck(a, b), "smaller"),
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
    ("06.1", never_negative, "no z is negative"),
    ("06.2", lambda h, y, head, e: head(h) + (e(y) * h).sum(1), "met \\(N,\\)"),
    ("06.2", lambda h, y, head, e: head(h + e(y))[:, 0], "added to the features"),
    ("06.2", lambda h, y, head, e: (e(y) * h).sum(1), "without the class"),
    ("06.3", other_z_a_class, "same for every class"),
    ("06.3", divided_by_one_less, "divides by K - 1"),
    ("06.3", class_over_rest, "over what z does"),
    ("06.3", pooled_over_pixels, "mean image is no variance"),
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
    ("08.1", straight, "straight line"),
    ("08.1", lambda a, b, t: nb08.slerp(a, b, 1 - t), "t = 0 must give a"),
    ("08.1", one_angle, "whole batch"),
    ("08.1", never_parallel, "parallel it gives nan"),
    ("08.2", one_by_one, "brought the first back"),
    ("08.2", not_unit, "Make it 1"),
    ("08.2", dot_only, "9 times too much"),
    ("08.2", lambda direction, others: direction, "is still there"),
    ("08.3", precision, "that is precision"),
    ("08.3", itself_counted, "fake of a fake is itself"),
    ("08.3", always_three, "is 3 written"),
    ("08.4", weighted_mean, "shorter than a latent"),
    ("08.4", to_the_sphere, "same length"),
    ("08.4", to_its_own_spread, "measured on the result"),
    ("08.4", by_roots, "too long a latent"),
    ("09.1", always_fid, "is no FID"),
    ("09.1", value_only, "spread is missing"),
    ("09.1", line_without("n"), "how many images were scored"),
    ("09.1", line_without("floor"), "Only the floor"),
    ("09.2", nb09.CURES | {"c": "slow D down"}, "by heart"),
    ("09.2", nb09.CURES | {"d": "none"}, "risen since step 2,000"),
    ("09.2", nb09.CURES | {"a": "pray"}, "none of the five"),
    ("09.3", share_only, "chance alone gives 90 %"),
    ("09.3", against_a_half, "not one half"),
    ("09.3", not_stretched, "not stretched"),
    ("09.3", other_chance, "other way round"),
    ("09.4", nb09.CARD | {"data": "240 photos of colleagues"}, "did the people agree"),
    ("09.4", nb09.CARD | {"data": "240 photos; all agreed and gave permission"}, "did the people agree"),
    ("09.4", nb09.CARD | {"licence": "free for everybody, no restrictions"}, "nobody gave a right"),
    ("09.4", nb09.CARD | {"limits": "none: it does not memorise"}, "0.8 beyond chance"),
    ("09.4", nb09.CARD | {"data": "240 photos, no duplicates; everyone agreed"}, "did the people agree"),
    ("09.4", nb09.CARD | {"licence": "CC-BY 4.0, no attribution needed"}, "nobody gave a right"),
    ("09.4", nb09.CARD | {"licence": "MIT licence, without warranty"}, "nobody gave a right"),
    ("09.4", nb09.CARD | {"licence": "not for commercial use"}, "nobody gave a right"),
    ("09.4", nb09.CARD | {"limits": "blurred"}, "0.8 beyond chance"),
    ("09.4", nb09.CARD | {"limits": "it doesn't hand out its training images"}, "0.8 beyond chance"),
    ("09.4", nb09.CARD | {"limits": "the copying test found nothing"}, "0.8 beyond chance"),
    ("09.4", nb09.CARD | {"limits": "no evidence of copying"}, "0.8 beyond chance"),
    ("09.4", nb09.CARD | {"chosen_by": "the best one"}, "best of how many"),
]


def test_every_exercise_is_tested_three_ways():

    for number in ("00.0", "01.1", "02.1", "03.0", "04.1", "05.1", "06.1", "07.1", "08.1", "09.1"):
        grade(number, ...)  # loads the notebook's module
    wrong = [number for number, *_ in WRONG]
    assert set(REGISTRY) == set(RIGHT), "the table RIGHT above has a right answer to every exercise"
    few = [number for number in RIGHT if wrong.count(number) < 2]
    assert not few, f"the table WRONG above has two wrong answers or more to every exercise, but not to {few}"


@pytest.mark.parametrize("number", RIGHT)
def test_blank_and_solved(number):
    blank = dict.fromkeys(RIGHT[number], ...) if isinstance(RIGHT[number], dict) else ...
    assert grade(number, blank).state == "not attempted"
    outcome = grade(number, RIGHT[number])
    assert outcome.state == "right", outcome.message


@pytest.mark.parametrize("number, answer", ALSO_RIGHT)
def test_other_right_answers(number, answer):
    state, message = grade(number, answer)
    assert state == "right", message


@pytest.mark.parametrize("number, answer, told", WRONG)
def test_wrong_answers_are_told_what_is_wrong(number, answer, told):
    state, message = grade(number, answer)
    assert state == "wrong"
    assert re.search(told, message), message


FACTS = {
    "data": {"training images": 2431, "near-duplicates": 0.021},
    "training": {"steps": 900, "times each image was seen": 23.7},
    "diagnosis": {"D right on fakes": 0.78, "diversity": 0.83},
    "measurement": {"frechet": 11.4, "images scored": 270, "draws": 3},
    "quality": {"precision": 0.7, "precision of real images": 0.8, "recall": 0.2, "recall of real images": 0.8},
    "honesty": {"copying beyond chance": 0.03},
    "exploration": {"directions named": 3},
    "showing": {"walk, kB": 250, "page, MB": 1.4, "lines on the card": 3},
}
RUBRIC = {
    "data": (3, "2,431 shoes, 2.1 % of them twins"),
    "training": (3, "each seen 23.7 times"),
    "diagnosis": (3, "D is right on 78 % of fakes"),
    "measurement": (3, "11.4 with 270 images, three draws"),
    "quality": (2, "precision .7; recall 0.2 is poor"),
    "honesty": (3, "3 % beyond chance"),
    "exploration": (3, "3 directions"),
    "showing": (3, "a page of 1.4 MB"),
}


def test_rubric_that_the_numbers_allow():
    assert nb09.review(RUBRIC, FACTS).endswith("total        23/24")
    assert nb09.review(RUBRIC | {"training": (1, "900 steps")}, FACTS).endswith(
        "total        21/24"
    )  # modesty is allowed


@pytest.mark.parametrize("blank", [{}, {name: (..., ...) for name in nb09.CRITERIA}])
def test_blank_rubric(blank):
    assert nb09.review(blank, FACTS) == "The rubric is still blank. Replace the ... and run the cell again."


@pytest.mark.parametrize(
    ("name", "line", "told"),
    [
        ("data", (..., "2,431"), "still blank"),
        ("data", (3, " "), "still blank"),
        ("training", (4, "23.7 times"), "must be 0, 1, 2 or 3"),
        ("honesty", (3, "it does not copy, I looked"), "quote one of the run's numbers.*0.03"),
        ("measurement", (3, "my distance is 3.4"), "quote one"),
        ("quality", (3, "precision .7, recall 0.2"), "'and recall at least half of theirs'; the run's numbers allow 2"),
        ("quality", (1, "recall is 0.2"), "quote both.*precision 0.7 and recall 0.2"),
        ("quality", (1, "I made 20 shoes of 70"), "quote both"),
    ],
)
def test_rubric_that_they_do_not_allow(name, line, told):
    found = nb09.review(RUBRIC | {name: line}, FACTS)
    assert found.startswith("Not yet:") and found.count("\n") == 1 and re.search(f"- {name}: .*{told}", found)


def test_rubric_of_a_run_that_was_only_opened():
    opened = FACTS | {"diagnosis": {"D right on fakes": float("nan"), "diversity": float("nan")}}
    assert "diagnosis: it was only opened here" in nb09.review(RUBRIC, opened)
