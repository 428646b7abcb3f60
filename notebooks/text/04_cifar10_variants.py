# %% [markdown]
# # 04 · CIFAR-10 variants: what each choice changes
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/notebooks/04_cifar10_variants.ipynb)
#
# **Aim.** Take published DCGAN recipes apart. Change one choice at a time, predict what it does, and measure it. Port a
# Keras net without moving a pixel. At the end, rank the course's CIFAR-10 generators by eye, blind, and seal your
# ranking.
#
# | | |
# |---|---|
# | You need | notebooks 00 and 02 |
# | Time | 75 minutes, of which your computer works for about two (two CPU cores) |
# | Data | `fashion` (embedded), made smaller; the generators that come with the course |
# | Words introduced | coverage, checkerboard, resize-convolution, soft targets, `same` padding |

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
# 1. A generator's images carry a fine chessboard. Will longer training remove it?
# 2. You smooth both labels, .95 and .05, 'so that D is never too sure and G's gradient stays alive'. Does it?
# 3. One run with recipe A scores better than one run with recipe B. What do you know?

# %% [markdown]
# ## 1. Four recipes, and how much lies between them
# Three public projects, four DCGANs for CIFAR-10. Here they are at their published width, with what one image costs: the
# multiplications in all convolutions and linear layers.

# %%
from torch import nn

from gan_helpers import latent, models, recipes


def layers_of(net, *inputs):
    """(side of the output map, parameters, multiplications) of each weighted layer, for one input."""
    found = []

    def count(layer, given, out):
        counted = given[0] if isinstance(layer, nn.ConvTranspose2d) else out  # its kernel is laid on every input
        found.append((out.shape[-1] if out.ndim == 4 else 1, layer.weight.numel(), counted.numel() * layer.weight[0].numel()))

    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, kinds)]
    net.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    return found


# %%
names = ("conv-cifar10", "lin-cifar10", "genzoo-cifar10", "dcgan-fid-cifar10")
costs = {}
print(f"{'':<18}{'image':>6}{'parameters of G':>17}{'of D':>12}{'G, multiplications':>20}{'D':>8}")
for name in names:
    recipe = recipes.get(name)
    g, d = models.build_generator(recipe), models.build_discriminator(recipe)
    z = latent.draw_z(1, recipe.latent_dim)
    costs[name] = layers_of(g, z), layers_of(d, g(z))
    work = [sum(m for _, _, m in layers) / 1e6 for layers in costs[name]]
    print(
        f"{name:<18}{recipe.image_size:>6}{models.count_parameters(g):>17,}{models.count_parameters(d):>12,}"
        f"{work[0]:>18.0f} M{work[1]:>6.0f} M"
    )

# %% [markdown]
# **Predict.** In how many settings do convDCGAN's and GenZoo's recipe differ, apart from their nets' layers: 3, 6, or
# 11?

# %%
one, other = recipes.get("conv-cifar10"), recipes.get("genzoo-cifar10")
apart = {key: pair for key, pair in one.differs(other).items() if key not in ("name", "about", "family")}
for key, (mine, theirs) in apart.items():
    print(f"{key:<13} {mine!s:>8}   {theirs!s:>8}")
print(len(apart), "settings differ")

# %% [markdown]
# A comparison of these two changes all of that at once. It can say which is better here. It can never say *why*. So this
# notebook does the opposite: four **contrasts**, each of which changes one thing and keeps the rest.
#
# First a look at where the nets differ in shape. Each bar is one G; its sections are the layers that make a map of one
# size.

# %%
from matplotlib.figure import Figure

from gan_helpers import plots

sides = (1, 2, 4, 8, 16, 32, 64)
shades = ["#f0f0f0", "#d0d0d0", plots.PINK, plots.BLUE, plots.GREEN, plots.ORANGE, "black"]
figure = Figure(figsize=(10, 2.6), layout="constrained")
for axes, column, title in zip(figure.subplots(1, 2, sharey=True), (1, 2), ("parameters", "multiplications")):
    for row, name in enumerate(names):
        whole, left = sum(layer[column] for layer in costs[name][0]), 0
        for side, shade in zip(sides, shades):
            share = sum(layer[column] for layer in costs[name][0] if layer[0] == side) / whole
            axes.barh(row, share, left=left, color=shade, edgecolor="white")
            if share > 0.07:
                label, ink = (f"{side}²", "white") if side > 1 else ("linear", "black")
                axes.text(left + share / 2, row, label, ha="center", va="center", color=ink)
            left += share
    axes.set(yticks=range(4), yticklabels=names, ylim=(3.5, -0.5), title=f"{title} of G", xticks=[])
plots.show(figure, alt="Stacked bars for four generators: most parameters lie in layers that make small maps; multiplications are spread evenly over the sizes, but linDCGAN spends three quarters of its at the full size")

# %% [markdown]
# Parameters sit at the small end. Work is spread evenly: a doubled map has four times the positions, and a layer with half the
# channels on both sides a quarter of the weights. Only linDCGAN, which keeps 128 maps up to the full 32×32, does three quarters of
# its work there.
#
# ## 2. Contrast one: a linear layer, or convolutions to the end
# linDCGAN begins with a linear layer, 100 → 256·4·4. convDCGAN begins with a transposed convolution, kernel 4, from a
# 'map' of one pixel with 100 channels. The DCGAN paper advises *against* fully connected layers.
#
# **Predict.** Which of the two has more weights, at the same widths? Which can draw something that the other cannot?

# %%
import torch

conv_first = nn.ConvTranspose2d(100, 256, 4, 1, 0, bias=False)  # (N, 100, 1, 1) → (N, 256, 4, 4)
lin_first = nn.Linear(100, 256 * 4 * 4, bias=False)
z = latent.draw_z(8, 100)
with torch.no_grad():
    lin_first.weight.copy_(conv_first.weight.flatten(1).T)  # (100, 256, 4, 4) → (4096, 100)
    apart = conv_first(z[:, :, None, None]) - lin_first(z).unflatten(1, (256, 4, 4))
print(f"weights: {conv_first.weight.numel():,} and {lin_first.weight.numel():,}")
print(f"G's first layer: outputs differ by more than 1e-5: {bool(apart.abs().max() > 1e-5)}")

conv_last, lin_last = nn.Conv2d(1024, 1, 4, bias=False), nn.Linear(1024 * 4 * 4, 1, bias=False)
x = torch.randn(8, 1024, 4, 4)
with torch.no_grad():
    lin_last.weight.copy_(conv_last.weight.flatten(1))
    apart = conv_last(x).flatten() - lin_last(x.flatten(1)).flatten()
print(f"D's last layer:  outputs differ by more than 1e-4: {bool(apart.abs().max() > 1e-4)}")

# %% [markdown]
# Neither. A convolution whose kernel covers the whole map, or that starts from one pixel, *is* a linear layer. 'Linear'
# and 'convolutional' DCGAN differ in name at the ends. What does differ there is easy to overlook: **what BatchNorm
# counts as one unit**. After the reshape it normalises 256 maps. GenZoo puts it *before* the reshape:

# %%
for name in ("lin-cifar10", "genzoo-cifar10"):
    norm = next(m for m in models.build_generator(recipes.get(name)).modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)))
    print(f"{name:<15} {type(norm).__name__} after the linear layer: {norm.num_features:,} means and as many variances")

# %% [markdown]
# (linDCGAN's README puts one there; its code has none.) With a mean for every single position, no position of GenZoo's 4×4 map can be brighter than another *on average* at that
# point. Scale and shift must teach it back. That, and the widths, are choices. The word 'linear' is not.
#
# ## 3. Contrast two: the kernel
# GenZoo and `dcgan-fid-cifar10` use 5×5 kernels with stride 2. The others use 4×4. A transposed convolution lays its kernel
# down at every input pixel, `stride` pixels apart, and adds. Count how often each output pixel is reached, its
# **coverage**, with a kernel of ones on a map of ones:

# %%
import torch.nn.functional as F


def coverage(kernel, stride=2, side=8):
    """How often each output pixel is reached, away from the border: (2 * stride, 2 * stride) int."""
    ones = torch.ones(1, 1, side, side), torch.ones(1, 1, kernel, kernel)
    start = (kernel // stride + 1) * stride
    return F.conv_transpose2d(*ones, stride=stride)[0, 0, start:, start:][: 2 * stride, : 2 * stride].int()


for kernel in (5, 4):
    print(f"kernel {kernel}, stride 2:", coverage(kernel)[:2, :2].flatten().tolist())

# %%
figure = Figure(figsize=(7, 3), layout="constrained")
for axes, kernel in zip(figure.subplots(1, 2), (5, 4)):
    counts = F.conv_transpose2d(torch.ones(1, 1, 8, 8), torch.ones(1, 1, kernel, kernel), stride=2)[0, 0, 4:12, 4:12].int()
    axes.imshow(counts, cmap="Greys_r", vmin=0, vmax=10)
    for row, line in enumerate(counts.tolist()):
        for column, n in enumerate(line):
            axes.text(column, row, n, ha="center", va="center", color="black" if n > 5 else "white", weight="bold")
    axes.set(title=f"kernel {kernel}×{kernel}, stride 2", xticks=[], yticks=[])
plots.show(figure, alt="Left: a chessboard of the numbers 9, 6, 6 and 4 for the 5x5 kernel. Right: an even field of fours for the 4x4 kernel")

# %% [markdown]
# A **checkerboard**, before any training, from the geometry alone. Random weights inherit it: the variance of a pixel is
# proportional to its coverage.

# %%
from gan_helpers.models.blocks import SameConvTranspose2d

torch.manual_seed(0)
variance = torch.zeros(2, 2)
for _ in range(100):  # a hundred random layers
    with torch.no_grad():
        out = SameConvTranspose2d(16, 16, bias=False)(torch.randn(16, 16, 16, 16))[:, :, 4:-4, 4:-4]
    variance += out.square().unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).mean((0, 1, 2, 4))  # by phase (2, 2)
ratio = variance.flatten().sort(descending=True).values
ratio = 9 * ratio / ratio[0]
assert (ratio - torch.tensor([9.0, 6, 6, 4])).abs().max() < 0.3
print("variance by phase, random weights:", *(f"{r:.0f}" for r in ratio))

# %% [markdown]
# So use 4×4 and be done? That is the usual advice. **Predict:** an untrained generator with 4×4 kernels, stride 2, shows
# (a) no checkerboard, (b) a weaker one than with 5×5, (c) one as strong.
#
# We need a number. A checkerboard alternates from pixel to pixel: it is the *highest frequency* that an image can hold.
# So take the power spectrum, and compare the power at that frequency with the power just below. In real images power
# falls towards fine detail, so the ratio is below 1.


# %%
def spectrum(x):
    """Mean power spectrum (S, S) of images (N, C, S, S), each less its mean and faded at the border; middle: finest."""
    window = torch.hann_window(x.shape[-1], periodic=True)
    x = (x - x.mean((2, 3), keepdim=True)) * window[:, None] * window
    return torch.fft.fft2(x).abs().square().mean((0, 1))


def checkerboard(x):
    """Power at the highest frequency, over that two steps below: under 1 in real images."""
    s = spectrum(x) + spectrum(x).T
    top = len(s) // 2
    return (s[top, 1 : top + 1].mean() / s[top - 2, 1 : top + 1].mean()).item()


# %%
from gan_helpers import data

clothes = data.load("fashion").resized(16, 1)
faces = data.load("faces", 32)
sets = {"fashion, 16×16": clothes, "faces, 32×32": faces}
real = {name: torch.from_numpy(some.images[:1000].copy()) / 127.5 - 1 for name, some in sets.items()}
for name, x in real.items():
    assert checkerboard(x) < 1
    print(f"real {name}: {checkerboard(x):.2f}")
counts = coverage(5, side=12).repeat(4, 4)  # (16, 16)
uneven = (real["fashion, 16×16"] + 1) * counts / 9 - 1  # each pixel as bright as its coverage lets it
print(f"the same clothes, each pixel dimmed to its coverage by k5 s2: {checkerboard(uneven):.1f}")

# %% [markdown]
# Now three small generators that differ in *nothing* but the layer that doubles the map:
#
# - `k4`: transposed convolution, kernel 4, stride 2
# - `k5`: transposed convolution, kernel 5, stride 2 (as Keras' `same` cuts it, see section 7)
# - `resize`: copy each pixel to 2×2, then an ordinary 3×3 convolution, a **resize-convolution**

# %%
from gan_helpers.models.dcgan import init_dcgan

DOUBLE = {
    "k4": lambda c_in, c_out: nn.ConvTranspose2d(c_in, c_out, 4, 2, 1),
    "k5": SameConvTranspose2d,
    "resize": lambda c_in, c_out: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(c_in, c_out, 3, padding=1)),
}


class Small(nn.Module):
    """z (N, 64) → images (N, 1, size, size), size 16 or 32; `double` makes each layer that doubles the map."""

    latent_dim = 64

    def __init__(self, double, size=16):
        super().__init__()
        widths = [64, 32] if size == 16 else [64, 32, 16]
        layers = [nn.Linear(64, 64 * 16), nn.Unflatten(1, (64, 4, 4)), nn.BatchNorm2d(64), nn.ReLU()]  # (N, 64, 4, 4)
        for c_in, c_out in zip(widths, widths[1:]):
            layers += [double(c_in, c_out), nn.BatchNorm2d(c_out), nn.ReLU()]  # (N, 32, 8, 8)
        self.layers = nn.Sequential(*layers, double(widths[-1], 1), nn.Tanh())
        self.apply(init_dcgan)

    def forward(self, z):
        return self.layers(z)


# %%
untrained = {}
for name, double in DOUBLE.items():
    numbers = []
    for seed in range(10):
        torch.manual_seed(seed)
        untrained[name] = latent.generate(Small(double), latent.draw_z(100, 64))
        numbers.append(checkerboard(untrained[name]))
    found = f"{min(numbers):.1f} to {max(numbers):.1f}"
    print(f"{name:<7}{models.count_parameters(Small(double)):>8,} parameters; untrained, ten seeds: {found}")
    assert min(numbers) > 1 or max(numbers) < 1

# %%
figure = Figure(figsize=(9, 2.6), layout="constrained")
for axes, (name, x) in zip(figure.subplots(1, 4), {"real clothes": real["fashion, 16×16"], **untrained}.items()):
    axes.imshow(torch.fft.fftshift(spectrum(x)).log(), cmap="magma")
    axes.set(title=name, xticks=[], yticks=[])
plots.show(figure, alt="Four power spectra, the lowest frequency in the middle, the highest at the rim. Real clothes and resize are brightest in the middle; k4 and k5 in the corners and at the middle of the sides")

# %% [markdown]
# Not (a), and nobody could tell (b) from (c): the ten seeds scatter more than the kernels differ. Even coverage does not
# help. With stride 2 each of the four phases (even or odd row, even or odd column) has *weights of
# its own*: four different pictures, interleaved. Coverage only says how unequal their variances are. The
# resize-convolution uses the same weights in every phase.
#
# **'Checkerboards mean undertrained'**, many say. **Predict** the number over training, for each of the three: does it
# fall steadily to that of real images? The same D, recipe, images and noise for all; five seeds; 150 steps of 64 images
# (9,600 images seen); about a minute.

# %% tags=["nbval-ignore-output"]
import time

from tqdm.auto import tqdm

from gan_helpers.training import Trainer

small = recipes.get("first-minute").but(data="fashion", channels=1, image_size=16, ema=0, decay=0)
small = small.but(g_width=32, d_width=32, batch_size=64, steps=here.pick(cpu=150, gpu=150, test=3))
seeds = range(here.pick(cpu=5, gpu=5, test=1))


def train(net, seed, images=clothes.images, look=None, steps=small.steps):
    """Train `net` against the recipe's D; what `look(net)` returns is kept ten times on the way."""
    trainer = Trainer(small.but(seed=seed, steps=steps, image_size=images.shape[-1]), images, "cpu")
    trainer.generator = trainer.ema = trainer.place(net)
    trainer.g_optimizer = torch.optim.Adam(net.parameters(), small.g_lr, (small.beta1, small.beta2))
    trainer.looked = []
    for step in range(steps + 1):
        if look and step % max(1, steps // 10) == 0:
            trainer.looked.append((step, look(net)))
        if step < steps:
            began = time.process_time()
            trainer.train_step()
            trainer.seconds += time.process_time() - began
    return trainer


# %% tags=["nbval-ignore-output"]
def look(net):
    """The checkerboard number, and twelve images to look at."""
    images = latent.generate(net, latent.draw_z(200, 64, seed=9))
    return checkerboard(images), images[:12]


runs = {}
for name, seed in tqdm([(name, seed) for seed in seeds for name in DOUBLE], unit="run"):
    torch.manual_seed(seed)
    runs[name, seed] = train(Small(DOUBLE[name]), seed, look=look)
print(len(runs), "runs")

# %% [markdown]
# **Task.** Slide through the training of the first seed, twelve images each of k4, k5 and resize. At which step is the
# checkerboard strongest in the first two rows? Write it down before you scroll on to the curves.

# %% tags=["nbval-ignore-output"]
from gan_helpers.course.widgets import flipbook

moments = list(zip(*(runs[name, 0].looked for name in DOUBLE)))  # each moment: (step, (number, images)) of the three
pages = [plots.grid(torch.cat([found[1] for _, found in moment]), columns=12, scale=4) for moment in moments]
flipbook(pages, [f"after {moment[0][0]} steps" for moment in moments], "training")

# %%
figure = Figure(figsize=(8, 3.2), layout="constrained")
axes = figure.subplots()
for (name, colour), style in zip({"k4": plots.BLUE, "k5": plots.ORANGE, "resize": plots.GREEN}.items(), ("-", "--", "-.")):
    for seed in seeds:
        steps, numbers = zip(*((step, number) for step, (number, _) in runs[name, seed].looked))
        axes.plot(steps, numbers, style, color=colour, alpha=0.7, label=None if seed else name)
axes.axhline(checkerboard(real["fashion, 16×16"]), color="black", linestyle=":", label="real clothes")
axes.set(yscale="log", ylim=(0.1, 300), xlabel="step", ylabel="checkerboard number")
axes.legend(ncols=4, loc="upper center")
plots.show(figure, alt="The checkerboard number over training, five seeds each: with k4 and k5 it starts above 1, rises far above 10, then falls, and ends above real clothes; with resize-convolution it stays below real clothes at every step")

# %%
plots.show(pages[-1], alt="Twelve generated clothes each from k4, k5 and resize: the first row is faintly chequered, the second strongly, the third is smooth and blurry")

# %% [markdown]
# Training first makes the checkerboard several times *worse*, then, in most runs, slowly better; after 150 steps no run of k4 or k5 is
# anywhere near real clothes. The resize net never has one, not even at step 0. So it is a property of the layer, which
# training must fight. (Which is better at step 150, k4 or k5? Pick one line of each and you may have either answer. One
# run each ranks nothing.) Look at the third row, too: smooth is not yet good. Its number lies *below* that of real
# clothes, which means too little fine detail.
#
# Does it go away in the end? Here are the shipped generators, each beside the same nets untrained:

# %% tags=["nbval-ignore-output"]
from gan_helpers import generators

torch.manual_seed(0)
print(f"{'':<22}{'untrained':>10}{'trained':>9}   images seen")
for name in generators.shipped():
    net = generators.load_generator(name)
    fresh = models.build_generator(net.recipe)
    z = latent.draw_z(100, net.latent_dim)
    numbers = [checkerboard(latent.generate(g, z)) for g in (fresh, net)]
    print(f"{name:<22}{numbers[0]:>10.2f}{numbers[1]:>9.2f}   {net.card['images_seen']:,}")
real_faces = torch.from_numpy(data.load("faces").images[:500].copy()) / 127.5 - 1
print(f"{'real faces, 64×64':<22}{'':>10}{checkerboard(real_faces):>9.2f}")
for name, number in {"real CIFAR-10, 32×32": 0.74, "the same, at 64×64": 0.84}.items():  # 1,000 photos, measured once
    print(f"{name:<22}{'':>10}{number:>9.2f}")

# %% [markdown]
# Most have come a long way. Compare them with the real images below. There are two kinds of nets in this table. `sagan-cifar10`
# and the three `best-` nets double their maps by copying pixels: their number is small, trained or not. All the others are
# transposed: their number begins high, and every one whose real images are in the table stays above these, some of them after
# two million images. Checkerboards do not *mean* undertrained. They mean: transposed.
#
# ## 4. Contrast three: the size
# convDCGAN and classDCGAN enlarge CIFAR-10's 32×32 images to 64×64 and train nets for 64. More pixels, but not more
# information. **Predict:** at equal *time*, which comes nearer to the data, the net at the images' own size, or one twice
# as large?
#
# First, what is in the new pixels? The share of the power above half the highest frequency:


# %%
def fine(x):
    """Share of an image's power in its upper octave, where an enlarged image has nothing: mean over (N, C, S, S)."""
    s = spectrum(x)
    frequency = torch.fft.fftfreq(len(s)).abs()
    return (s[(frequency[:, None] > 0.25) | (frequency > 0.25)].sum() / s.sum()).item()


enlarged = clothes.resized(32, 1)
x = torch.from_numpy(enlarged.images[:1000].copy()) / 127.5 - 1
torch.manual_seed(0)
fresh = latent.generate(Small(DOUBLE["k4"], 32), latent.draw_z(100, 64))
for size in (16, 32):
    both = Small(DOUBLE["k4"], size), models.build_discriminator(small.but(image_size=size))
    print(f"{size}×{size}: {' and '.join(f'{models.count_parameters(net):,}' for net in both)} parameters in G and D")
print(f"real, own size {fine(real['fashion, 16×16']):.1%} | real, enlarged {fine(x):.2%} | untrained G {fine(fresh):.0%}")

# %% [markdown]
# Enlarged images have next to nothing there, and D may simply look for it. A generator at twice the size must learn to
# leave its finest detail *empty*, and pays four times as much for each layer on the larger map.
#
# Now equal time: 150 steps at 16×16 take about as long as 40 at 32×32. Samples of the larger net are shrunk, and both are
# scored at 16×16 by the distance of notebook 05 (lower is better), 1,000 fakes against 1,000 held-out images; five seeds:

# %% tags=["nbval-ignore-output"]
from gan_helpers import features
from gan_helpers.metrics import frechet_distance

network = features.load("fashion-net")
held_out = data.load("fashion", split="held-out").resized(16, 1).images


def seen(images):
    """Features of images at 16×16, enlarged to the network's 28×28."""
    x = torch.as_tensor(images)
    x = x / 127.5 - 1 if x.dtype == torch.uint8 else x
    for side in (16, 28):
        x = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
    return network(plots.to_uint8(x))


reference = seen(held_out)
fakes_of = latent.draw_z(here.pick(cpu=1000, gpu=1000, test=50), 64, seed=7)


def distance(net):
    return frechet_distance(seen(latent.generate(net, fakes_of)), reference)


# %% tags=["nbval-ignore-output"]
for seed in tqdm(seeds, unit="run"):
    torch.manual_seed(seed)
    runs["large", seed] = train(Small(DOUBLE["k4"], 32), seed, enlarged.images, steps=here.pick(cpu=40, gpu=40, test=3))

by_size = {}
for name, key in (("16×16", "k4"), ("32×32", "large")):
    both = [runs[key, seed] for seed in seeds]
    by_size[name] = [distance(run.generator) for run in both]
    steps, seconds = both[0].step, sum(run.seconds for run in both) / len(both)
    print(f"{name}: {steps} steps, {64 * steps:,} images seen, {seconds:.1f} s a run | distance", *(f"{v:.0f}" for v in by_size[name]))

# %%
figure = Figure(figsize=(6, 2), layout="constrained")
axes = figure.subplots()
for row, (values, colour, marker) in enumerate(zip(by_size.values(), (plots.BLUE, plots.ORANGE), "os")):
    axes.plot(values, [row] * len(values), marker, color=colour, alpha=0.7)
axes.set(yticks=(0, 1), yticklabels=by_size, ylim=(1.5, -0.5), xlabel="FD(fashion-net), lower is better", xlim=(0, None))
plots.show(figure, alt="Five distances for each size: those of the net at the images' own size are all lower than those of the net twice as large")

# %% [markdown]
# At equal time the larger net has made a quarter of the steps and seen a quarter of the images (2,560 against 9,600), and
# it is far behind with every seed: five times the distance. With equal *images* (set `steps=150`, which takes three times
# as long) the gap shrinks; try how far. On a laptop, time decides. Remember it when you meet the shipped convDCGAN: a
# training image costs it .58 GFLOP, and linDCGAN .15. Their cards say so.
#
# ## 5. Contrast four: the targets
# All four nets were trained with other targets for D than 1 and 0, one only in its code. convDCGAN and linDCGAN use .95
# for real and .05 for fake images; `dcgan-fid-cifar10` draws them from [.9, 1] and [0, .1]. These are **soft targets**.
# GenZoo's README and GenZoo's code are two different recipes:

# %%
readme, code = recipes.get("genzoo-cifar10"), recipes.get("genzoo-cifar10-code")
for key, (said, done) in readme.differs(code).items():
    if key not in ("name", "about"):
        print(f"{key:<12} README {said:>8}   code {done:>8}")

# %% [markdown]
# The code calls Keras' `label_smoothing=.2`, which moves both targets by .1, *and* it swaps them: real images are taught
# .1, fakes .9.
#
# ### Flipped
# 'Flip the labels' is a well-known GAN trick. **Predict:** two runs with the same random numbers, one with targets (.9,
# .1), one with (.1, .9); the second starts with the sign of D's last layer turned round. How far are the two generators
# apart after five steps?

# %%
net = recipes.get("genzoo-mnist").but(g_width=8, d_width=8, batch_size=16, steps=5)  # D's last layer has no bias
full_size = data.load("fashion").images
pair = []
for real_target, fake_target, sign in ((0.9, 0.1, 1), (0.1, 0.9, -1)):
    trainer = Trainer(net.but(real_target=real_target, fake_target=fake_target), full_size, "cpu", torch.float64)
    with torch.no_grad():
        trainer.discriminator.layers[-1].weight.mul_(sign)
    for _ in range(5):
        trainer.train_step()
    pair.append(torch.cat([p.flatten() for p in trainer.generator.parameters()]))
print(f"{len(pair[0]):,} weights of G; any of them apart by more than 1e-12: {bool((pair[0] - pair[1]).abs().max() > 1e-12)}")

# %% [markdown]
# Not at all. Which of the two sides is called 1 is a name; D with its sign turned plays the same game, provided that G aims
# at the new name of 'real', too, as it does here. (Swap D's targets alone, and G is rewarded for looking fake. And flipping a
# *few* labels at random is another matter: that is label noise.)
#
# ### Smoothed, on one side or both
# Now the real question. Take the picture of notebook 01: the data are N(0, 1), the generator makes N(m, 1), and D is the
# best possible for its targets α (real) and β (fake):
#
# $$D^*(x) = \frac{\alpha\,p(x) + \beta\,q(x)}{p(x) + q(x)} .$$
#
# **Predict:** G is far away, at m = 8, and follows −log D. Order its gradient under three targets: hard (1, 0), one-sided
# (.95, 0), two-sided (.95, .05).

# %%
from torch.distributions import Normal

line = torch.linspace(-9, 9, 9001, dtype=torch.float64)
weight = Normal(0.0, 1.0).log_prob(line).exp() * (line[1] - line[0])  # (f(line) * weight).sum() is the mean of f
TARGETS = {"hard": (1, 0), "one-sided": (0.95, 0), "two-sided": (0.95, 0.05)}


def best_logit(x, m, real, fake):
    """log D* - log(1 - D*) for data N(0, 1) and generated points N(m, 1)."""
    logs = torch.stack([-(x**2) / 2, -((x - m) ** 2) / 2], 1)  # log p and log q, less a constant
    yes, no = (torch.tensor(t, dtype=x.dtype).log() for t in ((real, fake), (1 - real, 1 - fake)))
    return torch.logsumexp(logs + yes, 1) - torch.logsumexp(logs + no, 1)


def pull(m, real, fake):
    """How strongly G's mean is pulled back to the data: the slope of the mean of -log D*(x) in m, D* held fixed."""
    x = (line + m).requires_grad_()
    loss = F.softplus(-best_logit(x, m, real, fake))
    return (torch.autograd.grad((loss * weight).sum(), x)[0]).sum().item()


print(f"{'m':>4}" + "".join(f"{name:>12}" for name in TARGETS))
for m in (0.5, 1.0, 2.0, 4.0, 8.0):
    print(f"{m:>4}" + "".join(f"{pull(m, *t):>12.3f}" for t in TARGETS.values()))
assert pull(8.0, *TARGETS["two-sided"]) < 0.01 < 7 < pull(8.0, *TARGETS["one-sided"])

# %% [markdown]
# Two-sided smoothing does the opposite of what it is used for. Where only fakes lie, D* is β, *flat*: .05 here, and .05 a
# bit nearer to the data. G's worst samples get no direction. One-sided smoothing multiplies D* by .95, and log D* has the
# same slope as before, exactly. Its use lies elsewhere: it caps D where D is sure of a real image (left picture). That is
# why Salimans et al. (2016) smooth one side only.

# %%
figure = Figure(figsize=(9, 2.8), layout="constrained")
left, right = figure.subplots(1, 2)
x = torch.linspace(-3, 11, 400, dtype=torch.float64)
at = torch.linspace(0, 8, 41).tolist()
for (name, targets), colour, style in zip(TARGETS.items(), (plots.BLUE, plots.ORANGE, plots.GREEN), ("-", "--", "-.")):
    left.plot(x, best_logit(x, 8.0, *targets), style, color=colour, label=name)
    right.plot(at, [pull(m, *targets) for m in at], style, color=colour, label=name)
left.set(xlabel="x (data at 0, fakes at 8)", ylabel="logit of D*")
right.set(xlabel="m, distance of the fakes", ylabel="pull towards the data")
left.legend()
plots.show(figure, alt="Left: the logit of the best D over x; hard and one-sided keep falling towards the fakes, two-sided is flat at both ends. Right: the pull grows with the distance for hard and one-sided targets, and falls to zero for two-sided ones")

# %% [markdown]
# A formula assumes the best D. Does a *trained* one agree? A small net as D, one number m as G (it makes m + noise),
# three D steps a G step, plain gradient descent for G; five seeds.

# %% tags=["nbval-ignore-output"]
from gan_helpers.course.toy import mlp


def come_home(real, fake, seed, steps, n=128):
    """The path of m, from 8, against a D that learns from samples."""
    torch.manual_seed(seed)
    d, m = mlp(1, 1), torch.tensor(8.0, requires_grad=True)
    d_opt = torch.optim.Adam(d.parameters(), 5e-3, betas=(0.5, 0.9))
    bce, path = F.binary_cross_entropy_with_logits, []
    for _ in range(steps):
        for _ in range(3):
            a, b = d(torch.randn(n, 1)), d(torch.randn(n, 1) + m.detach())  # real, fake
            loss = bce(a, torch.full_like(a, real)) + bce(b, torch.full_like(b, fake))
            d_opt.zero_grad()
            loss.backward()
            d_opt.step()
        (slope,) = torch.autograd.grad(F.softplus(-d(torch.randn(n, 1) + m)).mean(), m)
        m.data -= 0.1 * slope
        path.append(m.item())
    return path


steps = here.pick(cpu=100, gpu=100, test=3)
paths = {name: [come_home(*targets, seed, steps) for seed in range(5)] for name, targets in TARGETS.items()}
for name, found in paths.items():
    print(f"{name:<10} m after {steps // 2} steps:", *(f"{path[steps // 2]:.1f}" for path in found))

# %%
figure = Figure(figsize=(7, 2.8), layout="constrained")
axes = figure.subplots()
for (name, found), colour, style in zip(paths.items(), (plots.BLUE, plots.ORANGE, plots.GREEN), ("-", "--", "-.")):
    for k, path in enumerate(found):
        axes.plot(path, style, color=colour, alpha=0.7, label=name if k == 0 else None)
axes.set(xlabel="step of G", ylabel="m (the data: 0)")
axes.legend()
plots.show(figure, alt="Fifteen paths of m from 8 towards 0: hard and one-sided targets arrive after some fifty steps, two-sided ones are still far away")

# %% [markdown]
# In the order it agrees, with every seed; not in the size. At the pull of the table, D* would leave m at 7.99 after fifty
# steps. This D is a smooth net and never the best, and pulls it to about 5. Flat is what D tends to, not what it reaches: two-sided
# targets make the journey longer, they don't end it. (Adam would divide by the gradient's size and hide a pull that is weak for *all* samples. It
# cannot help a few bad samples among good ones.) Why, then, do convDCGAN and linDCGAN learn? Where fakes and data
# overlap, at m = 1 or 2 in the table, the loss of pull is a matter of degree.
#
# ## 6. Three faults, before and after
# The published code of convDCGAN has three slips. Each is quick to make and hard to see. **Before** is the code as
# published, **after** what the course's recipe does.
#
# **One.** Its training script feeds 32×32 images to nets for 64×64.

# %%
d = models.build_discriminator(recipes.get("conv-cifar10").but(d_width=16)).eval()
try:
    d(torch.randn(4, 3, 32, 32))
except RuntimeError as error:
    print("before:", str(error).partition(". ")[0])

# %%
print("after, enlarged: logits", tuple(d(F.interpolate(torch.randn(4, 3, 32, 32), 64, mode="bilinear")).shape))
d32 = models.build_discriminator(recipes.get("conv-cifar10").but(d_width=16, image_size=32)).eval()
print("or one layer less: logits", tuple(d32(torch.randn(4, 3, 32, 32)).shape))

# %% [markdown]
# **Two.** Targets of shape (N, 1) against outputs of shape (N, 1, 1, 1). **Predict** the shape of their difference for N
# = 8.

# %%
outputs, targets = torch.randn(8, 1, 1, 1), torch.full((8, 1), 0.95)
print("before:", tuple((outputs - targets).shape), "so a loss written with a minus compares each output with every target")
try:
    F.binary_cross_entropy_with_logits(outputs, targets)
except ValueError as error:
    print("PyTorch's own loss now refuses:", str(error)[:36])

# %%
print("after:", tuple((outputs.flatten() - targets.flatten()).shape))

# %% [markdown]
# PyTorch's BCELoss of those years only warned, and paired the numbers one by one, so in the project the slip was harmless. In a loss of
# your own, (a − t)², nothing warns. With one constant target the mean happens to be right; with a target drawn for each image,
# or with a class for each image, it is nonsense that trains.
#
# **Three.** BatchNorm's *weights* are drawn from N(0, .02). The DCGAN recipe says N(**1**, .02). **Predict:** does the
# net with the slip train at all? 150 steps, five seeds, a small convDCGAN on clothes:

# %% tags=["nbval-ignore-output"]
wanted = recipes.get("conv-mnist").but(image_size=16, g_width=32, d_width=16, batch_size=64, steps=here.pick(cpu=150, gpu=150, test=3))
z = latent.draw_z(12, wanted.latent_dim, seed=1)


def with_norms(mean, seed):
    """Images (24, 1, 16, 16) before and after training, BatchNorm's weights starting at N(mean, .02) in both nets."""
    trainer = Trainer(wanted.but(seed=seed), clothes.images, "cpu")
    torch.manual_seed(seed)
    for layer in (*trainer.generator.modules(), *trainer.discriminator.modules()):
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, mean, 0.02)
    images = [trainer.generator(z).detach()]  # in training mode: BatchNorm by this batch
    while not trainer.finished:
        trainer.train_step()
    return torch.cat([*images, trainer.generator(z).detach()])


before = [with_norms(0.0, seed) for seed in tqdm(seeds, unit="run")]
print("contrast untrained:", *(f"{x[:12].std():.3f}" for x in before), "| trained:", *(f"{x[12:].std():.2f}" for x in before))
plots.show(plots.grid(before[0], columns=12, scale=4), alt="Above: twelve plain grey images of the untrained net. Below, after 150 steps: still nearly plain grey")

# %% tags=["nbval-ignore-output"]
after = [with_norms(1.0, seed) for seed in tqdm(seeds, unit="run")]
print("contrast untrained:", *(f"{x[:12].std():.3f}" for x in after), "| trained:", *(f"{x[12:].std():.2f}" for x in after))
plots.show(plots.grid(after[0], columns=12, scale=4), alt="Above: twelve images of noise of the untrained net. Below, after 150 steps: light blobs in the shapes of clothes")

# %% [markdown]
# A weight near 0 all but switches a map off, in layer after layer, and the first images are plain grey. It *does* begin
# to train: Adam takes equal steps however small the gradient is. The slip costs time, not the run, and so it is easily
# overlooked.
#
# ## 7. From Keras, to the pixel
# GenZoo and `dcgan-fid-cifar10` were written for Keras. Several of its conventions differ from PyTorch's without an error
# message. The two that show most come first; the smaller ones: Keras' BatchNorm adds ε = .001 to the variance (PyTorch .00001),
# its Adam has ε = 10⁻⁷ (10⁻⁸), and its weights begin by Glorot's rule unless told otherwise. The recipes carry them.
#
# ### `same`
# **`same` padding** means: the output has ⌈input / stride⌉ pixels, whatever the kernel. For kernel 5, stride 2, three
# pixels must be added to a line of even length, and Keras adds 1 *before* and 2 *after*. The obvious translation is
# `padding=2`: 2 and 2. **Predict:** the sizes come out right. What else changes?

# %%
pulse = torch.zeros(1, 1, 12)
pulse[..., 6] = 1
kernel = torch.tensor([[[1.0, 2, 3, 4, 5]]])
print("Keras' same :", F.conv1d(F.pad(pulse, (1, 2)), kernel, stride=2).int().flatten().tolist())
print("padding=2   :", F.conv1d(pulse, kernel, stride=2, padding=2).int().flatten().tolist())

# %% [markdown]
# The same size, but every output has looked one pixel further to the left, and other taps of the kernel meet the pulse. A
# net trained from scratch will not mind. A net with *weights from Keras* will. Here is our k5 generator, whose layers cut
# as Keras does, with its weights put into `ConvTranspose2d(…, padding=2, output_padding=1)`:

# %%
import copy

ported = copy.deepcopy(runs["k5", 0].generator)
for k, layer in enumerate(ported.layers):
    if isinstance(layer, SameConvTranspose2d):
        ported.layers[k] = nn.ConvTranspose2d(layer.in_channels, layer.out_channels, 5, 2, padding=2, output_padding=1)
        ported.layers[k].load_state_dict(layer.state_dict())  # every shape fits
z = latent.draw_z(12, 64, seed=1)
good, shifted = latent.generate(runs["k5", 0].generator, z), latent.generate(ported, z)
print(f"moved back by 3 pixels, the inner part agrees: {torch.allclose(good[:, :, 4:12, 4:12], shifted[:, :, 1:9, 1:9], atol=1e-5)}")
plots.show(plots.grid(torch.cat([good, shifted]), columns=12, scale=4), alt="Above twelve generated clothes, below the same clothes moved up and to the left by three pixels and cut off at the border")

# %% [markdown]
# Everything has moved: by one pixel in the first layer, which is two in the image, and by one more in the second. Nothing
# failed. Only a distance, or your eye, would tell. The course's recipes cut as Keras does (exercise 3).
#
# ### Momentum
# Keras' BatchNorm has `momentum=.99`, PyTorch's has `momentum=.1`. In Keras it is the share of the *old* average that
# stays; in PyTorch the share of the *new* batch that comes in. So .99 becomes **.01** (and .9, as in `dcgan-fid-cifar10`, becomes
# .1). **Predict:** somebody copies .99 as it is. Which of these change: the losses in training, the samples in evaluation
# mode? For better or worse after 60 steps?

# %% tags=["nbval-ignore-output"]
def with_momentum(net, momentum):
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = momentum  # None: the plain mean of all batches
    return net


def exact(net, batches=20):
    """A copy whose BatchNorm statistics are the mean over fresh batches at its present weights."""
    net = with_momentum(copy.deepcopy(net), None).train()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
    with torch.no_grad():
        for k in range(batches):
            net(latent.draw_z(64, 64, seed=100 + k))
    return net.eval()


nets = {}
for momentum in (0.01, 0.99):
    torch.manual_seed(0)
    nets[momentum] = train(with_momentum(Small(DOUBLE["resize"]), momentum), 0, steps=here.pick(cpu=60, gpu=60, test=3)).generator

# %%
same_weights = all(torch.equal(a, b) for a, b in zip(nets[0.01].parameters(), nets[0.99].parameters()))
print("all weights equal, to the last bit:", same_weights)
rows = [latent.generate(net, z) for net in (exact(nets[0.01]), nets[0.01], nets[0.99])]
plots.show(plots.grid(torch.cat(rows), columns=12, scale=4), alt="Three rows of the same twelve images: with exact statistics; with momentum .01, pale and almost without contrast; with .99, like the first row")

# %% [markdown]
# Training is equal to the last bit: there BatchNorm uses the batch. Only the running averages differ, and *evaluation*
# uses those. And the right translation looks *worse*: with .01, after 60 steps, .99⁶⁰ = 55 % of the average is still the
# starting value. A sample grid early in training then shows BatchNorm's past, not the net. What .99 costs shows later,
# when the weights have settled: it remembers the last batch only.

# %% tags=["nbval-ignore-output"]
settled = exact(nets[0.01], 60)
for momentum in (0.01, 0.1, 0.99):
    net = with_momentum(copy.deepcopy(settled), momentum).train()
    with torch.no_grad():
        for k in range(60):
            net(latent.draw_z(64, 64, seed=300 + k))
    error = (latent.generate(net, z) - latent.generate(settled, z)).abs().mean()
    print(f"momentum {momentum:<5} settled weights: images off by {error:.4f} of a range of 2")

# %% [markdown]
# ## 8. The gallery, blind
# The course ships a generator of nearly every published recipe. Their nets are as wide as two CPU cores can train, and most
# of them trained on one GPU for three to nine minutes, until their distance no longer fell or their plan had ended. Of each run
# the generator with the lowest distance seen on the way is kept; its card says at which step, and shows the curve.
#
# Here is the one for MNIST (`conv-mnist`), then those for CelebA: two published ones, and our own `best-celeba`, whose nets
# are residual and twice as deep:

# %% tags=["nbval-ignore-output"]
from IPython.display import Markdown, display

from gan_helpers.generators import show_samples


def trained_on(source):
    """The shipped generators whose recipe is made for a data set."""
    return [name for name in generators.shipped() if name in recipes.RECIPES and recipes.get(name).data == source]


for name in trained_on("mnist") + trained_on("celeba"):
    net = show_samples(name, n=16)
    about, card = net.recipe.about, net.card
    display(Markdown(f"`{name}`: {about}; {card['parameters']:,} parameters, {card['images_seen']:,} images seen"))

# %% [markdown]
# Any of them is one call away, as in GenZoo: `show_samples("conv-mnist")` loads a trained one and shows its images, and
# `runs.train("genzoo-cifar10")` (from `gan_helpers`) trains one from scratch, with `generator` and `discriminator` in what it returns;
# `.but(minutes=20)` on `recipes.get("genzoo-cifar10")` makes it shorter. It downloads CIFAR-10 (170 MB). On the command line: `python -m
# gan_helpers sample conv-mnist --n 64 --out digits.png` and `python -m gan_helpers train genzoo-cifar10 --minutes 20`.
#
# Now CIFAR-10. One seed, every shipped generator, **the same noise in each column**, nothing picked. Images of 64×64 are
# shrunk to 32×32, as the score of notebook 05 sees them. The letters are shuffled. They say nothing.
#
# **Task.** Take five minutes. Ask of each row: are there *things*? Whole ones? Different ones? Is the detail that of a
# photo? Then rank all letters, best first.

# %% tags=["nbval-ignore-output"]
from PIL import Image, ImageDraw

from gan_helpers.course.ranking import blind, seal


def samples(name, n=16):
    """Images (n, 3, 32, 32) from the course's one noise; a conditional net draws classes at random."""
    net = generators.load_generator(name)
    z = latent.draw_z(n, 128, seed=4)[:, : net.latent_dim]
    classes = torch.randint(10, (n,), generator=torch.Generator().manual_seed(4)) if net.num_classes else None
    return F.interpolate(latent.generate(net, z, classes), (32, 32), mode="bilinear", antialias=True)


letters = blind(trained_on("cifar10"))
print(len(letters), "generators:", "".join(letters))
sheet = Image.new("RGB", (24 + 16 * 68, 76 * max(1, len(letters))), "white")
for row, (letter, name) in enumerate(letters.items()):
    sheet.paste(plots.grid(samples(name), columns=16, scale=2), (24, 76 * row))
    ImageDraw.Draw(sheet).text((2, 76 * row + 22), letter, fill="black", font_size=20)
plots.show(sheet, alt="A page of generated images: one row for each generator, sixteen images in it, a letter before it", width=1000)

# %%
ranking = ""  # all letters, the best first, for example "CADB"
seal(ranking, letters)

# %% [markdown]
# The seal is a file in `exports/` with your ranking and its *digest*: eight characters that follow from it. Whoever
# changes the ranking later breaks the seal, and whoever seals another one gets another digest than the one you wrote
# down. Why so strict? Because once you have seen the scores, you will see them in the images. [Notebook
# 05](05_fid_evaluation.ipynb) measures the same generators and opens the seal.
#
# ## 9. Exercises
# **Exercise 1: coverage.** On a line: how often is each of the first `stride` outputs (away from the ends) covered by a
# transposed convolution with kernel size `kernel`? Return a list of `stride` whole numbers. No tensor needed.

# %%
from gan_helpers.course.exercises import check, hint, solution


def covers(kernel, stride):
    ...  # your code


check("04.1", covers)

# %% [markdown]
# **Exercise 2: the repair.** Write a layer from `c_in` to `c_out` channels that doubles the map, and that turns a constant
# map (all pixels of a channel equal) into a constant map, away from the border, whatever its weights are. It must still be able to draw detail of a single pixel.


# %%
def double(c_in, c_out):
    ...  # your code: an nn.Module


check("04.2", double)

# %% [markdown]
# **Exercise 3: Keras' `same`, transposed.** Keras cuts kernel − stride pixels off a transposed convolution's output, the
# smaller half in front. PyTorch's `padding` cuts equally at both ends. Return (`padding`, `crop`), where `crop` pixels
# are cut off the far end afterwards, for any kernel ≥ stride.


# %%
def translate(kernel, stride):
    ...  # your code: return padding, crop


check("04.3", translate)

# %% [markdown]
# **Exercise 4: is A better than B?** Three seeds of A scored 61, 64, 63; three seeds of B 70, 75, 72. If the two recipes
# were the same, any three of these six could have been A's. Return the share of all ways to deal the scores in which the
# two means lie at least as far apart (in either direction) as they do here. Your function must work for any two lists.
# Then try it on `by_size` of section 4.


# %%
def luck(a, b):
    ...  # your code


check("04.4", luck)

# %% [markdown]
# ## Summary
# - Two published recipes differ in eleven settings at once, besides their nets. A contrast changes one, at stated images
#   seen, parameters and seeds.
# - A convolution that covers the whole map *is* a linear layer.
# - Stride-2 transposed convolutions paint checkerboards: k5 by uneven coverage, k4 too, because each phase has its own
#   weights. Training fights them; a resize-convolution never has them, but blurs.
# - Enlarged images hold no new detail, and cost four times as much.
# - Flipping both labels, and G's target with them, changes nothing. Smoothing the fake side takes the slope from G's worst samples.
# - From Keras: `same` with k5 s2 is 1 before, 2 after; BatchNorm momentum m becomes 1 − m, and its ε is .001.
#
# **Can you answer these without looking?**
# 1. A generator with 4×4 kernels, stride 2, shows a chessboard. What must be the cause: (a) too few steps, (b) uneven
#    coverage, (c) neither need be?
# 2. What does linDCGAN's linear layer let it draw that a first transposed convolution cannot?
# 3. Targets (.95, .05), G far from the data, D very good: what does G's gradient do, and with (.95, 0)?
# 4. Keras' momentum .9 is which number in PyTorch? Which of losses and samples would a wrong one change?
# 5. Three seeds of A, three of B, and the worst of A is better than the best of B. How often would luck alone deal the six
#    scores so, in one direction or the other?
#
# <details><summary>Answers</summary>
#
# 1. (c): coverage is even, and longer training only fights it; each phase has weights of its own. 2. Nothing: at
#    that place they are the same function. 3. It vanishes, for D* is flat where only fakes lie; with (.95, 0) it is exactly that of
#    hard targets. 4. .1; samples in evaluation mode only. 5. In 2 of 20 deals: 1 in 10.
# </details>
#
# **Next:** [05 · How good is it?](05_fid_evaluation.ipynb) **Papers:** Radford et al. 2016 (DCGAN),
# [arXiv:1511.06434](https://arxiv.org/abs/1511.06434); Odena et al. 2016 (checkerboards),
# [distill.pub](https://distill.pub/2016/deconv-checkerboard/); Salimans et al. 2016 (one-sided smoothing),
# [arXiv:1606.03498](https://arxiv.org/abs/1606.03498); Ioffe & Szegedy 2015 (BatchNorm),
# [arXiv:1502.03167](https://arxiv.org/abs/1502.03167); Durall et al. 2020 (spectra of generated images),
# [arXiv:2003.01826](https://arxiv.org/abs/2003.01826).
