# %% [markdown]
# # 05 · How good is it? FID, and measuring honestly
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/notebooks/05_fid_evaluation.ipynb)
#
# **Aim.** Build the Fréchet distance from one dimension up; see what it notices and what it cannot; measure a generator so
# that somebody else can check you; say why 89.68 and 3.15 are not on one scale.
#
# | | |
# |---|---|
# | You need | notebooks 00 and 02 |
# | Time | 90 minutes, of which your computer works for about three (two CPU cores) |
# | Data | `faces` (cartoons, embedded), its 1,000 held-out images as the reference |
# | Words introduced | feature, Fréchet distance (FID), KID, precision and recall, floor |

# %% tags=["nbval-ignore-output"]
# On Colab this fetches the course; elsewhere it only finds the course that this notebook belongs to.
import os
import sys

if "google.colab" in sys.modules and not os.path.isdir("../gan_helpers"):
    fetch = "test -d gan-course || git clone -q --depth 1 --branch main https://github.com/gan-course/gan-course gan-course"
    assert os.system(fetch + " && pip install -q -e gan-course") == 0, "The course could not be fetched."
    os.chdir("gan-course/notebooks")
sys.path.insert(0, os.path.abspath(".."))
from gan_helpers.course.setup import setup_notebook

here = setup_notebook()

# %% [markdown]
# **Before we begin**, three questions. They come back at the end.
#
# 1. One paper reports FID 89.68, another 3.15. What do you need to know before you may compare them?
# 2. You score 500 images of a generator, then 5,000 of the same generator. Does its FID change?
# 3. Which generator reaches the best possible FID with the least effort?

# %% [markdown]
# ## 1. Two bells: the distance in one dimension
# We have real images and generated ones, and want *one number* for how far apart the two sets are. Begin with sets of
# single numbers. Sort both, and pair the smallest with the smallest, and so on up: the mean squared gap of the pairs is
# the cheapest way to move one heap of numbers onto the other. For two bell curves it has a formula:
#
# $$d^2 = (\mu_1 - \mu_2)^2 + (\sigma_1 - \sigma_2)^2$$
#
# That is the (squared) **Fréchet distance** of two bells. **Predict** it for $N(0, 1)$ and $N(3, 2^2)$ before you run the cell.

# %%
import torch

from gan_helpers.metrics import frechet_distance

rng = torch.Generator().manual_seed(0)
first = torch.randn(20_000, 1, generator=rng).double()
second = 3 + 2 * torch.randn(20_000, 1, generator=rng).double()
by_sorting = (first.sort(0).values - second.sort(0).values).square().mean().item()
by_formula = ((first.mean() - second.mean()) ** 2 + (first.std() - second.std()) ** 2).item()
print(f"pairs in order {by_sorting:.1f} | formula {by_formula:.1f} | helper {frechet_distance(first, second):.1f}")

# %%
from matplotlib.figure import Figure

from gan_helpers import plots

figure = Figure(figsize=(8, 2.6), layout="constrained")
left, right = figure.subplots(1, 2)
for numbers, colour, hatch, name in ((first, plots.BLUE, "", "N(0, 1)"), (second, plots.ORANGE, "//", "N(3, 2²)")):
    left.hist(numbers[:, 0].numpy(), 60, alpha=0.5, color=colour, hatch=hatch, label=name)
for a, b in zip(first[:40].sort(0).values, second[:40].sort(0).values):
    right.plot([a.item(), b.item()], [0, 1], color="grey", linewidth=0.8)
left.set(yticks=[], title="two heaps of numbers")
left.legend()
right.set(yticks=[0, 1], yticklabels=["N(0, 1)", "N(3, 2²)"], title="forty of each, paired in order")
plots.show(figure, alt="Left: two histograms, a narrow one around 0 and a wide one around 3. Right: sorted pairs, joined by lines that do not cross")

# %% [markdown]
# ## 2. Many dimensions: means and covariances
# With D numbers for each image, the bells have a mean vector μ and a covariance matrix Σ (notebook 00 has the repair cell):
#
# $$d^2 = \|\mu_1 - \mu_2\|^2 + \operatorname{Tr}\Sigma_1 + \operatorname{Tr}\Sigma_2 - 2\operatorname{Tr}\sqrt{\Sigma_1 \Sigma_2}$$
#
# Why the covariance? **Predict:** two clouds have the same mean, and the same spread in each axis. Can their distance be
# above zero?

# %%
def cloud(correlation, n=4000, seed=0):
    """n points in the plane, each axis with spread 1."""
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed)).double()
    return torch.stack([x[:, 0], correlation * x[:, 0] + (1 - correlation**2) ** 0.5 * x[:, 1]], 1)


rising, falling = cloud(0.9), cloud(-0.9, seed=1)
print(f"spreads {rising.std(0).mean():.1f} and {falling.std(0).mean():.1f}, distance {frechet_distance(rising, falling):.1f}")
by_axes = sum(frechet_distance(rising[:, k : k + 1], falling[:, k : k + 1]) for k in (0, 1))
print(f"sum of the distances of the two axes, each by itself: {by_axes:.1f}")

# %%
figure = Figure(figsize=(5, 2.4), layout="constrained")
for axes, points, name in zip(figure.subplots(1, 2), (rising, falling), ("correlation .9", "correlation -.9")):
    axes.plot(*points[:800].T.numpy(), ".", markersize=2, color=plots.BLUE)
    axes.set(aspect="equal", xlim=(-4, 4), ylim=(-4, 4), title=name)
plots.show(figure, alt="Two clouds of points: one stretched along the rising diagonal, one along the falling one")

# %% [markdown]
# How to compute $\operatorname{Tr}\sqrt{\Sigma_1\Sigma_2}$? The product of two symmetric matrices is not symmetric, and the
# usual code takes its square root with complex numbers and hopes that they cancel. There is a better way: with any R for
# which $\Sigma = R R^\top$, the trace is the **sum of the singular values of** $R_1^\top R_2$. They are real and never
# negative, whatever the rank. Exercise 1 writes it.

# %%
a, b = rising.T.cov(), falling.T.cov()
roots = [torch.linalg.cholesky(sigma) for sigma in (a, b)]
trace = torch.linalg.svdvals(roots[0].T @ roots[1]).sum()
usual = torch.linalg.eigvals(a @ b).sqrt().sum()  # complex
print(f"singular values: {trace:.4f} | the usual way: {usual.real:.4f} {'+' if usual.imag >= 0 else '-'} {abs(usual.imag):.0f}i")

# %% [markdown]
# ## 3. Why not compare pixels?
# An image of 64×64 pixels is a point in 12,288 dimensions: why not measure there? **Predict:** somebody moves a face two
# pixels to the side; blurs it; shows another face instead. Order the three by how much the *pixels* change.

# %%
from gan_helpers import data

held_out = data.load("faces", split="held-out")
train = data.load("faces")
print(held_out.name, len(held_out), "images |", train.name, len(train), "images")


def blur(images, sigma):
    """uint8 (N, C, H, W), smoothed by a Gaussian of `sigma` pixels."""
    from torchvision.transforms.functional import gaussian_blur

    return gaussian_blur(torch.as_tensor(images.copy()), 4 * max(1, round(sigma)) + 1, sigma).numpy()


face = held_out.images[3:4]
strangers = held_out.images[[k for k in range(1000) if held_out.attributes["style"][k] == held_out.attributes["style"][3]][1:2]]
changed = {"moved 2 px": face.take(range(-2, 62), 3), "blurred": blur(face, 1.5), "somebody else": strangers}

# %%
from gan_helpers import classifier, features

network = features.load("faces-net")
numbers = torch.from_numpy(network(face).numpy())
print(f"{'':<14}{'pixels':>8}{'features':>10}")
for name, other in changed.items():
    pixels = float(((face.astype(float) - other) ** 2).mean() ** 0.5)
    print(f"{name:<14}{pixels:>8.0f}{(network(other) - numbers).norm():>10.2f}")

# %%
import numpy as np

plots.show(
    plots.grid(np.concatenate([face, *changed.values()]), columns=4, scale=2),
    alt="The same cartoon face four times: as it is, moved two pixels to the right, blurred, and another face of the same style",
)

# %% [markdown]
# To pixels, the face that moved has changed more than twice as much as the blurred one. To you it has not changed at all.
# We need numbers that change when the *content* changes; the right column of the table shows some that do.
#
# ## 4. Features
# A network that was trained to answer questions about faces (skin? hair? glasses? mouth?) must first turn pixels into
# numbers in which the answers are easy to read. These numbers, 192 of them just before its last layer, are the image's
# **features**. The table above has their distances beside those of the pixels.
#
# The course ships four such networks: for faces, for digits, for clothes and for CIFAR-10. FID uses one too: Inception, trained on a million photos. A
# distance in features is a statement about images *as one network sees them*, so we name it after the network:
# `FD(faces-net)` here, and **FID** only with Inception.

# %%
print(*list(classifier.shipped()), sep="\n")
reference = network(held_out.images)  # (1000, 192)
fresh = network(train.images[:1000])
print(f"features {tuple(reference.shape)}; real against real: {frechet_distance(fresh, reference):.2f}")

# %% [markdown]
# Real against real is not zero: two samples of one distribution differ. That number is the **floor**: no honest score for
# this many images lies below it, except by chance.
#
# ## 5. What the distance notices
# Now we damage real images on purpose and watch the score. **Predict** which hurts most: (a) slight noise (8 grey levels of 255),
# (b) a blur of one pixel, (c) leaving out everybody with glasses, (d) JPEG at quality 50.

# %%
import io

from PIL import Image

some = train.images[:1000]
random = np.random.default_rng(0)


def noise(images, levels):
    return (images + random.normal(0, levels, images.shape)).round().clip(0, 255).astype(np.uint8)


def jpeg(images, quality):
    def through(image):
        file = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file)).transpose(2, 0, 1)

    return np.stack([through(image) for image in images])


def smaller(images, size, antialias=True):
    """Resized to `size` and back."""
    x = torch.from_numpy(images.copy()).float()
    resize = torch.nn.functional.interpolate
    x = resize(x, (size, size), mode="bilinear", antialias=antialias)
    return resize(x, (64, 64), mode="bilinear").round().clamp(0, 255).byte().numpy()


def fewer_glasses(images, share):
    """`share` of the people with glasses are replaced by people without."""
    rows, glasses = np.arange(len(images)), train.attributes["glasses"]
    leave = np.flatnonzero(glasses[: len(images)])[: round(share * glasses[: len(images)].sum())]
    rows[leave] = np.flatnonzero(~glasses[len(images) :])[: len(leave)] + len(images)
    return train.images[rows]


# %%
def score(images):
    return frechet_distance(network(images), reference)


damage = {
    "noise, grey levels": (noise, [0, 4, 8, 16, 32]),
    "blur, pixels": (blur, [0.2, 0.5, 1, 1.5, 2]),
    "JPEG, quality": (jpeg, [95, 85, 70, 50, 30]),
    "resized and back, side": (smaller, [64, 56, 48, 40, 32]),
    "glasses left out, share": (fewer_glasses, [0, 0.25, 0.5, 0.75, 1]),
}
scores = {name: [score(apply(some, k)) for k in levels] for name, (apply, levels) in damage.items()}
assert all(values[-1] > 2 * score(some) for values in scores.values())  # each is noticed

# %%
figure = Figure(figsize=(11, 2.8), layout="constrained")
for axes, (name, (_, levels)) in zip(figure.subplots(1, 5, sharey=True), damage.items()):
    axes.plot(range(5), scores[name], "o-", color=plots.BLUE)
    axes.axhline(score(some), color="black", linestyle=":", label="floor")
    axes.set(xticks=range(5), xticklabels=levels, xlabel=name, yscale="log")
    axes.grid(alpha=0.3)
figure.axes[0].set_ylabel("FD(faces-net)")
figure.axes[0].legend()
plots.show(figure, alt="Five rising curves of the distance: over noise, blur, JPEG compression, resizing, and the share of glasses left out", width=1000)

# %%
worst = np.concatenate([apply(some[:8], levels[-1]) for apply, levels in list(damage.values())[:4]])
plots.show(
    plots.grid(np.concatenate([some[:8], worst]), columns=8),
    alt="Eight real faces; below them the same faces with strong noise, blur, JPEG compression and resizing",
)

# %% [markdown]
# (a), hardly ahead of (b): about 31 and 28; then (d) with 19, and (c) last with 10. Noise that you hardly see counts three times as much as *all glasses missing*: the network
# was trained on clean drawings, and speckles are something it never met. **The distance weighs differences as its
# network does, not as you do.** Even the resize decides: the same images, resized by two usual functions:

# %%
for name, antialias in (("with antialiasing", True), ("without", False)):
    print(f"to 32 pixels and back, {name}: {score(smaller(some, 32, antialias)):.0f}")
print(f"untouched: {score(some):.1f}")

# %% [markdown]
# ## 6. The number of images
# Both sets below come from the *same* distribution: real faces, split at random. The honest answer is 0.
#
# **Predict:** we score 50 faces against 50 others; then 200 against 200, and so on up to 4,500. Does the score
# (a) stay around 0, (b) wobble around a constant, (c) fall?

# %% tags=["nbval-ignore-output"]
everything = network(train.images, progress=True)  # (9000, 192); about ten seconds


# %%
def halves(n, seed):
    """Two sets of n features, without a common image."""
    rows = torch.randperm(9000, generator=torch.Generator().manual_seed(seed))[: 2 * n]
    return everything[rows[:n]], everything[rows[n:]]


sizes = [50, 100, 200, 500, 1000, 2000, 4500]
fell = {n: [frechet_distance(*halves(n, seed)) for seed in range(5)] for n in sizes}
for n, values in fell.items():
    print(f"N = {n:>4}: {np.mean(values):7.2f} ± {np.std(values, ddof=1):.2f}")

# %% [markdown]
# Slide N and watch two samples of *one* distribution in the two directions in which faces vary most, with the ellipse that
# the distance sees. **Task:** at which N would you start to believe a difference of 1? Write it down.

# %% tags=["nbval-ignore-output"]
from gan_helpers.course.widgets import flipbook

_, _, axes_of_faces = torch.pca_lowrank(everything, 2)


def page(n):
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    for part, colour, marker in zip(halves(n, 0), (plots.BLUE, plots.ORANGE), "ox"):
        points = (part - everything.mean(0)) @ axes_of_faces  # (n, 2)
        axes.plot(*points.T.numpy(), marker, color=colour, markersize=3, alpha=0.5)
        values, vectors = torch.linalg.eigh(points.T.cov())
        circle = torch.linspace(0, 6.2832, 100)
        ellipse = 2 * torch.stack([circle.cos(), circle.sin()], 1) * values.sqrt() @ vectors.T + points.mean(0)
        axes.plot(*ellipse.T.numpy(), color=colour)
    axes.set(title=f"N = {n} against {n} of the same faces: FD {fell[n][0]:.1f}", xlim=(-12, 12), ylim=(-12, 12))
    return figure


flipbook([page(n) for n in sizes], [f"{n}" for n in sizes], "N")

# %% [markdown]
# The same as a picture, with a second score that we meet in a moment:

# %%
from gan_helpers.metrics import Pairs, kid

unbiased = {n: [kid(Pairs(*halves(n, seed))).value for seed in range(5)] for n in sizes[:6]}
figure = Figure(figsize=(8, 2.8), layout="constrained")
for axes, found, name in zip(figure.subplots(1, 2), (fell, unbiased), ("FD(faces-net)", "KD(faces-net)")):
    mean, spread = (np.array([f(v) for v in found.values()]) for f in (np.mean, np.std))
    axes.plot(list(found), mean, "o-", color=plots.BLUE, label="mean of 5")
    axes.fill_between(list(found), mean - spread, mean + spread, color=plots.BLUE, alpha=0.2, label="± spread")
    axes.axhline(0, color="black", linewidth=1)
    axes.set(xscale="log", xlabel="N", title=f"{name} of identical distributions")
    axes.legend()
plots.show(figure, alt="Left: the Fréchet distance of two halves of one set falls towards 0 as N grows. Right: the kernel distance is around 0 at every N, with a band that narrows")

# %% [markdown]
# (c): it falls. A covariance from few images is always stretched in some directions by chance, differently in each sample, and
# the distance takes chance for difference. The **bias** shrinks roughly as 1/N once N is well above the number of features,
# and depends on the generator, so no table can tell it. In 64 dimensions, with plain random numbers:

# %%
def plain(n, seed):
    return torch.randn(n, 64, generator=torch.Generator().manual_seed(seed)).double()


for n in (100, 1000, 4000):
    values = [frechet_distance(plain(n, 2 * k), plain(n, 2 * k + 1)) for k in range(5)]
    print(f"N = {n:>4}: {np.mean(values):.3g}")
    assert abs(np.mean(values) / {100: 21.6, 1000: 2.2, 4000: 0.54}[n] - 1) < 0.1

# %% [markdown]
# ### Take the bias away
# No table tells the bias, but the images themselves do. Leave out a tenth of them, and the distance grows. Nine times that
# growth is about what the whole set has too much. This is the **jackknife**, and it also says how much the result scatters. To
# check it, we need a distance that is known: that of two Gaussians in 64 dimensions.
#
# **Predict.** With 256 images on each side, where do twenty plain distances lie, (a) around the truth, (b) below it, (c) above?

# %%
from gan_helpers.metrics import frechet_infinite

here_spread, there_spread = torch.linspace(0.2, 2, 64).double(), torch.linspace(1.6, 0.16, 64).double()
truth = (here_spread - there_spread).square().sum().item() + 64 * 0.3**2
pairs = [(plain(256, 2 * k) * here_spread, plain(256, 2 * k + 1) * there_spread + 0.3) for k in range(20)]
uncorrected = [frechet_distance(a, b) for a, b in pairs]
corrected = [frechet_infinite(a, b) for a, b in pairs]
held = [abs(c.value - truth) < 1.96 * c.error for c in corrected]
print(f"truth {truth:.1f} | plain {np.mean(uncorrected):.1f} | corrected {np.mean([c.value for c in corrected]):.1f}")
print(f"{sum(held)} of 20 intervals hold the truth")
assert sum(held) >= 17

# %%
figure = Figure(figsize=(8, 2.6), layout="constrained")
axes = figure.subplots()
axes.plot(uncorrected, "x", color=plots.ORANGE, label="plain")
bars = [1.96 * c.error for c in corrected]
axes.errorbar(range(20), [c.value for c in corrected], bars, fmt="o", color=plots.BLUE, label="corrected, with 95 % interval")
axes.axhline(truth, color="black", linestyle=":", label="truth")
axes.set(xlabel="pair of samples", ylabel="Fréchet distance", xticks=[])
axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.25))
plots.show(figure, alt="Twenty plain distances lie above the dotted line of the truth; twenty corrected ones lie around it, and nearly all of their intervals reach it")

# %% [markdown]
# (c), by about six. The corrected ones lie around the truth, and of a hundred such intervals 95 held it. The price: there
# must be at least four times as many images as features, or else more counts than the part that falls as 1/N.
#
# A generator's images cost nothing, real ones do. So `evaluate --metrics infinite` corrects for the fakes alone, against the real
# images that there are, and calls the result *FD of infinite fakes*.

# %% [markdown]
# ## 7. KID: right on average, at any N
# The **kernel distance**, **KID** with Inception's features, compares all pairs: how alike are two fakes, two reals, a fake and a
# real, in a kernel $k(x, y) = (x\cdot y / D + 1)^3$? Leaving out each image's pair with itself, its *expectation* is the
# true value for every N, so it may come out below zero. **Unbiased is not precise**: it scatters, and it says by how much.
#
# Forty faces a set, forty times, always from one distribution:

# %%
repeated = [kid(Pairs(*halves(40, seed))) for seed in range(40)]
values = np.array([r.value for r in repeated])
print(f"share below zero: {(values < 0).mean():.0%} | mean {values.mean():.3f} ± {values.std() / 40**0.5:.3f}")
distances = np.array([frechet_distance(*halves(40, seed)) for seed in range(40)])
print(f"share of Fréchet distances below zero: {(distances < 0).mean():.0%} | mean {distances.mean():.0f}")
assert abs(values.mean()) < 3 * values.std() / 40**0.5

# %% [markdown]
# Use KID when images are few, FID when the literature forces you to, and always both numbers' N.
#
# ## 8. One number hides two failures
# A generator can draw *badly*, or draw *only some* of what there is. **Precision** asks: what share of fakes lies among the
# reals? **Recall**: what share of reals lies among the fakes? ("Among": nearer to some
# image of the other set than that image's own third-nearest neighbour.)
#
# Set A below has all kinds of faces, but every second one is ruined by noise. Set B is flawless, but has only one of the two
# drawing styles. **Predict** which of the two has the higher precision, and which the higher recall.

# %%
from gan_helpers.metrics import precision_recall

style = train.attributes["style"]
half_ruined = np.where(np.arange(1000)[:, None, None, None] % 2, noise(some, 32), some).astype(np.uint8)
sets = {"A, half ruined": half_ruined, "B, one style": train.images[style == style[0]][:1000], "untouched": some}
for name, images in sets.items():
    f = network(images)
    found = precision_recall(Pairs(f, reference))
    print(f"{name:<15} FD {frechet_distance(f, reference):6.1f}   precision {found['precision']:.2f}   recall {found['recall']:.2f}")

# %% [markdown]
# The distance only says 'far'. Precision and recall say *how*: bad, or too few kinds. (They, too, see through the network's
# eyes. Blur all the faces by a pixel: precision stays at .95, and recall falls to .03, because blurred faces look so alike
# to it. Try it.)
#
# ## 9. The perfect cheat
# **Predict** the scores of a generator that hands out *training images*: distance, precision, recall. Then think what you
# would have to measure to catch it.

# %%
def toy(n, seed):
    return torch.randn(n, 16, generator=torch.Generator().manual_seed(seed)).double()


training_set = toy(1000, 0)
for name, fakes in (("copies", training_set.clone()), ("fresh samples", toy(1000, 1))):
    found = precision_recall(Pairs(fakes, training_set))
    distance = frechet_distance(fakes, training_set)
    print(f"{name:<14} distance {distance:.2f}, precision {found['precision']:.2f}, recall {found['recall']:.2f}")

# %% [markdown]
# The thief has full marks; an honest sampler *of the very same distribution* does not. Distance, precision and recall cannot
# see copies. One thing can: **images that nobody trained on**. A copy is nearer to its training image than to any of those. The
# helper asks which real image is the nearest of all. Of 10,000 images 9,000 are training images, so chance alone gives 90 % (with 500
# held out 9,000 of 9,500, 94.7 %). What counts is the share *above* chance.

# %%
from gan_helpers.metrics import copying

print("thief: ", copying(everything[:300], everything, reference))
half = network(held_out.images[:500]), network(held_out.images[500:])
print("honest:", copying(half[0], everything, half[1]))

# %% [markdown]
# Now the shipped generator. Look, too: each fake above its nearest training image and its nearest held-out image.

# %%
from gan_helpers import generators, latent
from gan_helpers.metrics import nearest

generator = generators.load_generator("dcgan-faces")
fakes = plots.to_uint8(latent.generate(generator, latent.draw_z(500, generator.latent_dim, seed=0))).numpy()
seen = network(fakes)
print("dcgan-faces:", copying(seen, everything, reference))
in_train, in_held_out = nearest(seen[:12], everything)[1], nearest(seen[:12], reference)[1]
rows = np.concatenate([fakes[:12], train.images[in_train], held_out.images[in_held_out]])
plots.show(
    plots.grid(rows, columns=12),
    alt="Twelve generated faces; below each the most similar training image, then the most similar image that was never trained on: alike, and none the same",
)

# %% [markdown]
# ## 10. A score carries its protocol
# The helper keeps with each number what it depends on: how many images, against which, through which network, resized how;
# how much it moves between fresh samples; and the floor. (How much it would move if you *trained again* is another spread,
# usually the larger one, and takes several trainings.)

# %% tags=["nbval-ignore-output"]
from gan_helpers.evaluation import evaluate, table

scores = evaluate("dcgan-faces", "faces", network="faces-net", draws=here.pick(cpu=3, gpu=3, test=2))
print(table(scores))

# %% [markdown]
# Read the table as a doctor would. Nine faces of ten lie among real ones (precision .91, as the floor's), and few real faces
# lie among *these* (recall .15, the floor's .93). Two causes look alike here: few kinds, or one flaw that all fakes share (section
# 8: the blur). Look at section 9's picture: many kinds, and a little grain in every one. The numbers say *that* reals are missed;
# which it is, only looking tells. *copying* is the share above chance, stretched so that an honest generator has 0 and a thief 1;
# its error from *which* images were held out is .11, so .08 is nothing.

# %% [markdown]
# On the command line: `python -m gan_helpers evaluate dcgan-faces --data faces`; it takes your own checkpoint, a folder of
# images or an array just as well.
#
# Scores that were not measured alike refuse to be compared:

# %% tags=["raises-exception", "nbval-ignore-output"]
few = evaluate("dcgan-faces", "faces", n=400, metrics=("frechet",), network="faces-net", draws=1)["frechet"]
try:
    print(few < scores["frechet"])
except Exception as error:
    print(error)

# %% [markdown]
# ### 89.68 and 3.15
# One of the projects behind this course reports FID **89.68** for its DCGAN and **107.25** for its SAGAN, on CIFAR-10. The
# field's number for *real* CIFAR-10 images is **3.15**. How bad are 89.68 then? Nobody can know:
#
# | | that project | the field |
# |---|---|---|
# | images | 1,000 against 1,000 | 50,000 against 50,000 (3.15: train against the 10,000 test images) |
# | network | Keras' Inception | the 2015 TensorFlow Inception |
# | resize | Keras' | TensorFlow 1's bilinear |
# | which model | the best of many scores of one run | the last, or the best; said or not |
#
# Let us play both roles with **the same 500 fakes**. Only the protocol changes from line to line.

# %%
other = features.load("cifar10-net")
print(f"500 fakes against 1,000 held-out images, faces-net : {frechet_distance(seen, reference):8.2f}")
print(f"against 9,000 training images                      : {frechet_distance(seen, everything):8.2f}")
print(f"only 150 of the fakes, against 150                 : {frechet_distance(seen[:150], reference[:150]):8.2f}")
print(f"shrunk without antialiasing first                  : {score(smaller(fakes, 32, False)):8.2f}")
print(f"through a network that was trained on photos       : {frechet_distance(other(fakes), other(held_out.images)):8.2f}")

# %% [markdown]
# Five lines, five numbers, one set of images. A score without its protocol is not a score. (And 'SAGAN is worse than DCGAN',
# from one run each, is no evidence about attention: notebook 07.)
#
# ### Opening the seal of notebook 04
# There, somebody ranked the course's CIFAR-10 generators by eye, without knowing which was which, and sealed the ranking.
# Was it you? Then compare the digest with the one you wrote down. (Where nothing is sealed, the authors' ranking stands
# in.) The same generators, measured alike: the last line says how.
#
# **Predict:** in how many of ten pairs of generators do your eye and the distance agree on the better one?

# %% tags=["nbval-ignore-output"]
from gan_helpers.course.authoring import board
from gan_helpers.course.ranking import unseal

judged = board.read()
ranked, whose = unseal()
by_eye = [name for name in ranked if name in judged]
found = {name: board.first_of(judged[name]["best"]) for name in by_eye}
by_distance = sorted(by_eye, key=lambda name: found[name]["kernel"].value)
print(f"By eye: {whose}.")
for name in by_distance:
    s = found[name]
    print(
        f"{name:<22} 1000 x {s['kernel'].name} {1000 * s['kernel'].value:5.0f} ± {1000 * s['kernel'].spread:.0f}   precision {s['precision'].value:.2f}"
        f"   recall {s['recall'].value:.2f}   by eye: number {by_eye.index(name) + 1}"
    )
print(*(str(found[name]["kernel"]).split(" | ", 2)[2] for name in by_distance[:1]))

# %% tags=["nbval-ignore-output"]
from itertools import combinations

place = np.array([by_distance.index(name) for name in by_eye], dtype=int)
pairs = np.array(list(combinations(range(len(by_eye)), 2)), dtype=int).reshape(-1, 2)


def agreeing(order):
    """In how many pairs the one that comes first by eye comes first in `order`, too."""
    return int((order[pairs[:, 0]] < order[pairs[:, 1]]).sum())


dice = np.random.default_rng(4)
luck = np.mean([agreeing(dice.permutation(len(place))) >= agreeing(place) for _ in range(5000)])
print(f"Eye and distance agree on {agreeing(place)} of {len(pairs)} pairs; a random order agrees as often in {luck:.0%} of cases.")

# %%
figure = Figure(figsize=(7, 0.6 + 0.45 * len(by_eye)), layout="constrained")
axes = figure.subplots()
for k, name in enumerate(by_eye):
    to = by_distance.index(name)
    colour, style = (plots.BLUE, "-") if abs(k - to) < 2 else (plots.ORANGE, "--")
    axes.plot([0, 1], [k, to], style, marker="o", color=colour)
    axes.text(-0.03, k, name, ha="right", va="center")
    axes.text(1.03, to, name, va="center")
axes.set(xlim=(-0.6, 1.6), ylim=(len(by_eye), -1), xticks=(0, 1), xticklabels=("by eye", "by distance"), yticks=[])
plots.show(figure, alt="The generators ranked by eye on the left and by distance on the right, the best on top, joined by lines; where lines cross, the two disagree")

# %% [markdown]
# Where lines cross, eye and distance disagree (dashed: by two places or more). Before you call one of them wrong, think
# of what each has seen. You saw sixteen images of each: you notice chessboards and broken shapes, and can
# hardly tell whether thousands more would look much like these. The distance saw five times 3,999 of each, through a network
# that was trained on photographs of a thousand kinds of things and never on these images, and it notices what that
# network notices. It compares each generator with real images in that generator's own size. And it saw *one* training
# run of each: a difference smaller than that between two runs of the *same* recipe ranks nothing.
#
# ### The leaderboard
# Here is every generator of the course, measured by one command (`python -m gan_helpers.course.authoring.gallery board`), in one table for each
# data set. Read a row from left to right:
#
# - **KD**, the kernel distance, through a network that never saw these images, and **FD**, the Fréchet distance, where enough
#   images are at hand: how far from real images?
# - **at the end**: KD of the last generator of a run whose best one was kept. **precision**: how much lies among the real images?
#   **recall**: how much of them is covered?
# - **own network**: the same distance through the course's small network, which was trained on the very images that the generators
#   learn from.
# - what it cost: parameters, images seen, work for each image, and minutes. The cards say on which machine.

# %% tags=["nbval-ignore-output"]
from IPython.display import Markdown, display

display(Markdown(board.leaderboard()[1]))

# %% [markdown]
# Their first twenty images of seed 0, in the order of the tables:
#
# ![A row of twenty generated images for each generator of the course, in the order of the table](../images/gallery.webp)
#
# ### The real FID
# With Inception's weights at hand (96 MB, downloaded by you), the same helper gives FID with the standard network and resize. At these
# N it is biased far above what papers print. With 50,000 images and a GPU the bias is small
# (`python -m gan_helpers evaluate runs/mine --data cifar10 --n 50000 --features inception`), but the reference here is the 10,000 test
# images, which no training saw. Most papers take the training images: still not one scale (exercise 3e).

# %% tags=["nbval-ignore-output"]
GET_INCEPTION = False  # True downloads 96 MB once, then takes about two minutes on two cores

if GET_INCEPTION:
    print(table(evaluate("dcgan-faces", "faces", n=500, metrics=("frechet", "kernel"), network="inception", draws=1)))
else:
    print("Not asked for: set GET_INCEPTION = True.")

# %% [markdown]
# ## 11. While it trains
# Losses don't rank images (notebook 02), but a distance on a fixed budget does: the same 500 latents every 50 steps. The
# best generator is kept beside the last one.
#
# This run is built to break: at one step a typo multiplies G's learning rate by twenty. **Predict** from the losses and D's
# opinions, which come first, when that was and whether the images recovered; only then look at the distance. The cell takes about
# 80 seconds.

# %% tags=["nbval-ignore-output"]
from gan_helpers import recipes, runs
from gan_helpers.callbacks import Callback
from gan_helpers.evaluation import Judge


class Typo(Callback):
    share = 0.3 + 0.4 * torch.rand(1, generator=torch.Generator().manual_seed(62)).item()  # of the run; thrown by dice

    def step(self, trainer):
        if trainer.step == int(self.share * trainer.recipe.steps):
            trainer.g_optimizer.param_groups[0]["lr"] *= 20


recipe = recipes.get("first-minute").but(
    g_width=32, d_width=32, batch_size=64, decay=0, steps=here.pick(cpu=900, gpu=900, test=20)
)
run = runs.new_folder("collapse")
judge = Judge("faces", network="faces-net", n=here.pick(cpu=500, gpu=500, test=50), image_size=recipe.image_size)
trainer = runs.train(recipe, train, run, judge=judge, callbacks=[Typo()], score_every=here.pick(cpu=50, gpu=50, test=10))

# %% tags=["nbval-ignore-output"]
plots.show(plots.curves(trainer.history), alt="Two panels over the training steps, losses and D's opinions: both jump in the middle of the run and drift back")

# %% tags=["nbval-ignore-output"]
plots.show(run / "losses.png", alt="Three panels over the training steps: losses, D's opinions, and the distance, whose best point is marked before it rises again")

# %% [markdown]
# It happened a little after the middle: D's loss doubles, and its opinions of real and fake meet. Then G's loss comes back to where it
# was, and D's more than half of the way, as if the run were recovering. The distance
# does not come back, and neither do the images: below, the best generator and the last one draw the same twelve latents.

# %% tags=["nbval-ignore-output"]
z = latent.draw_z(12, recipe.latent_dim, seed=0)
best = generators.load_generator(run / "best.safetensors")
plots.show(
    plots.grid(torch.cat([latent.generate(best, z), latent.generate(trainer.ema, z)]), columns=12, scale=2),
    alt="Above twelve faces of the best-scored generator, below the same latents at the end of the run",
)

# %% [markdown]
# A warning: *the best of many scores* is an optimist. It was chosen because it looked good on these 500 latents. Score the
# chosen one again on fresh latents, and say how it was chosen.
#
# ## 12. Exercises
# Replace each `...` and run the cell; `hint("05.1")` gives a nudge, `solution("05.1")` shows one way. Blanks do no harm.
#
# **Exercise 1: the Fréchet distance.** From features `a` (N, D) and `b` (M, D), with the nuclear norm (the sum of singular
# values): centre each set and divide it by the root of its own number of rows less 1 to get A and B; $A^\top A$ and $B^\top B$ are the
# covariances. Return d², without a root.

# %%
from gan_helpers.course.exercises import check, hint, solution


def frechet(a, b):
    ...  # your code


check("05.1", frechet)

# %% [markdown]
# **Exercise 2: 'FID 0 means perfect'.** Given numbers `x` (N, 1), return as many other numbers with Fréchet distance zero
# from them (below 0.001) that any eye would tell apart from `x`.


# %%
def impostor(x):
    ...  # your code


check("05.2", impostor)

# %% [markdown]
# **Exercise 3: which may be compared?** For each pair of scores, FID unless another is named, say `"yes"` or `"no"`.
#
# - *a*: two generators, 10,000 images each, both against CIFAR-10's test images, by pytorch-fid.
# - *b*: one by torch-fidelity, one by pytorch-fid, otherwise alike.
# - *c*: the same generator with 5,000 and with 50,000 images.
# - *d*: KID of 2,000 and of 10,000 images, same reference and network.
# - *e*: one against the training images, one against the test images.

# %%
comparable = {"a": ..., "b": ..., "c": ..., "d": ..., "e": ...}
check("05.3", comparable)

# %% [markdown]
# ## Appendix: Inception Score, density and coverage
# The **Inception Score** never looks at real images: it asks a classifier whether each fake is clearly of one class, and
# whether all classes occur. At best it is the number of classes. Predict: ten clean images, one of each class, repeated 100
# times. What does it say?

# %%
from gan_helpers.metrics import inception_score

clothes, judge = data.load("fashion"), features.load("fashion-net")
one_each = np.stack([clothes.images[clothes.labels == k][0] for k in range(10)])
for name, images in (("1,000 real clothes", clothes.images[:1000]), ("ten images, repeated", np.tile(one_each, (100, 1, 1, 1)))):
    found = inception_score(judge.with_logits(images)[1][random.permutation(1000)])
    print(f"{name:<22} {found.value:.1f} ± {found.error:.1f} of 10")

# %% [markdown]
# Ten memorised images score as high as reality. Recall has a weakness: one stray fake far out has a huge ball and
# 'covers' many reals (a stray real does the same to precision). **Density** and **coverage** use balls around the reals only. Density: in how many
# of them a fake lies on average, divided by k (it may exceed 1). Coverage, not that of notebook 04: the share of reals with a fake in their own ball.

# %%
real = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
stray = torch.tensor([[0.5], [0.6], [0.7], [50.0]])
print({name: round(value, 2) for name, value in precision_recall(Pairs(stray, real, k=1)).items()})

# %% [markdown]
# Recall .83 for four points that cover the left corner only; coverage .33 tells the truth.
#
# ## Summary
# - FID is the Fréchet distance of two bells fitted to *features*: means, covariances, nothing else.
# - It falls with N, moves with the network, the resize, the reference; so the protocol belongs to the number.
# - KID is unbiased, and says how much it scatters. Precision and recall split bad from few.
# - No distance sees copies. Nearest neighbours in training *against held-out* images do.
#
# **Can you answer these without looking?**
# 1. FID went from 30 to 25 when somebody scored 50,000 images instead of 10,000. Is the generator better?
# 2. A KID of −0.001: is there a bug?
# 3. Name two sets with FID near 0 that anybody would tell apart. And which generator reaches the best FID with the least effort?
# 4. Precision .9, recall .2: what do the images look like?
# 5. Why are 89.68 and 3.15 not on one scale? Name three reasons.
#
# <details><summary>Answers</summary>
#
# 1. You cannot know: the bias fell. 2. No: an unbiased estimate of nearly zero must sometimes be negative. 3. Any two with
# the same mean and covariance of features: exercise 2; and one that hands out training images. 4. Good one by one, and
# either too alike (collapse) or all with the same flaw: look. 5. N, the network's weights, the
# resize, the reference, the choice of the best.
# </details>
#
# **Next:** [06 · Class by class](06_class_conditional.ipynb). **Papers:** Heusel et al. 2017 (FID), [arXiv:1706.08500](https://arxiv.org/abs/1706.08500); Bińkowski et al. 2018 (KID),
# [arXiv:1801.01401](https://arxiv.org/abs/1801.01401); Kynkäänniemi et al. 2019, [arXiv:1904.06991](https://arxiv.org/abs/1904.06991);
# Naeem et al. 2020, [arXiv:2002.09797](https://arxiv.org/abs/2002.09797); Salimans et al. 2016, [arXiv:1606.03498](https://arxiv.org/abs/1606.03498);
# Parmar et al. 2022 (resizing), [arXiv:2104.11222](https://arxiv.org/abs/2104.11222); Meehan et al. 2020 (copying),
# [arXiv:2004.05675](https://arxiv.org/abs/2004.05675).
