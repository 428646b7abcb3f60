# %% [markdown]
# # 07 · Attention, and the small recipe opened
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/notebooks/07_self_attention.ipynb)
#
# **Aim.** Bound how steep a discriminator can be, and check the bound; see how far a convolution reaches and what attention
# adds; repair a published SAGAN; then open the sealed recipe of notebook 00, part by part.
#
# | | |
# |---|---|
# | You need | notebooks 01, 02 and 05 |
# | Time | 90 minutes, of which your computer works for about two (two CPU cores) |
# | Data | `fashion` and `faces` (embedded) |
# | Words introduced | spectral norm, spectral normalisation, receptive field, self-attention, ablation |

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
# 1. All weights of D are divided by their spectral norm. An image moves by 1. By how much can D's output move at most: 1?
# 2. How many 3×3 convolutions does it take until one corner of a 16×16 map can matter to the opposite corner?
# 3. A recipe with six improvements beats one with none. Which improvement do you thank?

# %% [markdown]
# ## 1. How much can a layer stretch?
# A linear layer turns a sphere of inputs into an ellipsoid. The longest half-axis, the most that any input of length 1 can
# grow, is the **spectral norm** σ of its matrix: the largest singular value. To find it, no decomposition is needed. Go forth
# and back, again and again, and whatever direction is stretched most wins (**power iteration**):
#
# $$u \leftarrow \frac{Wv}{\|Wv\|}, \qquad v \leftarrow \frac{W^\top u}{\|W^\top u\|}, \qquad \sigma \approx \|W^\top u\|.$$

# %%
import torch
from matplotlib.figure import Figure

from gan_helpers import plots

w = torch.tensor([[1.6, 0.9], [-0.3, 0.8]], dtype=torch.float64)
v, estimates = torch.tensor([0.0, 1.0], dtype=torch.float64), []
for _ in range(6):
    u = w @ v / (w @ v).norm()
    v = w.T @ u
    estimates.append(v.norm().item())
    v = v / v.norm()
print("estimates:", [round(s, 3) for s in estimates], "| by decomposition:", round(torch.linalg.svdvals(w)[0].item(), 3))

# %%
angle = torch.linspace(0, 6.2832, 200, dtype=torch.float64)
circle = torch.stack([angle.cos(), angle.sin()])  # (2, 200)
figure = Figure(figsize=(6.4, 2.6), layout="constrained")
for axes, points, arrow, name in zip(figure.subplots(1, 2), (circle, w @ circle), (v, w @ v), ("inputs of length 1", "what W makes of them")):
    axes.plot(*points.numpy(), color=plots.BLUE)
    axes.annotate("", arrow.tolist(), (0, 0), arrowprops={"arrowstyle": "->", "color": plots.ORANGE, "linewidth": 2})
    axes.set(title=name, aspect="equal", xlim=(-2.1, 2.1), ylim=(-1.4, 1.4))
plots.show(figure, alt="Left a circle with an arrow v; right the ellipse that W makes of it, with the arrow Wv along its longest half-axis")

# %% [markdown]
# **Spectral normalisation** uses W/σ instead of W, in every layer of D. Then each layer stretches by at most 1, and so does their
# chain (LeakyReLU stretches by at most 1, too): D is **1-Lipschitz**. Its gradient can nowhere be longer than 1, so it cannot become a cliff,
# which is what a Wasserstein critic needs, and what any GAN likes (notebook 01).
#
# So it is told. **Predict:** after spectral normalisation, a convolution stretches no input by more than 1. True (a) always, (b) only for stride
# 1, (c) no?
#
# ## 2. A convolution is not its kernel
# A convolution's weight is a tensor (out, in, k, k). PyTorch, like the paper, flattens it into a matrix (out, in·k·k) and divides by *that
# matrix's* σ. But the matrix only describes what happens to **one patch**. Patches overlap, so a pixel counts several times. The
# convolution as a whole is a far larger matrix. Power iteration works on it just as well: forth by the convolution, back by its
# transpose.

# %%
import torch.nn.functional as F


def stretch(weight, size, stride, padding=1, steps=100):
    """Spectral norm of a convolution on maps of `size` x `size`: by power iteration through the convolution itself."""
    v = torch.randn(1, weight.shape[1], size, size, dtype=weight.dtype, generator=torch.Generator().manual_seed(0))
    for _ in range(steps):
        u = F.conv2d(v / v.norm(), weight, stride=stride, padding=padding)
        v = F.conv_transpose2d(u / u.norm(), weight, stride=stride, padding=padding)  # the transpose (notebook 02)
    return v.norm().item()


def divided(weight):
    """The weight as spectral normalisation leaves it."""
    return weight / torch.linalg.matrix_norm(weight.flatten(1), 2)


# %%
rng = torch.Generator().manual_seed(0)
kinds = {
    "random, 4x4, stride 2": (torch.randn(64, 64, 4, 4, generator=rng), 2),
    "random, 3x3, stride 1": (torch.randn(64, 64, 3, 3, generator=rng), 1),
    "constant, 3x3, stride 1": (torch.ones(1, 1, 3, 3), 1),
}
for name, (weight, stride) in kinds.items():
    matrix = torch.linalg.matrix_norm(divided(weight).flatten(1), 2).item()
    print(f"{name:<24} the matrix stretches by {matrix:.2f}, the convolution by {stretch(divided(weight), 16, stride):.1f}")
assert abs(stretch(divided(kinds["constant, 3x3, stride 1"][0]), 16, 1) - 2.93) < 0.01

# %% [markdown]
# (c). Each of these layers is 'normalised', and each stretches: by 1.2, by 1.5, and by 2.9 where the kernel is a plain sum (on a flat image nine
# overlapping patches agree). It can never exceed k/stride, rounded up: 3 for 3×3 with stride 1, 2 for 4×4 with stride 2. So
#
# > *Spectral normalisation makes a convolution 1-Lipschitz* is wrong. It makes it **bounded**: D has *some* fixed limit, which
# > no training step can lift. That is the part that helps.

# %% [markdown]
# ## 3. Before and after, in a D that trains
# Let a D learn alone, by cross-entropy: real clothes against the same clothes upside down. It always wins, and the question is how steep it
# gets. With and without spectral normalisation, three seeds each.
#
# **Predict.** Look at the longest gradient on real images, step by step. Is it smaller with spectral normalisation (a) from the start, (b) never,
# (c) in the end?

# %%
from tqdm.auto import tqdm

from gan_helpers import data, recipes
from gan_helpers.losses import bce_d
from gan_helpers.models import build_discriminator

clothes = data.load("fashion", 16)
real = torch.from_numpy(clothes.images).float() / 127.5 - 1  # (9000, 1, 16, 16)
small = recipes.get("small-cifar10").but(data="fashion", labels="", image_size=16, channels=1, d_width=8)


def slope(d, x):
    """Length of D's gradient at each image (N,)."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(d(x).sum(), x)[0].flatten(1).norm(dim=1)


def learn_alone(norm, seed, steps=400):
    """A trained D, and the longest gradient at 256 real images after every twentieth step."""
    torch.manual_seed(seed)
    d = build_discriminator(small.but(net={"d_norm": norm}))
    optimizer, steep = torch.optim.Adam(d.parameters(), 2e-3, betas=(0.5, 0.99)), []
    for step in range(steps):
        rows = torch.randint(len(real), (2, 64))
        loss = bce_d(d(real[rows[0]]), d(real[rows[1]].flip(2)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 19:
            steep.append(slope(d, real[:256]).max().item())
    return d, steep


# %%
alone = {"none": [], "spectral": []}
for norm in tqdm([*alone] * 3, desc="six Ds"):  # about half a minute
    alone[norm].append(learn_alone(norm, seed=len(alone[norm])))
figure = Figure(figsize=(6, 2.8), layout="constrained")
axes = figure.subplots()
for (norm, runs), colour, style in zip(alone.items(), (plots.ORANGE, plots.BLUE), ("--", "-")):
    for seed, (_, steep) in enumerate(runs):
        name = {"none": "as it is", "spectral": "spectral normalisation"}[norm]
        axes.plot(range(20, 401, 20), steep, style, color=colour, label=name if seed == 0 else None)
axes.set(xlabel="step of D", ylabel="longest gradient", ylim=(0, None))
axes.legend()
axes.grid(alpha=0.3)
plots.show(figure, alt="The longest gradient over 400 steps of D, three runs each: the solid lines with normalisation rise first and level off, the dashed ones without it overtake them and go on rising")

# %% [markdown]
# (c). At first the normalised D is the *steeper* one: its weights start tiny, and dividing by σ lifts them to size 1. Then it levels off, while
# the other goes on climbing. Spectral normalisation does not make D flat. It sets an end to its steepness.
#
# Now look inside one of the normalised nets: what was each weight's σ before the division, what is it after, and how much does the
# *convolution* stretch?

# %% tags=["nbval-ignore-output"]
d = alone["spectral"][0][0].eval()
size, bound = 16, 1.0
print(f"{'layer':<12}{'σ before':>10}{'σ after':>9}{'convolution stretches by':>26}")
for layer in [m for m in d.modules() if isinstance(m, torch.nn.Conv2d)]:
    before = torch.linalg.matrix_norm(layer.parametrizations.weight.original.flatten(1), 2).item()
    after = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
    by = stretch(layer.weight.detach(), size, layer.stride[0], layer.padding[0])
    size, bound = (size + 2 * layer.padding[0] - layer.kernel_size[0]) // layer.stride[0] + 1, bound * by
    print(f"{tuple(layer.kernel_size)!s:<12}{before:>10.2f}{after:>9.2f}{by:>26.2f}")
steepest = slope(d, real[:1000]).max().item()
print(f"limit of the whole net {bound:.1f}; steepest of 1,000 images {steepest:.1f}")
assert 1 < steepest < bound

# %% [markdown]
# The σ after is 1 or a little more (one step of power iteration for each forward pass runs slightly behind the weights; by as much the last
# column may exceed k/stride). The limit of the whole net is the product of the last column. And among a thousand real images we found a gradient well above 1: this normalised D is *not*
# 1-Lipschitz. It is steeper than 1 and less steep than its limit.
#
# **The hinge** goes with this. It stops pushing once an image is on the right side by 1, so D spends its bounded slope on the images that it still
# confuses, while G follows D's slope everywhere (its loss is −D, notebook 01):

# %%
with torch.no_grad():
    a, b = d(real[:1000]), d(real[:1000].flip(2))
print("share of real images that D's hinge ignores is above one half:", ((a > 1).float().mean() > 0.5).item())
fake = real[:1].flip(2).requires_grad_()
(gradient,) = torch.autograd.grad(-d(fake).sum(), fake)
print("G's gradient on a fake is the slope of D, whatever D says:", torch.allclose(gradient.norm(), slope(d, fake.detach())[0]))

# %% [markdown]
# ## 4. How far a convolution reaches
# An output pixel of a 3×3 convolution sees 3×3 inputs; after two layers 5×5, after n layers 2n + 1: its **receptive field**. Corner to corner on a
# 16×16 map takes fifteen layers. In D strides make reach cheap. In G they work the other way: each layer spreads a position over a few pixels and
# looks at its near neighbours only. What G draws at the left shoulder and at the right one, it must have agreed upon earlier, on a coarse map.
#
# **Self-attention** lets every position look at every other, in one layer. From each position's features come a query, a key and a value (1×1
# convolutions). Position i compares its query with all keys, and takes the mean of all values, weighted by how well they fit:
#
# $$A_{ij} = \operatorname*{softmax}_j\,(q_i \cdot k_j), \qquad \text{out}_i = x_i + \gamma\, W_o \sum_j A_{ij}\,v_j ,$$
#
# where $W_o$ is one more 1×1 convolution, back to the map's channels.

# %%
from torch import nn


class SelfAttention(nn.Module):
    def __init__(self, channels, inner):
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(channels, inner, 1, bias=False) for _ in range(3))
        self.out = nn.Conv2d(inner, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def attention(self, x):
        q, k = self.query(x).flatten(2), self.key(x).flatten(2)  # (N, inner, HW)
        return (q.mT @ k).softmax(-1)  # (N, HW, HW): row i is what position i takes from each j

    def forward(self, x):
        v = self.value(x).flatten(2)  # (N, inner, HW)
        taken = (v @ self.attention(x).mT).unflatten(2, x.shape[2:])  # (N, inner, H, W)
        return x + self.gamma * self.out(taken)


layer, x = SelfAttention(16, 2), torch.randn(2, 16, 16, 16, generator=rng)
print("map", tuple(layer.attention(x).shape), "| rows sum to 1:", torch.allclose(layer.attention(x).sum(-1), torch.ones(2, 256)))

# %% [markdown]
# γ is one learned number that starts at **zero**. **Predict:** we draw the attention maps of a brand-new layer. What do they tell about the net?

# %%
maps = layer.attention(x)
print("is the layer the identity, exactly?", torch.equal(layer(x), x))
layer.query.weight.data.mul_(5)
print("other maps:", (layer.attention(x) - maps).abs().max().item() > 0.01, "| same output:", torch.equal(layer(x), x))

# %% [markdown]
# Nothing. With γ = 0 the maps can be anything, and the output is the input. So whoever shows you attention maps should tell you γ, and how much the image
# changes without them.

# %% [markdown]
# ## 5. Maps over images
# So we train one: our `small` family at 32×32, with attention on the 16×16 map, on four kinds of clothes. In so short a training γ would
# hardly leave 0 (in our trial it reached −0.03, and the images without attention differed by 0.3 of 255 grey levels). So we start it at
# **one**: this G has to draw with attention from its first step. The cell takes about a minute on two idle cores.

# %% tags=["nbval-ignore-output"]
import numpy as np

from gan_helpers.callbacks import Progress
from gan_helpers.training import Trainer

fashion = data.load("fashion", 32)
kinds = [fashion.class_names.index(name) for name in ("Trouser", "Dress", "Sneaker", "Bag")]
four = fashion.take(np.isin(fashion.labels, kinds), "fashion, four kinds")
attentive = recipes.get("small-cifar10").but(
    name="attentive", data="fashion", labels="", channels=1, flip=False, augment="", net={"attention": True}, latent_dim=64,
    real_target=1, batch_size=64, g_width=16, d_width=16, g_lr=1e-3, d_lr=1e-3, ema=0.99,
    steps=here.pick(cpu=300, gpu=600, test=3),
)  # fmt: skip
trainer = Trainer(attentive, four.images, here.device)
for g in (trainer.generator, trainer.ema):
    g.attention.gamma.data.fill_(1.0)  # at work from the first step
net = trainer.fit([Progress()]).ema.cpu().eval().requires_grad_(False)

# %%
from gan_helpers import latent
from gan_helpers.models import blocks


def look(net, z):
    """Images (N, C, 32, 32) of z, and the maps (N, 256, 256) of the net's attention while it drew them."""
    layer = next(m for m in net.modules() if isinstance(m, blocks.SelfAttention))
    seen = []
    handle = layer.register_forward_hook(lambda _, inputs, output: seen.append(layer.attention(inputs[0])))
    images = latent.generate(net, z)
    handle.remove()
    return images, seen[0]


z = latent.draw_z(8, 64, seed=3)
images, maps = look(net, z)
print("images", tuple(images.shape), "| maps", tuple(maps.shape))
plots.show(plots.grid(images, columns=8, scale=2), alt="Eight generated clothes of 32 by 32 pixels: trousers, dresses, shoes, bags")

# %% [markdown]
# **First, γ.** How much does attention do here at all?

# %% tags=["nbval-ignore-output"]
gamma = net.attention.gamma.item()
net.attention.gamma.data.zero_()
without = latent.generate(net, z)
net.attention.gamma.data.fill_(gamma)
print(f"γ = {gamma:+.3f}; without attention the images change by {255 / 2 * (images - without).abs().mean():.1f} of 255 grey levels")

# %% [markdown]
# That is little, though more than nothing: attention adds a touch. (Look at this number first, whenever you are shown maps.)
#
# **Then the maps.** Below: the picture with the attention of *one* query position laid over it in orange, the query framed in blue. If it
# attended to all 256 positions alike, each would get 1/256; full orange is three times that or more.
#
# **Task.** Choose an image and drag the mark over the pad (or use the arrow keys, with Shift for larger steps). Find the two queries of one image whose
# maps differ most. Write down where they lie.

# %%
from PIL import Image, ImageDraw


def overlay(image, weights, query):
    """image (C, 32, 32), the weights (16, 16) over it in orange, full at 3 times an equal share; the query framed in blue."""
    picture = np.asarray(plots.grid(image[None]).resize((256, 256), Image.Resampling.NEAREST), dtype=float)
    strength = np.kron((weights * 256 / 3).clip(0, 1), np.ones((16, 16)))[..., None]  # (256, 256, 1)
    mixed = Image.fromarray((picture + 0.8 * strength * ((213, 94, 0) - picture)).astype(np.uint8))
    top, left = 16 * query[0], 16 * query[1]
    ImageDraw.Draw(mixed).rectangle([left, top, left + 15, top + 15], outline=plots.BLUE, width=3)
    return mixed


def map_of(k, query):
    """Where position `query` of image k looks, (16, 16)."""
    return maps[k, 16 * query[0] + query[1]].view(16, 16).numpy()


# %% tags=["nbval-ignore-output"]
import ipywidgets as widgets

from gan_helpers.widgets import Pad, Picture

pad, picture = Pad(reach=8, label="Query point"), Picture(width=320)
choice = widgets.Dropdown(options=[(f"image {k + 1}", k) for k in range(8)], description="image")


def draw(change=None):
    column, row = (min(15, int((place + 8.5) / 17 * 16)) for place in pad.place)
    weights = map_of(choice.value, (row, column))
    near = weights[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].sum()
    words = f"row {row}, column {column}: {1 - near:.0%} of the attention goes beyond the neighbours"
    picture.show(overlay(images[choice.value], weights, (row, column)), f"Where a query looks, in orange. {words}", words)


def choose(change=None):
    pad.show(plots.grid(images[choice.value][None], scale=8))
    draw()


pad.observe(draw, "place"), choice.observe(choose, "value"), choose()
widgets.VBox([choice, widgets.HBox([widgets.Box([pad], layout=widgets.Layout(width="330px")), picture])])

# %% [markdown]
# The same as a picture: four images, three queries each.

# %%
queries = [(4, 5), (8, 8), (12, 11)]
sheet = Image.new("RGB", (4 * 264, 3 * 264), "white")
for column, k in enumerate((0, 1, 2, 3)):
    for row, query in enumerate(queries):
        sheet.paste(overlay(images[k], map_of(k, query), query), (264 * column, 264 * row))
plots.show(
    sheet.resize((792, 594)),
    alt="Twelve pictures: a generated garment in each column, a framed query in each row, and in orange where that query looks",
)

# %% [markdown]
# It is tempting to see meaning in such pictures. Ask for a number first: how much of their attention do two queries of one image place on the same
# positions? If each looked at something else, it would be near 0; if no query mattered, 100 %.

# %% tags=["nbval-ignore-output"]
some = maps[:, ::17]  # (8, 16, 256): sixteen queries of each image
common = torch.minimum(some[:, :, None], some[:, None]).sum(3)  # (8, 16, 16)
others = ~torch.eye(16, dtype=torch.bool)
print(f"two queries of one image have {common[:, others].mean():.0%} of their attention in common")

# %% [markdown]
# Nearly nine tenths in the run kept here. Most queries spread their attention almost evenly; some prefer the garment, one the background, and several
# take every second position: a chessboard (two transposed convolutions with stride 2 stand before this map, notebook 04). Its attention is largely the
# same *average* for all. That can be of use, for every position learns something about the whole. But it is not the story
# that is usually told beside such pictures, in which each part looks at its counterpart. Measure before you tell.
#
# ## 6. Beside the convolution's reach
# A map says where a position *looks*. What reaches the *image*? Ask the gradient: how much does each of the 256 positions before attention
# matter to one small square of the finished image, with attention, and with γ set to 0? **Predict** how many of the 256 matter at all in each
# case. (After the map there is one transposed convolution 4×4 with stride 2, and a 3×3 convolution.)


# %%
def influence(query, gamma, k=0):
    """Length of the gradient of the image's 2x2 square at `query` at each position before attention: (16, 16)."""
    seen, row, column = [], 2 * query[0], 2 * query[1]

    def cut(layer, inputs):
        seen.append(inputs[0].detach().requires_grad_())
        return tuple(seen)

    handle, kept = net.attention.register_forward_pre_hook(cut), net.attention.gamma.item()
    net.attention.gamma.data.fill_(gamma)
    net(z[k : k + 1])[..., row : row + 2, column : column + 2].sum().backward()
    net.attention.gamma.data.fill_(kept)
    handle.remove()
    return seen[0].grad[0].norm(dim=0)


alone, together = influence((8, 5), 0.0), influence((8, 5), gamma)
print(f"positions that matter: {(alone > 0).sum()} by the convolutions alone")
print(f"with attention more than 200: {(together > 0).sum().item() > 200}")

# %%
from matplotlib.patches import Rectangle

figure = Figure(figsize=(7, 2.9), layout="constrained")
beyond = 1 - together[alone > 0].sum() / together.sum()
names = "convolutions alone (γ = 0)", f"with attention: {beyond:.0%} from beyond the nine"
for axes, values, name in zip(figure.subplots(1, 2), (alone, together), names):
    shown = axes.imshow((values / values.max()).clamp_min(1e-5).log10(), cmap="cividis", vmin=-5, vmax=0)
    axes.set(title=name, xticks=[], yticks=[])
    axes.add_patch(Rectangle((4.5, 7.5), 1, 1, fill=False, edgecolor="white"))
figure.colorbar(shown, ax=figure.axes, label="influence, powers of ten")
plots.show(figure, alt="Left: nine bright cells around the query, all else dark. Right: the same nine, and every other cell at a lower level")

# %% [markdown]
# Nine positions, a 3×3 square: that is the convolutions' whole reach from here. With attention every position has a say. Each of the other
# 247 weighs some two hundred times less than the query itself; what they weigh together stands in the title.

# %% [markdown]
# ## 7. A published SAGAN, and two faults
# One of the projects behind this course trains a SAGAN on CIFAR-10 and reports an FID *worse* than its DCGAN's. Is attention bad? Look at its loss first. In
# Keras a loss gets (target, prediction). Its 'Wasserstein' loss is the mean of their product, with targets of exactly 1 for real and 0 for fake
# images; its D ends in a sigmoid. **Predict:** we exchange D's batch of fakes for another. How much does D's gradient change?

# %%
def as_published(real_logits, fake_logits):
    """mean(target · prediction), with target 1 for real and 0 for fake; a prediction is a sigmoid's."""
    return (1.0 * real_logits.sigmoid()).mean() + (0.0 * fake_logits.sigmoid()).mean()


def change(loss):
    """How much D's gradient changes if its fakes are exchanged for others."""
    torch.manual_seed(0)
    d, found = build_discriminator(small.but(net={"d_norm": "none"})), []
    for fake in (real[:64].flip(2), torch.rand(64, 1, 16, 16) * 2 - 1):
        gradient = torch.autograd.grad(loss(d(real[:64]), d(fake)), d.parameters())
        found.append(torch.cat([g.flatten() for g in gradient]))
    return (found[0] - found[1]).abs().max().item()


print("as published:", change(as_published))

# %%
from gan_helpers.losses import wasserstein_d  # mean on fakes less mean on real: the targets are -1 and +1

print("as intended, above zero:", change(wasserstein_d) > 1e-4)

# %% [markdown]
# Exactly 0: zero times anything. That D never learns what a fake is; it only pushes its answer on real images down to 0. The recipe `sagan-cifar10`
# has the evident intention. The second fault is the softmax's axis:

# %%
scores = torch.randn(1, 256, 256, generator=rng) * 3
for name, axis in (("as published, over the queries", 1), ("repaired, over the keys", 2)):
    taken = scores.softmax(axis).sum(2)
    print(f"{name:<31} a position takes between {taken.min():.1f} and {taken.max():.1f} in all")
assert torch.allclose(scores.softmax(2).sum(2), torch.ones(1, 256), atol=1e-4)

# %% [markdown]
# On these random scores, with the wrong axis, some positions take a third of what they should, others nearly three times as much. So *SAGAN is worse than DCGAN* was no evidence about
# attention: one run each, 1,000 images, and a D that saw no fakes. If `sagan-cifar10` is in your copy of the course, here are its maps; otherwise our small net's.

# %% tags=["nbval-ignore-output"]
from gan_helpers import generators

if "sagan-cifar10" in generators.shipped():
    sagan = generators.load_generator("sagan-cifar10")
    shown, sagan_maps = look(sagan, latent.draw_z(4, sagan.latent_dim, seed=1))
    layer = next(m for m in sagan.modules() if isinstance(m, blocks.SelfAttention))
    gamma = layer.gamma.item()
    layer.gamma.data.zero_()
    without = latent.generate(sagan, latent.draw_z(4, sagan.latent_dim, seed=1))
    layer.gamma.data.fill_(gamma)
    print(f"sagan-cifar10, {sagan.card['images_seen']:,} images seen; γ = {gamma:+.3f}; without attention the images")
    print(f"change by {255 / 2 * (shown - without).abs().mean():.1f} of 255 grey levels. If that is next to nothing, so is what the maps tell.")
else:
    shown, sagan_maps = images[4:], maps[4:]
    print("sagan-cifar10 is not in this copy of the course; these are four more images of section 5.")
sheet = Image.new("RGB", (4 * 264, 264), "white")
for k in range(4):
    sheet.paste(overlay(shown[k], sagan_maps[k, 16 * 8 + 8].view(16, 16).numpy(), (8, 8)), (264 * k, 0))
plots.show(sheet.resize((792, 198)), alt="Four generated images with the attention of the middle position over each in orange")

# %% [markdown]
# ## 8. The sealed recipe, opened
# In notebook 00 you trained faces in a minute by a recipe that was sealed. Here is what it has that the textbook's DCGAN has not:

# %%
sealed, textbook = recipes.get("first-minute"), recipes.get("dcgan-celeba").but(ema=0)
for field, (mine, theirs) in sealed.differs(textbook).items():
    if field in ("net.d_norm", "loss", "augment", "g_lr", "d_lr", "beta2", "decay", "ema", "batch_size"):
        print(f"{field:<10} {mine!s:<12} instead of {theirs or 'none'}")

# %% [markdown]
# | part | what it does |
# |---|---|
# | spectral normalisation | bounds D's slope (section 1) |
# | hinge | D leaves alone what it has right by 1 (section 3) |
# | brightness | shifts the brightness of real *and* fake images before D: it cannot win by exact colours (DiffAugment) |
# | rates | faster, D twice as fast as G, and Adam forgets sooner (β₂ = .99) |
# | decay | both rates fall to zero at the end |
# | moving average | the pictures are made by the average of G's weights (notebook 02) |
# | small batches | 32 images instead of 128: more steps in the same minute |
#
# The last part was added last: with batches of 32, not 64, and nets of 24 maps, not 32, a minute comes to a distance of 95, not 259 (three seeds each; `benchmarks/results/first_minute.txt`).
# Below every run has batches of 64 and as many steps as the others. Which of the first six does it? An **ablation** answers, and there are two. *Cumulative*: start from the textbook and add one part after the other. *Leave one out*:
# start from the whole and take away one part. **Predict** for both: which part matters most, and which could you drop?
#
# The command `python benchmarks/ablation.py parts` trained all of them: faces at 16×16, 32,000 images seen by each, distance through `faces-net` of 500
# fakes against the 1,000 held-out faces, three seeds:

# %%
import json
from pathlib import Path

kept = json.loads(Path("../benchmarks/results/parts.json").read_text())  # name → seed → scores


def distances(name, which):
    """Of every seed; `plain` is scored without the moving average."""
    return [run[which]["distance"] for run in kept[name].values()]


parts = ["spectral normalisation", "hinge", "brightness", "rates", "decay"]
added = {name: distances(name, "plain") for name in ("textbook", *(f"+ {part}" for part in parts))}
added["+ moving average"] = whole = distances("+ decay", "average")
left_out = {f"without {part}": distances(f"without {part}", "average") for part in parts[:-1]}
left_out |= {"without decay": distances("+ rates", "average"), "without moving average": distances("+ decay", "plain")}
floor = kept["real images"]["0"]["average"]["distance"]
for name, values in (added | {"": []} | left_out | {"real images": [floor]}).items():
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    print(f"{name:<31}" + (f"{np.mean(values):8.1f}{spread:<8} {len(values)} seeds" if values else ""))

# %%
figure = Figure(figsize=(9, 3.2), layout="constrained")
for axes, rows, title in zip(figure.subplots(1, 2, sharex=True), (added, {"the whole": whole} | left_out), ("one part after the other", "one part left out")):
    for k, values in enumerate(rows.values()):
        axes.plot(values, [k] * len(values), "o", color=plots.BLUE, alpha=0.6)
        axes.plot(np.mean(values), k, "|", color="black", markersize=16)
    axes.axvline(np.mean(whole), color=plots.ORANGE, linestyle=":")
    axes.set(yticks=range(len(rows)), yticklabels=list(rows), title=title, xlim=(0, 110), xlabel="FD(faces-net), lower is better")
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
plots.show(figure, alt="Two columns of dots, a dot for each seed and a bar at each mean. Left: parts added to the textbook one by one. Right: the whole recipe, and it less each part")

# %% [markdown]
# The left panel thanks spectral normalisation: with it the textbook comes down from about 85 to about 28, and what is added after it moves the mean
# by little more than the seeds scatter. The right panel says: leave spectral normalisation out of the whole, and nothing is lost (on average these
# runs are even the best); only without the fast *rates* is it clearly worse. Both panels are right.
#
# - At the textbook's slow rates and in 500 steps a D with BatchNorm gets nowhere, and spectral normalisation saves it. At the faster rates BatchNorm
#   does as well. **Parts stand in for each other**, and an ablation in one direction gives all the thanks to whichever came first.
# - The fast rates alone make the seeds scatter widely ('+ rates'). Decay and moving average both calm that. Without one of them the loss is small, for the
#   other is still there.
# - At the slow rates these two do harm: '+ brightness', which has neither, is at about 31, 'without rates', which has both, at about 40. In 500 slow steps decay
#   cuts short what is not yet learned, and the average lags behind. **Parts also need one another.**
# - Hinge and brightness earn nothing that three seeds could show *here*. Faces at 16×16 and 500 steps are not CIFAR-10 and 20,000: a table
#   speaks for its own setting.
#
# ## 9. The same, for longer
# `small-cifar10` is what was left when normalisation, loss, augmentation, batch size, rates and labels had to earn their place on CIFAR-10: four minutes of training on two cores for each
# choice, in the nets of section 5, wider and *without* attention (the record is `benchmarks/results/best_trials.txt`; one seed, so only wide gaps count).
# Spectral normalisation, hinge and DiffAugment are not in it: FD(cifar10-net) was 5.6 with them and 5.6 with BatchNorm and the textbook's loss in their
# place. Decay and moving average were kept untested; the rates are fast, but G's and D's are equal. (A run with D twice as fast as G ended at 13.3, the
# worst of all; but it had spectral normalisation and hinge, too, and no DiffAugment, so the rates alone are not to blame.) What helped most was none of
# these: batches of 32 images instead of 64, 1.7 times as many steps in the same four minutes, brought 5.1 down to 3.3. (Batches of 16 came to 3.1 while
# other work shared the machine, and to 2.5, 2.7 and 3.3 alone on it, later, with a trainer some 5 % faster; without momentum, β₁ = 0, to 2.6. The recipe has
# batches of 32 and momentum; whether these are the better choice for 20 minutes, nobody has tried.) Between an AC-GAN's head
# (notebook 06) and projection, 3.3 and 3.7, one seed cannot decide; the head was kept.
#
# It is no safe recipe for longer. Given 40 minutes, the distance fell to 1.9 at step 29,295, was 2.8 at step 31,248 and 38 at step
# 33,201: in between, every image of a class had become the same pattern (`benchmarks/results/best_forty_minutes.txt` has the curve). Class heads are known for such
# an end, and four minutes of training could not show it. So the recipe takes half as many steps, 20 minutes like the systems: its rates have fallen to 0
# before D gets that far. Even so, what ships is the generator with the lowest distance seen on the way. Keep the best, not the last; and train twice
# before you trust an ablation.
#
# `best-cifar10` gives up small nets. Its residual nets have eight times the parameters, an image takes sixty times the work, and it takes what
# this notebook showed to be safe: spectral normalisation, the hinge loss, and classes by projection. Its distance fell for as long as it
# trained, without a collapse. Two cores would take a day for it; a GPU took six minutes:

# %% tags=["nbval-ignore-output"]
from IPython.display import Markdown, display

from gan_helpers.generators import show_samples

for name in ("small-cifar10", "best-cifar10"):
    if name in generators.shipped():
        card = show_samples(name, n=48, seed=5).card
        text = f"`{name}`: {card['images_seen']:,} images seen, {card['parameters']:,} parameters"
    else:
        text = f"`{name}` is not in this copy of the course; section 5 has the small net."
    display(Markdown(text))

# %% [markdown]
# ## 10. Small first
# Much of what makes a face is there at 16×16 pixels, where a step costs little. So begin small and **grow**: a pair of nets for images of twice the size takes
# over every layer that it shares with the small one (Karras et al. 2018). And its new layers? Random ones would undo what both nets have learned. But they can
# start as what they replace (Chen et al. 2016): G's two new layers as an enlargement of the small image, D's as the mean of 2×2 pixels. Only the channels
# left over are new. A ReLU passes nothing negative on, so the image goes through it twice, as itself and negated: $x = \max(x, 0) - \max(-x, 0)$.
# `gan_helpers/growing.py` is short; read it.
#
# **Predict.** A pair learns cartoon faces at 16×16, then grows to 32×32 and gets no step more. Its images are (a) noise, (b) the same faces with noise
# over them, (c) the same faces, blurred?

# %% tags=["nbval-ignore-output"]
from gan_helpers.growing import grow

faces = data.load("faces")
pixels = {size: faces.resized(size, 3).images for size in (16, 32)}  # uint8 (N, 3, size, size)
young = recipes.get("small-cifar10").but(
    name="small", data="faces", family="dcgan", labels="", image_size=16, flip=False, g_width=32, d_width=24, latent_dim=64,
    beta1=0, g_lr=1e-3, d_lr=1e-3, decay=0, ema=0.99, steps=here.pick(cpu=600, gpu=600, test=3),
)  # fmt: skip
small = Trainer(young, pixels[16], here.device).fit([Progress()])
z = latent.draw_z(10, 64, seed=1)
at_16 = latent.generate(small.ema, z)

big = grow(small, pixels[32], decay=1, steps=here.pick(cpu=600, gpu=600, test=3))
just_grown = latent.generate(big.ema, z)
big.fit([Progress()])
trained_on = latent.generate(big.ema, z)

# %% tags=["nbval-ignore-output"]
rows = [plots.grid(at_16, columns=10, scale=4, gap=1), plots.grid(just_grown, columns=10, scale=2), plots.grid(trained_on, columns=10, scale=2)]
sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height + 8 for row in rows) - 8), "white")
for i, row in enumerate(rows):
    sheet.paste(row, (0, sum(r.height + 8 for r in rows[:i])))
plots.show(sheet, alt="Three rows of the same ten generated cartoon faces: at 16 pixels, blurred at 32 just after growing, and sharper and grainy at 32 after more training")

# %% [markdown]
# (c). Above, what the small G draws; in the middle, the grown one before its first step; below, after as many steps again. The coarse faces stay, and sharp
# edges come, with a grain that would need more steps. **Check it in numbers:** without the tanh, and away from the edge, the grown image *is* the interpolated small one.

# %%
again = grow(small, pixels[32], steps=1)
before, after = (t.ema.cpu().eval().layers[:-1](z[:, :, None, None]) for t in (small, again))
enlarged = F.interpolate(before, scale_factor=2, mode="bilinear")
gap = (after - enlarged)[:, :, 1:-1, 1:-1].abs().max().item()
print("largest difference below a hundred-thousandth of the range:", gap < 1e-5 * float(enlarged.max() - enlarged.min()))

# %% [markdown]
# What does it bring? On CelebA at 64×64, four minutes on two cores, FD(cifar10-net) of the small recipe in DCGAN's nets, mostly one run each (the record is
# `benchmarks/results/best_elsewhere.txt`):
#
# | | FD |
# |---|---|
# | its own settings | 1.2 (1.0 on another machine) |
# | without momentum (β₁ = 0, which lets two players settle who chase each other) | 0.9 |
# | without momentum, 108 seconds at 32×32, then grown | **0.7 and 0.8** (two runs) |
# | `conv-celeba` after 20 minutes | 0.9 |
#
# Do not thank the small images alone: rates, decay and mirroring changed with them. And look at what the distance does *not* see. It shrinks all
# images to 32×32; cut out at full size, most of the grown nets' images are farther from photographs than those of `conv-celeba`, for a fine grid is left in
# them. What you optimise gets better; look at the rest.

# %% [markdown]
# ## 11. Exercises
# **Exercise 1: the softmax's axis.** From queries and keys (N, C, P), P positions, the attention map (N, P, P): row i says what position i takes from each.

# %%
from gan_helpers.course.exercises import check, hint, solution


def attention_map(q, k):
    ...  # your code


check("07.1", attention_map)

# %% [markdown]
# **Exercise 2: one power step.** From a matrix `w` (out, in) and a vector `v` (in,) of length 1, return the estimate of σ and the new v. Sixty such steps
# must arrive at the largest singular value.


# %%
def power_step(w, v):
    ...  # your code


check("07.2", power_step)

# %% [markdown]
# **Exercise 3: an augmentation that kills G's gradient.** DiffAugment changes real and fake images before D sees them. Then G's gradient must pass *through* the
# augmentation. Given any `augment(x)` for x (N, 1, 8, 8), return True if it does. Two kinds fail, and only one of them raises an error.


# %%
def lets_through(augment):
    ...  # your code


check("07.3", lets_through)

# %% [markdown]
# **Exercise 4: carry it over.** `layers` is a list of (kernel, stride), from the image inwards. How many pixels wide is the receptive field of one position at
# the end?


# %%
def reach(layers):
    ...  # your code


check("07.4", reach)

# %% [markdown]
# ## Summary
# - A spectral norm is the most that a layer stretches; power iteration finds it by going forth and back.
# - Spectral normalisation divides by the norm of the flattened kernel. The convolution may still stretch, up to k/stride rounded up; but D is bounded.
# - A convolution reaches its neighbours; attention reaches everything at once. With γ = 0 it does nothing, whatever its maps show.
# - A loss whose fake term is multiplied by 0 trains a D that never saw a fake.
# - An ablation needs both directions, several seeds, and equal images seen.
# - Nets can grow without forgetting: new layers start as what they replace.
#
# **Can you answer these without looking?**
# 1. A normalised 3×3 convolution of stride 1 stretches some input by 1.5. Is there (a) a bug, (b) too little power iteration, (c) neither?
# 2. Somebody shows beautiful attention maps of a net with γ = 0. What do they say about its images?
# 3. Over which axis does attention's softmax run, and what sums to 1?
# 4. Adding part A to the textbook helps much; leaving A out of the whole recipe costs nothing. How can both be true?
# 5. An augmentation rounds pixels to 8 bits before D. D learns, no error is raised. What does G learn?
#
# <details><summary>Answers</summary>
#
# 1. (c): its matrix for one patch is normalised, and patches overlap. 2. Nothing: the layer is the identity. 3. Over the keys; each query's row.
# 4. Another part of the whole does the same work. 5. Nothing: the gradient of rounding is zero.
# </details>
#
# **Next:** [08 · The generator in your hands](08_latent_exploration.ipynb). **Papers:** Miyato et al. 2018 (spectral normalisation),
# [arXiv:1802.05957](https://arxiv.org/abs/1802.05957); Zhang et al. 2019 (SAGAN), [arXiv:1805.08318](https://arxiv.org/abs/1805.08318); Lim & Ye 2017 (hinge),
# [arXiv:1705.02894](https://arxiv.org/abs/1705.02894); Zhao et al. 2020 (DiffAugment), [arXiv:2006.10738](https://arxiv.org/abs/2006.10738); Sedghi et al. 2019
# (singular values of convolutions), [arXiv:1805.10408](https://arxiv.org/abs/1805.10408); Karras et al. 2018 (growing),
# [arXiv:1710.10196](https://arxiv.org/abs/1710.10196); Chen et al. 2016 (new layers that change nothing), [arXiv:1511.05641](https://arxiv.org/abs/1511.05641).
