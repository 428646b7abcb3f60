# %% [markdown]
# # 06 · Asking for a class
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/notebooks/06_class_conditional.ipynb)
#
# **Aim.** Use labels in the four ways that people do, three of which let you ask for a class; compare them at equal
# parameters and equal images seen; find out why the one with the best class accuracy is not the best model; slide from one class to another.
#
# | | |
# |---|---|
# | You need | notebooks 01, 02 and 05 |
# | Time | 70 minutes, of which your computer trains for about two (two CPU cores) |
# | Data | `fashion` (embedded): four of its ten classes, at 16×16 |
# | Words introduced | conditional GAN, auxiliary classifier, class embedding, conditional BatchNorm, projection |

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
# 1. You ask generator A for shirts, and a good classifier agrees in 95 % of the cases; for generator B it agrees in 80 %.
#    Which is the better model of shirts?
# 2. Ten classes, a fixed budget: ten small GANs, each for one class, or one larger GAN that is told the class?
# 3. You keep z and change only the class. What stays the same in the image?

# %% [markdown]
# ## 1. Where can a class go?
# So far the generator drew whatever it liked. A **conditional GAN** draws what you ask for: it models $p(x \mid y)$, the
# images x *of a class* y. There are two players, so there are a few places where the label can enter:
#
# | way | G is told y | D | here as | shipped as |
# |---|---|---|---|---|
# | one GAN a class | (each G knows one class) | one a class, too | `labels="pairs"` | `class-cifar10` |
# | **auxiliary classifier**, real only | no | also names the class of real images | `labels="real"` | `aux-cifar10` |
# | auxiliary classifier, AC-GAN | yes | also names the class of real and generated images | `labels="acgan"` | `acgan-cifar10`, `small-cifar10` |
# | conditional D | yes | is told y: "is this a real *shirt*?" | `labels="conditional"` | `sagan-cifar10` |
#
# We use four classes of Fashion-MNIST, three of which are easily confused, at 16×16: small enough to train all four ways
# before your eyes.

# %%
from dataclasses import replace

import numpy as np

from gan_helpers import data, plots

NAMES = ("T-shirt/top", "Trouser", "Dress", "Shirt")


def four(split):
    """The images of four classes at 16x16, numbered 0 to 3."""
    fashion = data.load("fashion", 16, split=split)
    kept = [fashion.class_names.index(name) for name in NAMES]
    some = fashion.take(np.isin(fashion.labels, kept), fashion.name)
    return replace(some, labels=np.searchsorted(kept, some.labels), class_names=NAMES)


clothes, held_out = four("train"), four("held-out")
print(clothes, "|", len(held_out), "held out")
examples = np.concatenate([clothes.images[clothes.labels == k][:16] for k in range(4)])
plots.show(
    plots.grid(examples, columns=16, scale=3),
    alt="Real images, a class in each row: T-shirts, trousers, dresses, shirts; many a shirt could be a T-shirt or a dress",
)

# %% [markdown]
# ## 2. The misconception, on a line
# Begin where we can know everything. Two classes of numbers: class + is $N(+1, 1)$, class − is $N(-1, 1)$. They overlap: from
# the number alone, nobody can name the class with more than 84 % accuracy.
#
# The generator is as simple as can be: a mean and a spread for each class, four numbers in all. It could be *perfect*:
# means ±1, spreads 1. It plays against
#
# - a **conditional D**, which gets x and y, or
# - an **AC-GAN**: a D that gets x only, and a classifier C that learns to name the class of real *and* generated numbers. G
#   wants D to say 'real' and, λ times as much, C to name the class that was asked for.
#
# **Predict.** The AC-GAN's G has an additional term that rewards the right class. Will its two means lie (a) at ±1, (b) nearer to 0,
# (c) further out? And its spreads: 1, less, or more?
#
# Three settings, five seeds each: fifteen games. They are tiny, so we play them all at once, as one batch of nets.


# %%
import torch
import torch.nn.functional as F


def tiny_nets(games, rng, width=24):
    """Weights of `games` nets with two inputs, two hidden layers and one output."""
    shapes = ((2, width), (width, width), (width, 1))
    weights = [torch.randn(games, a, b, generator=rng) * (2 / a) ** 0.5 for a, b in shapes]
    return [p.requires_grad_() for w in weights for p in (w, torch.zeros(games, 1, w.shape[2]))]


def run(weights, x, y):
    """Logits (games, N) at numbers x and classes y, both (games, N)."""
    h = torch.stack([x, y], 2)  # (games, N, 2)
    for k in (0, 2, 4):
        h = torch.baddbmm(weights[k + 1], h, weights[k])
        h = F.leaky_relu(h, 0.2) if k < 4 else h
    return h[..., 0]


# %%
def play(told, weight, seeds=5, steps=1200, n=128):
    """Setting k: D is told y if told[k] is 1; G's class term counts weight[k] times. Means and spreads (settings, seeds, 2)."""
    told, weight = (torch.tensor(v).repeat_interleave(seeds)[:, None] for v in (told, weight))
    games, rng = len(told), torch.Generator().manual_seed(0)
    d, c = tiny_nets(games, rng), tiny_nets(games, rng)
    mean, log_sd = (torch.zeros(games, 2, requires_grad=True) for _ in range(2))
    d_opt, g_opt = (torch.optim.Adam(p, 4e-3, betas=(0.5, 0.99)) for p in (d + c, [mean, log_sd]))
    kind = torch.arange(n) % 2  # 0 1 0 1 …
    y = (2 * kind - 1.0).expand(games, n)  # -1 +1 -1 +1 …
    both, path = torch.cat([y, y], 1), []
    sign = torch.cat([torch.ones(n), -torch.ones(n)])  # the first half of x is real
    for _ in range(steps):
        real = y + torch.randn(games, n, generator=rng)
        fake = mean[:, kind] + log_sd[:, kind].exp() * torch.randn(games, n, generator=rng)
        x = torch.cat([real, fake.detach()], 1)
        loss = F.softplus(-sign * run(d, x, told * both)) + F.softplus(-both * run(c, x, 0 * both))  # D's and C's
        d_opt.zero_grad(), loss.mean(1).sum().backward(), d_opt.step()
        loss = F.softplus(-run(d, fake, told * y)) + weight * F.softplus(-y * run(c, fake, 0 * y))  # G's
        g_opt.zero_grad(), loss.mean(1).sum().backward(), g_opt.step()
        path.append(torch.cat([mean, log_sd.exp()], 1).detach())
    last = torch.stack(path[-400:]).mean(0).view(-1, seeds, 2, 2)  # averaged, for G circles
    return last[:, :, 0], last[:, :, 1]


SETTINGS = ("conditional D", "AC-GAN, λ = 1", "AC-GAN, λ = 3")
means, spreads = play(told=[1.0, 0.0, 0.0], weight=[0.0, 1.0, 3.0])

# %%
from torch.distributions import Normal

sizes = (means * torch.tensor([-1.0, 1.0])).mean(2)  # (settings, seeds): how far out the two means lie
wide = spreads.mean(2)
right = Normal(0.0, 1.0).cdf(sizes / wide)  # share of its numbers on the side of the class that was asked for
print(f"{'real numbers':<14}  means ±1.00          spread 1.00         named rightly 84%")
for k, name in enumerate(SETTINGS):
    size, width = f"±{sizes[k].mean():.1f}", f"{wide[k].mean():.1f}"
    print(f"{name:<14}  means {size:<13} spread {width:<12} named rightly {right[k].mean():.0%}")
assert (sizes[0] - 1).abs().max() < 0.1 and (sizes[1] > 1.25).all() and (sizes[2] > sizes[1]).all()

# %%
from matplotlib.figure import Figure

figure = Figure(figsize=(9, 2.6), layout="constrained")
x = torch.linspace(-4, 4, 200)
for axes, name, m, s in zip(figure.subplots(1, 3, sharey=True), SETTINGS, means, spreads):
    for k, colour, style in ((0, plots.ORANGE, "--"), (1, plots.BLUE, "-")):
        axes.fill_between(x, Normal(2.0 * k - 1, 1.0).log_prob(x).exp(), color=colour, alpha=0.2)
        for seed in range(5):
            axes.plot(x, Normal(m[seed, k], s[seed, k]).log_prob(x).exp(), style, color=colour, linewidth=1)
    axes.set(title=name, yticks=[])
plots.show(
    figure,
    alt="Three panels, each with two filled bells of real numbers and five generated curves a class. Conditional D: the curves lie on the bells. AC-GAN: they stand further apart and are narrower, more so with the larger weight",
)

# %% [markdown]
# Answer (c), and narrower, with every seed. The classifier's reward has no ceiling at the truth: a number at +2.5 is named
# rightly more often than one at +0.5, so G draws fewer of the latter, although the class is full of them. What overlaps with another
# class is **left out**. So the worst model has the best class accuracy, and it beats even the *real* numbers.
#
# *High class accuracy means a good conditional model* is wrong. Real data are the target of that number, not its floor.

# %% [markdown]
# ## 3. How a net is told
# **The generator.** Each class gets a few learned numbers, its **class embedding**. In our G they are the scale and the shift of
# every BatchNorm: first normalise, then use *the class's own* scale and shift. That is a **conditional BatchNorm**.

# %%
from torch import nn


class ConditionalBatchNorm(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)  # no scale and shift of its own
        self.scale, self.shift = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight), nn.init.zeros_(self.shift.weight)

    def forward(self, x, y):  # (N, C, H, W), (N,)
        return self.norm(x) * self.scale(y)[:, :, None, None] + self.shift(y)[:, :, None, None]


layer, x, y = ConditionalBatchNorm(8, 4), torch.randn(6, 8, 5, 5), torch.tensor([0, 1, 2, 3, 0, 1])
print("a new layer is a plain BatchNorm:", torch.allclose(layer(x, y), nn.BatchNorm2d(8)(x), atol=1e-6))
layer.shift.weight.data[3] += 1
print("now only class 3 moves:", (layer(x, y) - layer.norm(x)).flatten(1).mean(1).round(decimals=3).tolist())

# %% [markdown]
# **The discriminator.** What is the best logit of a D that is told y? As in notebook 01, a log density ratio, now of one class:
#
# $$a^*(x, y) = \log\frac{p(x \mid y)}{q(x \mid y)} = \underbrace{\log\frac{p(y \mid x)}{q(y \mid x)}}_{\text{does it fit the class?}}
# + \underbrace{\log\frac{p(x)}{q(x)}}_{\text{is it real at all?}}$$
#
# (with every class equally frequent in p and q). If a softmax layer can name the class from features h(x), the first part is linear in
# h: some vector $v_y$ for each class, and a rest that knows no class. So this suffices, the **projection** discriminator:
#
# $$a(x, y) = \text{head}(h(x)) + \langle v_y, h(x) \rangle$$
#
# On the line of section 2 we can check it: with p = N(±1, 1) and q = N(±m, 1), is the best logit such a sum?

# %%
m, x = 1.4, torch.linspace(-3, 3, 7, dtype=torch.float64)
for sign in (-1.0, 1.0):
    best = Normal(sign, 1.0).log_prob(x) - Normal(sign * m, 1.0).log_prob(x)
    projected = sign * (1 - m) * x + (m * m - 1) / 2  # ⟨v_y, h⟩ with h = x and v_y = sign · (1 - m), and a head without y
    assert torch.allclose(best, projected)
print("The best logit is a projection, exactly.")

# %% [markdown]
# ## 4. Four ways, equal terms
# Now images. The same nets (family `best`: a small DCGAN with conditional BatchNorm), the same loss, the same number of
# images; only the labels go elsewhere. One GAN a class means four pairs; to be fair they are narrower, so that *all four
# together* have about as many parameters as the one pair of the others. And each of them sees only its own class: a
# quarter of the images.

# %%
from gan_helpers import recipes
from gan_helpers.models import build_discriminator, build_generator, count_parameters

base = recipes.get("small-cifar10").but(
    name="four-clothes", data="fashion", num_classes=4, image_size=16, channels=1, flip=False, augment="", latent_dim=64,
    real_target=1, batch_size=64, g_width=16, d_width=16, g_lr=1e-3, d_lr=1e-3, ema=0.99,
    steps=here.pick(cpu=1000, gpu=1000, test=4),
)  # fmt: skip
ways = {
    "a pair a class": base.but(labels="pairs", g_width=6, d_width=6),
    "class head, real only": base.but(labels="real"),
    "class head, AC-GAN": base.but(labels="acgan"),
    "conditional": base.but(labels="conditional"),
}
for name, recipe in ways.items():
    g, d = (count_parameters(build(recipe)) for build in (build_generator, build_discriminator))
    print(f"{name:<22} G {g:>7,} + D {d:>7,} = {g + d:>7,} parameters")

# %% [markdown]
# **Predict.** Which way gives the best images after the same 64,000 images? Which the most varied? The cell trains all four,
# about half a minute each on two idle cores.

# %% tags=["nbval-ignore-output"]
from gan_helpers.callbacks import Progress
from gan_helpers.training import Trainer

nets = {}
for name, recipe in ways.items():
    print(f"{name}:")
    trainer = Trainer(recipe, clothes.images, here.device, labels=clothes.labels, class_names=NAMES)
    nets[name] = trainer.fit([Progress()]).ema.eval()

# %%
from gan_helpers import latent


def rows(generator, n=8):
    """n images of each class, the same z down each column: (4n, 1, 16, 16)."""
    z = latent.draw_z(n, generator.latent_dim).repeat(4, 1)
    return latent.generate(generator, z, torch.arange(4).repeat_interleave(n)).cpu()


sheets = [rows(net).view(4, 8, 1, 16, 16) for net in nets.values()]
gap = torch.ones(4, 1, 1, 16, 16)
side_by_side = torch.cat([sheets[0], gap, sheets[2], gap, sheets[3]], 1)  # (4, 26, 1, 16, 16)
plots.show(
    plots.grid(side_by_side.flatten(0, 1), columns=26, scale=2),
    alt="Three blocks of generated clothes, a class in each row: a pair a class, AC-GAN, conditional. Down a column z is the same",
)

# %% [markdown]
# From left: a pair a class, AC-GAN, conditional. The fourth way, with a class head on real images only, is missing, and has to be: its generator **is never
# told a class**. One of the projects behind this course is built so: its README counts a 'classification layer' in D, and its G is
# told nothing. Such a D learns to name classes, which may help D to see; but you cannot *ask* G for one. It draws what it likes:

# %%
anything = latent.generate(nets["class head, real only"], latent.draw_z(26, 64)).cpu()
plots.show(
    plots.grid(anything, columns=26, scale=2),
    alt="A row of generated clothes of all four classes in no order, from the generator that is told no class",
)

# %% [markdown]
# ## 5. What to measure
# Three numbers a class, through the eyes of `fashion-net` (notebook 05), and the same numbers for *real images*:
#
# - **right**: how often the network names the class that was asked for, of the four;
# - **distance**: the kernel distance between generated and held-out images of that class (unbiased, for images are few);
# - **variety**: the variance of the features inside a class, as a share of that of real images. 1 is as varied as reality.

# %% tags=["nbval-ignore-output"]
from gan_helpers import features
from gan_helpers.metrics import Pairs, kid

network = features.load("fashion-net")
KINDS = [0, 1, 3, 6]  # fashion-net's numbers of our four classes
reference, truth = network(held_out.images), torch.from_numpy(held_out.labels)
own = [network(clothes.images[:400][clothes.labels[:400] == k]) for k in range(4)]  # the real images that are scored below


def by_class(images, y):
    """right, distance and variety of each class (3, 4), of uint8 images asked for as y."""
    seen, logits = network.with_logits(images)
    said, found = logits[:, KINDS].argmax(1), []
    for k in range(4):
        fake, real = seen[y == k], reference[truth == k]
        variety = fake.var(0).sum() / own[k].var(0).sum()
        found.append([(said[y == k] == k).float().mean(), kid(Pairs(fake, real)).value, variety])
    return np.array(found).T


real_scores = by_class(clothes.images[:400], torch.from_numpy(clothes.labels[:400]))
print("real images: right {:.2f}, distance {:.3f}, variety {:.1f}".format(*real_scores.mean(1)))

# %% tags=["nbval-ignore-output"]
y = torch.arange(400) % 4
z = latent.draw_z(400, 64)
live = {name: by_class(plots.to_uint8(latent.generate(net, z, y)), y) for name, net in nets.items() if net.num_classes}
print(f"{'mean over the classes':<24}{'right':>8}{'distance':>10}{'variety':>9}")
for name, found in live.items():
    print("{:<24}{:>8.2f}{:>10.2f}{:>9.2f}".format(name, *found.mean(1)))

# %% [markdown]
# One run says little: it may even put AC-GAN ahead in variety. The command `python benchmarks/ablation.py classes` trains the same four ways for 800
# steps (51,200 images), three seeds each, and keeps what it measured:

# %%
import json
from pathlib import Path

kept = json.loads(Path("../benchmarks/results/classes.json").read_text())
real = "real images"
table = {name: [run["average"] for run in kept[name].values()] for name in (real, *ways)}
del table["class head, real only"]  # is asked for no class
reality = table[real][0]["variety"]
print(f"{'51,200 images seen':<20}{'seeds':>6}{'right':>16}{'distance':>16}{'variety':>16}")
for name, runs in table.items():
    cells = [[run["right"] for run in runs], [run["kernel"] for run in runs], [run["variety"] / reality for run in runs]]
    spread = [f"{np.mean(v):.3f} ± {np.std(v, ddof=1):.3f}" if len(v) > 1 else f"{v[0]:.3f}" for v in cells]
    print(f"{name:<20}{len(runs):>6}" + "".join(f"{cell:>16}" for cell in spread))

# %%
figure = Figure(figsize=(6, 3.6), layout="constrained")
axes = figure.subplots()
looks = zip(table.items(), ("black", plots.GREEN, plots.ORANGE, plots.BLUE), "*sDo")
for (name, runs), colour, marker in looks:
    axes.plot([run["right"] for run in runs], [run["variety"] / reality for run in runs], marker, color=colour, label=name, markersize=9)
axes.axvline(table["real images"][0]["right"], color="black", linestyle=":", linewidth=1)
axes.axhline(1, color="black", linestyle=":", linewidth=1)
axes.set(xlabel="right: named as the class that was asked for", ylabel="variety inside a class")
axes.grid(alpha=0.3)
axes.legend()
plots.show(figure, alt="Class accuracy across, variety upwards; a star for real images and a mark for each run of the three ways")

# %% [markdown]
# Read every column against its top row. AC-GAN and conditional net are named rightly equally often; the seeds of each differ by more. But the AC-GAN
# lies about three times as far from the real images of a class, and has a tenth less variety, with every seed. That is one half of section 2 in
# images: narrower, and off the real ones. The other half, an accuracy *above* that of real images, has not come in so short a training. Class
# accuracy, averaged over the seeds, could not have told the two apart. A pair a class, at the same total of parameters and images, is far behind; its variety
# scatters from .60 to 1.14 and means nothing, for images that are no clothes vary, too. (With as many parameters and images for *each* pair it would be notebook 02 four times: that costs four times as much.)
#
# ## 6. Slide from class to class
# A conditional G knows four classes by four embeddings. Nothing forbids a fifth point: half of one and half of another. Keep z,
# and slide the embeddings (all scales and shifts at once) from *T-shirt/top* to *Dress*.
#
# **Predict.** Half way, do you see (a) two garments laid over each other, (b) a garment between the two, a long shirt, (c) a sudden
# switch from one to the other?
#
# **Task.** Move the slider (or click it and use the arrow keys). At which percentage does `fashion-net` change its mind about most
# of the eight? Write it down.

# %% tags=["nbval-ignore-output"]
from gan_helpers.course.widgets import flipbook

a, b = NAMES.index("T-shirt/top"), NAMES.index("Dress")
net, z, mixes = nets["conditional"].cpu(), latent.draw_z(8, 64, seed=1), np.linspace(0, 1, 11)
slides = [latent.generate_class(net, z, a, b, mix) for mix in mixes]  # 11 x (8, 1, 16, 16)
opinions = [network.with_logits(plots.to_uint8(images))[1][:, KINDS].softmax(1) for images in slides]
captions = [
    f"{mix:.0%} of the way: of eight images, {int((p.argmax(1) == a).sum())} are T-shirts and {int((p.argmax(1) == b).sum())} dresses"
    for mix, p in zip(mixes, opinions)
]
flipbook([plots.grid(images, columns=8, scale=5) for images in slides], captions, "to dress")

# %% [markdown]
# The same as a picture: four of the eight z. Each upper row is the slide, the row below it a cross-fade of the slide's two ends. And
# what the network says on average.

# %%
walk = torch.stack(slides, 1)[:4]  # (4, 11, 1, 16, 16)
t = torch.linspace(0, 1, 11).view(1, 11, 1, 1, 1)
crossfade = (1 - t) * walk[:, :1] + t * walk[:, -1:]
plots.show(
    plots.grid(torch.stack([walk, crossfade], 1).flatten(0, 2), columns=11, scale=4),
    alt="Four pairs of rows of eleven images, from a T-shirt on the left to a dress on the right: above the slide, below the cross-fade",
)
figure = Figure(figsize=(5.4, 2.2), layout="constrained")
axes = figure.subplots()
for k, (name, colour, style) in enumerate(zip(NAMES, (plots.BLUE, plots.GREEN, plots.ORANGE, plots.PINK), ("-", ":", "--", "-."))):
    axes.plot(100 * mixes, [p[:, k].mean() for p in opinions], style, color=colour, label=name)
axes.set(xlabel="% of the way from T-shirt/top to Dress", ylabel="fashion-net's opinion", ylim=(0, 1))
axes.legend(fontsize=7)
plots.show(figure, alt="The network's probabilities along the slide: T-shirt falls, Dress rises")

# %% [markdown]
# (b). Look at the second pair: in the slide the sleeves shrink and the body narrows; in the cross-fade below it the sleeves stay where they are and turn
# grey. (Where the two ends are much alike, slide and cross-fade hardly differ.) G knows garments only, so it draws one at every stop. The network changes its mind near the middle. With one GAN a class there is nothing to slide: between two nets lies no third.
#
# What does z mean, then? It decides all that the class does not. **Predict:** take the same 200 z, draw them as each of the four
# classes, and correlate the brightness of any two. For a pair a class, and for the conditional net: near 0, or near 1?

# %% tags=["nbval-ignore-output"]
z = latent.draw_z(200, 64, seed=2)
for name in ("a pair a class", "conditional"):
    light = [latent.generate(nets[name], z, torch.full((200,), k)).mean((1, 2, 3)).cpu() for k in range(4)]
    between = torch.corrcoef(torch.stack(light))[~torch.eye(4, dtype=torch.bool)]
    print(f"{name:<15} correlation of the brightness of two classes: {between.mean():+.2f}")

# %% [markdown]
# Near 0 for the pairs: the z of one net means nothing to another. Near 1 for the conditional net: what is common to all classes (here we
# measured how light) it keeps in z, and learned it once, from all images. That is what sharing buys, and why the pairs fall behind: each of them
# had to learn from a quarter of the images what *clothes* are.
#
# ## 7. A trap and two slips in a published system
# The auxiliary-classifier project behind this course ends its generator in a sigmoid, so its images lie in [0, 1]. Its data lie in [0, 1] as well, and all
# is well. Scale the data to [−1, 1], as nearly everybody does, and keep the sigmoid: now even a *perfect* G, one that draws real images, is
# caught. Before and after:

# %%
real, perfect = (torch.from_numpy(images[:256]).float() / 127.5 - 1 for images in (clothes.images, held_out.images))  # [-1, 1]
for name, fake in (("data in [-1, 1], G in [0, 1]", perfect / 2 + 0.5), ("both in [-1, 1]", perfect)):
    told = ((real.amin((1, 2, 3)) < 0).float().mean() + (fake.amin((1, 2, 3)) >= 0).float().mean()) / 2
    print(f"{name:<29} right by the rule 'something negative is real': {told:.0%}")

# %% [markdown]
# D needs no eyes for that: one pixel decides, and G cannot help it. So the helpers keep [−1, 1] everywhere, and convert *inside* that net.
#
# The second slip: it trains with z from a narrow bell (spread 0.5) and draws its final samples from a wide one (spread 1).
# **Predict:** twice the spread of z, other than in training. More variety for nothing, or worse images?

# %% tags=["nbval-ignore-output"]
z, y = latent.draw_z(400, 64), torch.arange(400) % 4
print(f"{'spread of z':<14}{'right':>8}{'distance':>10}{'variety':>9}")
for spread in (0.5, 1.0, 2.0):
    found = by_class(plots.to_uint8(latent.generate(nets["conditional"], spread * z, y)), y).mean(1)
    print("{:<14}{:>8.2f}{:>10.2f}{:>9.2f}".format(f"{spread:g}" + (", as trained" if spread == 1 else ""), *found))

# %% [markdown]
# Variety can be had, but not for nothing: the wide z gives more variety *and* a larger distance from real images, for G never learned what to make of
# such z. The narrow one is worse, too. Draw from the prior that you trained with. (In that project both factors belong to a learned prior,
# z = μ + σ·ε; the recipe `aux-cifar10` can learn it, too: `net={"learned_latent": True}`, and it samples as it trains.)
#
# The third thing is easy to overlook: its D has BatchNorm after *every* convolution, down to the last map, which is one pixel. Real images
# and fakes pass D in batches of their own. **Predict:** D learns alone, real clothes against plain noise, the easiest task
# there is. How far apart are its mean answers to the two after 60 steps, with that last BatchNorm and without?

# %% tags=["nbval-ignore-output"]
from gan_helpers.models.auxiliary import Discriminator

images32 = torch.from_numpy(clothes.resized(32, 1).images[: 60 * 32].copy()).float() / 127.5 - 1
for name in ("as published", "repaired"):
    torch.manual_seed(0)
    d = Discriminator(channels=1, width=8)
    if name == "as published":
        d.layers.insert(len(d.layers) - 1, torch.nn.BatchNorm2d(32))  # before the last LeakyReLU
    opt = torch.optim.Adam(d.parameters(), 2e-4, betas=(0.5, 0.999))
    for batch in images32.split(32):
        real_logits, fake_logits = d(batch), d(torch.rand(32, 1, 32, 32) * 2 - 1)
        loss = torch.nn.functional.softplus(-real_logits).mean() + torch.nn.functional.softplus(fake_logits).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    apart = (real_logits.sigmoid().mean() - fake_logits.sigmoid().mean()).item()
    print(f"{name:<13} D(real) - D(noise) = {apart:.2f}")

# %% [markdown]
# BatchNorm gives every channel the same mean in both batches, and on one pixel little else is left for a linear head to go by.
# So D hardly noticed noise, and G was never told to make anything else: in our own run as published, of 4,500 steps, it drew nothing but noise.
# One BatchNorm less, and it draws. (On a map of 4×4 pixels, such as the last one of DCGAN's D, a head can still compare positions.)
#
# ## 8. Trained for longer, on photos
# The course ships the published systems of this kind, each trained for its time on CIFAR-10 by its own recipe, and our own. They
# differ in more than the labels (nets, loss, images seen), so this is a gallery, not a comparison; the cards and the
# leaderboard of notebook 05 say what each had.

# %% tags=["nbval-ignore-output"]
from PIL import Image, ImageDraw

from gan_helpers import generators

GALLERY = {
    "class-cifar10": "a pair a class", "acgan-cifar10": "class head, AC-GAN", "sagan-cifar10": "conditional",
    "small-cifar10": "class head, AC-GAN", "best-cifar10": "conditional",
}  # fmt: skip
for name, instead in GALLERY.items():
    if name in generators.shipped():
        net, title = generators.load_generator(name), name
    else:
        net, title = nets[instead], f"{name} is not in this copy of the course; here is '{instead}' of section 4"
    z = latent.draw_z(6, net.latent_dim).repeat(net.num_classes, 1)
    images = latent.generate(net, z, torch.arange(net.num_classes).repeat_interleave(6)).cpu()
    rows = images.unflatten(0, (net.num_classes, 6))  # (classes, 6, C, S, S)
    by_class, by_z = ((rows - rows.roll(1, dim)).abs().mean() for dim in (0, 1))
    sheet = plots.grid(images, columns=6, scale=max(1, 64 // images.shape[-1]))
    page = Image.new("RGB", (80 + sheet.width, 42 + sheet.height), "white")
    page.paste(sheet, (80, 42))
    draw = ImageDraw.Draw(page)
    draw.text((2, 2), f"{title}\na pixel moves by {by_class:.4f} with the class, by {by_z:.4f} with z", "black", font_size=14)
    for k, row in enumerate(generators.class_names(net)):
        draw.text((2, 42 + (k + 0.4) * sheet.height / net.num_classes), row, "black", font_size=13)
    plots.show(page, alt="Generated images, a class in each row; down a column z is the same")

# %% [markdown]
# Compare the two numbers of each net (a pixel has a range of 2). `sagan-cifar10` has a way in for the class, and hardly uses it: another class moves a pixel a hundred
# times less than another z does. In G the class is one map of 129, once, at the bottom; in D it is laid beside the features of the image, once, before
# a head of two layers, which must find out by itself that the two belong together. They did not. We gave the D of a shorter run 200 real photos, each
# with every class. Another photo moves its logit by 8, another class by .04, and the right class raises it no more than a wrong one. What D does not check G does
# not learn. (Our first translation was worse by a factor of forty: embeddings began at N(0, 0.02²), like all weights, some 200 times fainter than G's other
# maps, and in D, too, the class was scaled down.) **A label must not only enter. It must be loud enough to be heard, and D must check it.**
# A class head asks D outright, and the projection of section 3 multiplies class and features; both of these listen.
#
# On the command line: `python -m gan_helpers sample best-cifar10 --class ship --n 64 --out ships.png`; and `explore("best-cifar10")` from
# `gan_helpers.widgets` has the slide of section 6 for any two classes.
#
# ## 9. Exercises
# **Exercise 1: a row for each class.** Return `classes * n` images: first n of class 0, then n of class 1, and so on, *with the
# same n latent vectors in every row*. `generator(z, y)` takes z (N, latent_dim) and whole numbers y (N,).

# %%
from gan_helpers.course.exercises import check, hint, solution


def sample_rows(generator, n, classes, latent_dim):
    ...  # your code


check("06.1", sample_rows)

# %% [markdown]
# **Exercise 2: the projection head.** From features `h` (N, C) and classes `y` (N,), with `head = nn.Linear(C, 1)` and
# `embedding = nn.Embedding(classes, C)`: the logits (N,).


# %%
def projection(h, y, head, embedding):
    ...  # your code


check("06.2", projection)

# %% [markdown]
# **Exercise 3: does it listen?** Some generators ignore y: D never punished them for it. Return which share of the variance of the
# images comes from the class: draw each `z` once with every class; the variance over the classes (mean over everything else),
# divided by the variance over all images. Both variances divide by the number of values, not by one less (`correction=0`): there are few
# classes.


# %%
def share_of_class(generator, z, classes):
    ...  # your code


check("06.3", share_of_class)

# %% [markdown]
# **Exercise 4: carry it over.** Four models of four classes, measured as in section 5. Say for each `"good"`, `"drifted"` (away from
# all that could be taken for another class, section 2), `"collapsed"` (few images, again and again) or `"ignores y"`.
#
# | | right | distance | variety |
# |---|---|---|---|
# | real images | .84 | .00 | 1.0 |
# | a | .98 | .21 | .60 |
# | b | .25 | .90 | 1.9 |
# | c | .85 | .35 | .10 |
# | d | .83 | .03 | .97 |

# %%
diagnosis = {"a": ..., "b": ..., "c": ..., "d": ...}
check("06.4", diagnosis)

# %% [markdown]
# ## Summary
# - A label can enter by splitting the data, by a class head in D, or by telling both players.
# - Rewarding G for being *named* rightly makes it leave out whatever could be confused: accuracy above that of real data is a
#   symptom.
# - A D that is told y asks for $p(x \mid y)$ itself; a projection is all it takes.
# - One net for all classes shares what they have in common, and has something between them.
# - Measure right, distance and variety, each beside real images.
#
# **Can you answer these without looking?**
# 1. G of an AC-GAN is named rightly in 98 % of the cases, real images in 84 %. Is it (a) better than real, (b) too narrow, (c) overfitted?
# 2. Where does the projection's inner product come from?
# 3. 'Its D names classes, so it is a conditional GAN.' What is missing?
# 4. Ten classes, ten GANs, each sees a tenth of the images. Name one thing that the one conditional GAN can do and they cannot.
# 5. How do you notice a generator that ignores y?
#
# <details><summary>Answers</summary>
#
# 1. (b): it avoids the overlap. 2. From log p(y|x)/q(y|x), linear in features if a softmax layer can name the class. 3. A generator
# that is told y. 4. Share what the classes have in common; or slide between two. 5. Keep z and change y: nothing changes.
# </details>
#
# **Next:** [07 · Attention](07_self_attention.ipynb). **Papers:** Mirza & Osindero 2014 (conditional GANs),
# [arXiv:1411.1784](https://arxiv.org/abs/1411.1784); Odena et al. 2017 (AC-GAN),
# [arXiv:1610.09585](https://arxiv.org/abs/1610.09585); Miyato & Koyama 2018 (projection),
# [arXiv:1802.05637](https://arxiv.org/abs/1802.05637); Dumoulin et al. 2017 (conditional normalisation),
# [arXiv:1610.07629](https://arxiv.org/abs/1610.07629); Shu et al. 2017 and Gong et al. 2019 (the drift of AC-GAN, and a cure),
# [arXiv:1907.02690](https://arxiv.org/abs/1907.02690).
