# %% [markdown]
# # 02 · DCGAN on faces, by hand once
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/notebooks/02_dcgan_celeba.ipynb)
#
# **Aim.** Write a DCGAN and its training loop in full, once; prove that the course's helpers compute the same; then train
# with the helpers, interrupt, resume, and read what the run left behind.
#
# | | |
# |---|---|
# | You need | notebooks 00 and 01 |
# | Time | 100 minutes, of which your computer trains for about four (two CPU cores) |
# | Data | `faces` (cartoons, embedded); one switch changes to CelebA or to your own folder |
# | Words introduced | transposed convolution, DCGAN, moving average (EMA), checkpoint |

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
# 1. D says 0.5 for every image, real or fake. Has the game converged?
# 2. Which numbers turn a 4×4 map into 8×8, and which slip makes 66×66 images out of 64×64?
# 3. You draw the same z twice in different batches and get different images. Where is the bug?

# %% [markdown]
# ## 1. Faces, and whose they are
# The DCGAN that everybody trains first is the one on CelebA: 202,599 photos of celebrities, 64×64.
#
# **CelebA is not a neutral test pattern.** Its photos were collected from the web without asking the people in them. It is
# for *non-commercial research only*. Its 40 attributes are yes/no judgements by annotators, among them 'male', 'attractive'
# and 'pale skin': a binary that people don't have, a taste, and a norm. The people are mostly young, light-skinned,
# made-up and smiling, so a generator trained on it is, too. And a face generator can be misused: faces of nobody serve
# fake accounts as well as art. Train on faces of people who agreed, say that images are generated, and don't present
# attribute sliders as facts about people. This course therefore starts with cartoon faces, and shows no CelebA photo.
#
# One switch decides what this notebook trains on. `"celeba"` downloads 1.4 GB once (if the server's quota is used up,
# you are told what to do, and the cartoons serve meanwhile). A path to a folder or zip takes your own images.

# %%
from gan_helpers import data, plots

SOURCE = "faces"  # or "celeba", or a path such as "my_photos.zip"
images = data.load(SOURCE, image_size=64, channels=3, fallback="faces")
print(images.name, images.images.shape, images.images.dtype)
if images.shareable:
    plots.show(
        plots.grid(images.images[:24], columns=12),
        alt="Twenty-four real images of the data set: cartoon faces in two drawing styles",
    )

# %% [markdown]
# ## 2. Growing a map: the transposed convolution
# A strided convolution shrinks a map; the **transposed convolution** is its mirror image: every input pixel stamps a
# weighted copy of the kernel into the output, `stride` apart, and overlapping stamps add up. So
#
# $$\text{out} = (\text{in} - 1)\cdot\text{stride} - 2\cdot\text{padding} + \text{kernel}$$
#
# **Predict** the four sizes before you run the cell: from 1 with (kernel 4, stride 1, padding 0), and from 4, 8, 32 with
# (4, 2, 1).

# %%
import torch
from torch import nn

for size, (kernel, stride, padding) in [(1, (4, 1, 0)), (4, (4, 2, 1)), (8, (4, 2, 1)), (32, (4, 2, 1))]:
    out = nn.ConvTranspose2d(1, 1, kernel, stride, padding)(torch.zeros(1, 1, size, size)).shape[-1]
    assert out == (size - 1) * stride - 2 * padding + kernel
    print(f"{size:>2} → {out}")

# %% [markdown]
# One of the projects behind this course has a single wrong number in its last layer: padding 0. Everything still runs, and
# the images have a size that no real image has.

# %%
last_layer_as_published = nn.ConvTranspose2d(64, 3, 4, 2, padding=0)
last_layer_repaired = nn.ConvTranspose2d(64, 3, 4, 2, padding=1)
x = torch.zeros(1, 64, 32, 32)
print("as published:", tuple(last_layer_as_published(x).shape), "| repaired:", tuple(last_layer_repaired(x).shape))

# %% [markdown]
# ## 3. The two nets, in full
# The **DCGAN** (Radford et al. 2016) is a recipe for stable nets: only (transposed) convolutions, BatchNorm in both nets
# except at their ends, ReLU in G, LeakyReLU in D, tanh at G's end, all weights from N(0, 0.02²). Every line says what shape
# comes out. BatchNorm subtracts each channel's mean, so a bias before it would cancel, and adds a shift of its own. (The layers
# at the ends have no BatchNorm, and do without a bias as PyTorch's tutorial does.)


# %%
def up(c_in, c_out, stride=2, padding=1):
    return [nn.ConvTranspose2d(c_in, c_out, 4, stride, padding, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(True)]


def make_generator(latent_dim=100, w=64):
    return nn.Sequential(
        *up(latent_dim, 8 * w, stride=1, padding=0),  # (N, 512, 4, 4)
        *up(8 * w, 4 * w),  # (N, 256, 8, 8)
        *up(4 * w, 2 * w),  # (N, 128, 16, 16)
        *up(2 * w, w),  # (N, 64, 32, 32)
        nn.ConvTranspose2d(w, 3, 4, 2, 1, bias=False),  # (N, 3, 64, 64)
        nn.Tanh(),  # values in [-1, 1], like the data
    )


def down(c_in, c_out):
    return [nn.Conv2d(c_in, c_out, 4, 2, 1, bias=False), nn.BatchNorm2d(c_out), nn.LeakyReLU(0.2, True)]


def make_discriminator(w=64):
    return nn.Sequential(
        nn.Conv2d(3, w, 4, 2, 1, bias=False),  # (N, 64, 32, 32)
        nn.LeakyReLU(0.2, True),
        *down(w, 2 * w),  # (N, 128, 16, 16)
        *down(2 * w, 4 * w),  # (N, 256, 8, 8)
        *down(4 * w, 8 * w),  # (N, 512, 4, 4)
        nn.Conv2d(8 * w, 1, 4, 1, 0, bias=False),  # (N, 1, 1, 1)
        nn.Flatten(0),  # (N,) logits: positive means 'real'
    )


# %% [markdown]
# **Predict.** Which net has more parameters, and in which layer do most of them sit?

# %%
generator, discriminator = make_generator(), make_discriminator()
z = torch.randn(2, 100, 1, 1)
assert generator(z).shape == (2, 3, 64, 64) and discriminator(generator(z)).shape == (2,)
for name, net in (("G", generator), ("D", discriminator)):
    sizes = [(p.numel(), tuple(p.shape)) for p in net.parameters()]
    print(
        f"{name}: {sum(n for n, _ in sizes):,} parameters; the largest layer has {max(sizes)[0]:,}, shape {max(sizes)[1]}"
    )

# %% [markdown]
# In both, the largest layer, of two million parameters, sits where channels are widest, between 4×4 and 8×8, not where the
# image is large. These are exactly the numbers of PyTorch's own DCGAN tutorial.


# %%
def init_weights(module):
    """For `net.apply`: weights N(0, .02), BatchNorm weights N(1, .02)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


# %% [markdown]
# BatchNorm's weights start near **one**. Another of the projects behind this course starts them at N(**0**, 0.02²). Before
# and after:

# %%
torch.manual_seed(0)
for name, mean in (("as published, N(0, .02²)", 0.0), ("repaired, N(1, .02²)", 1.0)):
    net = make_generator(w=16).apply(init_weights)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.normal_(m.weight, mean, 0.02)
    spread = net(torch.randn(32, 100, 1, 1)).std().item()
    print(f"{name:<26} spread of the first images: {'below' if spread < 0.01 else 'above'} 0.01")

# %% [markdown]
# ## 4. The losses
# D returns a logit a, and D(x) = σ(a) is its probability of *real*. D minimises
#
# $$-\log D(x) - \log(1 - D(G(z)))$$
#
# and G minimises −log D(G(z)), the **non-saturating loss**: its slope is steepest where D rejects the fakes, where G needs
# it most. (In the original game G minimises log(1 − D(G(z))), which goes flat exactly there; notebook 01 shows both.) In code both are one
# function: binary cross-entropy with the right labels, computed from logits.
#
# **Predict.** A D that knows nothing says 0.5 always. What is its loss? And does 'D = 0.5' mean that G is perfect?

# %%
import torch.nn.functional as F


def bce(logits, label):
    """-log σ(a) for label 1, -log(1 - σ(a)) for label 0, mean over the batch."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


know_nothing = make_discriminator(w=8)
nn.init.zeros_(know_nothing[-2].weight)  # the last layer
real = torch.from_numpy(images.images[:16]).float() / 127.5 - 1
fake = make_generator(w=8)(torch.randn(16, 100, 1, 1))
loss = bce(know_nothing(real), 1.0) + bce(know_nothing(fake), 0.0)
d_real, d_fake = know_nothing(real).sigmoid().mean(), know_nothing(fake).sigmoid().mean()
print(f"loss {loss.item():.3f} = 2 log 2, D(x) = {d_real:.2f}, D(G(z)) = {d_fake:.2f}")
plots.show(
    plots.grid(fake[:8].detach(), columns=8),
    alt="Eight images of grey noise: what the untrained generator makes while D says one half",
)

# %% [markdown]
# Loss 1.386, D = 0.5 everywhere, and the images are noise. **'D = 0.5' does not mean converged**: it says that *this* D can't
# tell, and a zeroed layer can't tell anything. Loss values compare a net with its present opponent, nothing else.

# %% [markdown]
# ## 5. One step, and the loop, in full
# D learns to call real images real and fakes fake; then G learns from the updated D. `detach` keeps D's lesson out of G.


# %%
def train_step(generator, discriminator, g_opt, d_opt, real, z):
    """One update of D, then one of G. real (N, 3, 64, 64) in [-1, 1]; z (N, latent_dim, 1, 1). Returns both losses."""
    d_opt.zero_grad()
    fake = generator(z)  # (N, 3, 64, 64)
    d_loss = bce(discriminator(real), 1.0) + bce(discriminator(fake.detach()), 0.0)
    d_loss.backward()
    d_opt.step()

    g_opt.zero_grad()
    g_loss = bce(discriminator(fake), 1.0)  # G wants its fakes called real
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


# %% [markdown]
# The loop shuffles the images, scales them to [−1, 1] and calls the step. Nets of a quarter of the width make it short
# enough for a laptop.
#
# **Predict** the two losses after a hundred steps: who wins?

# %%
from tqdm.auto import tqdm

torch.manual_seed(0)
device, batch_size = torch.device(here.device), 64
generator = make_generator(w=16).apply(init_weights).to(device)
discriminator = make_discriminator(w=16).apply(init_weights).to(device)
g_opt = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
d_opt = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
losses, fixed_noise = [], torch.randn(24, 100, 1, 1, device=device)

order = torch.randperm(len(images))
for step in tqdm(range(here.pick(cpu=300, gpu=1000, test=4))):
    rows = order[torch.arange(step * batch_size, (step + 1) * batch_size) % len(images)]
    real = torch.from_numpy(images.images[rows.numpy()]).to(device).float() / 127.5 - 1
    z = torch.randn(batch_size, 100, 1, 1, device=device)
    losses.append(train_step(generator, discriminator, g_opt, d_opt, real, z))
assert all(loss > 0 for pair in losses for loss in pair)

# %%
with torch.no_grad():
    by_hand = generator(fixed_noise)
plots.show(
    plots.grid(by_hand, columns=12),
    alt="Twenty-four images from the loop written by hand, after three hundred steps: all the same grey texture",
)

# %%
figure = plots.curves({"d_loss": [d for d, _ in losses], "g_loss": [g for _, g in losses]})
plots.show(
    figure, alt="Losses of the loop by hand: D's falls towards zero within a hundred steps, G's climbs", width=560
)

# %% [markdown]
# The code is right (the next cell proves it), and yet D wins within a hundred steps: its loss falls towards zero. Cartoons
# are too easy for it. Their areas are perfectly flat, and G's never are, so D tells them apart by texture alone and G
# learns nothing about faces. On photos the same loop does better. Notebook 03 is about such failures; in section 8 the
# recipe for the cartoons has three cures.

# %% [markdown]
# ## 6. The helpers compute the same
# `gan_helpers.training.Trainer` does this step faster: images stay as bytes, D's weights are frozen while G learns, memory is
# laid out for the processor. *Faster must not mean other*: from the same weights, on the same batches, in double precision,
# five steps of both must agree to the last digits.

# %%
from gan_helpers import recipes
from gan_helpers.training import Trainer

plain = recipes.get("dcgan-celeba").but(g_width=8, d_width=8, batch_size=16, ema=0, steps=5)
trainer = Trainer(plain, images.images[:200], device="cpu", dtype=torch.float64)
mine = [make_generator(w=8).double(), make_discriminator(w=8).double()]
for net, theirs in zip(mine, (trainer.generator, trainer.discriminator)):
    net.load_state_dict(theirs.layers.state_dict())
optimisers = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in mine]

for step in range(5):
    with trainer.seeded(1, step):  # the batch and z that the helper's step will draw
        real, z = trainer.real_batch(step), trainer.sample_z()
    d_loss, g_loss = train_step(*mine, *optimisers, real, z[:, :, None, None])
    theirs = trainer.train_step()
    assert abs(d_loss - theirs[0]) < 1e-10 and abs(g_loss - theirs[1]) < 1e-10
for net, theirs in zip(mine, (trainer.generator, trainer.discriminator)):
    for a, b in zip(net.state_dict().values(), theirs.layers.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
print("After five steps all weights agree to ten digits.")

# %% [markdown]
# ## 7. Two things that loops by hand forget
# ### The mode of BatchNorm
# **Predict.** We draw the same z twice, each time with other z beside it in the batch. How many of its pixels change, in
# training mode and in evaluation mode?

# %%
z, company = torch.randn(1, 100, 1, 1, device=device), torch.randn(2, 31, 100, 1, 1, device=device)


def alone_beside(k):
    with torch.no_grad():
        return plots.to_uint8(generator(torch.cat([z, company[k]]))[0])


changed = {}
for mode in (True, False):
    generator.train(mode)
    changed["training" if mode else "evaluation"] = (alone_beside(0) != alone_beside(1)).float().mean().item()
print("training mode: some pixels change:", changed["training"] > 0.05, "| evaluation mode:", changed["evaluation"])

# %% [markdown]
# In training mode BatchNorm uses the batch's own statistics, so an image depends on its batch-mates. That breaks every
# slider, and it is a fault in many published projects. The helpers always sample in evaluation mode.
#
# ### The moving average
# G circles around a good point rather than resting on it. The **moving average** of its weights (EMA) sits nearer the
# middle: after each step, ema ← β·ema + (1 − β)·G. It costs nothing, changes nothing in the training, and gives better
# images while G still moves. Exercise 3 writes it; section 8 shows both generators.

# %% [markdown]
# ## 8. Train with the helpers
# The recipe for the cartoons differs from the plain DCGAN in a few fields. `differs` lists them: every difference is an
# experiment somebody could run.

# %%
recipe = recipes.get("dcgan-faces")
for field, (ours, plain_value) in recipe.differs(recipes.get("dcgan-celeba")).items():
    if field not in ("name", "about", "data"):
        print(f"{field:<12} {ours!r:<14} instead of {plain_value!r}")

# %% [markdown]
# Three of them are the cures for flat colours: `net.d_norm` (spectral normalisation, notebook 07), `instance_noise` (03) and
# `augment` (07). `loss` is another of the five losses of notebook 01; the rest are sizes and rates.
#
# The stop button ends it at any moment and loses nothing. On a processor we train for two minutes with narrow nets; with a
# GPU, the full recipe.

# %% tags=["nbval-ignore-output"]
from gan_helpers import runs
from gan_helpers.widgets import LiveView

small = recipe.but(g_width=16, d_width=16, image_size=32, minutes=2, ema=0.99)
recipe = here.pick(cpu=small, gpu=recipe, test=small.but(minutes=0.04)).but(data=images.name if images.name == "faces" else SOURCE)
run = runs.new_folder("dcgan-faces")
trainer = runs.train(recipe, images, run, callbacks=[LiveView()], progress=False)
print(f"{trainer.step:,} steps in {trainer.seconds:.0f} s, kept in {run}")

# %%
from gan_helpers import latent

z = latent.draw_z(12, recipe.latent_dim, seed=0)
both = torch.cat([latent.generate(trainer.generator, z), latent.generate(trainer.ema, z)])
plots.show(
    plots.grid(both, columns=12, scale=here.pick(cpu=2, gpu=1)),
    alt="Above twelve faces from the generator as it stands, below the same latent vectors through its moving average",
)

# %% [markdown]
# Above G as it stands at the last step, below its moving average, from the same z. They nearly agree, because in this
# recipe the learning rates fall to zero at the end, so that G comes to rest. In the middle of a run, or with
# `recipe.but(decay=0)`, the average is the calmer of the two.
#
# ### Scrub through the run
# **Task.** Drag the slider through the frames; the black cursor marks the same moment in the losses. At which step do you
# first see a *face*? Do the losses show anything special there? Write both down.

# %% tags=["nbval-ignore-output"]
from gan_helpers.widgets import scrub

scrub(run)

# %%
plots.show(
    plots.curves(trainer.history, title="dcgan-faces, as just trained"),
    alt="Losses and mean D outputs of the run: in the first half they wander, in the second all four run level and noisy",
    width=640,
)

# %% [markdown]
# In the first half the curves wander up and down, in the second they run level. Neither says when blobs became faces, or which
# images are better. Losses tell you that the game is *balanced*; they don't rank images. Notebook 05 measures that.

# %% [markdown]
# ### Disconnect and resume
# A laptop sleeps, Colab disconnects, a cat finds the power button. Each run saves a **checkpoint** every minute and when
# stopped: a file with all that it needs to go on, both nets, the average, the optimisers, the history. And every random
# draw is derived from the seed and the step. So a resumed run is not *similar* to an uninterrupted one: on the processor it
# is equal, bit for bit. (On Colab the machine itself goes, with its disk: mount Drive, and give `runs.train` a folder there as
# `out`.) Here is the proof on a tiny run.

# %%
import shutil
import signal

tiny = recipe.but(image_size=16, g_width=4, d_width=4, batch_size=8, steps=30)


class Disconnect:
    """A callback that behaves like a pressed stop button at step 11."""

    def start(self, trainer): ...

    def stop(self, trainer): ...

    def step(self, trainer):
        if trainer.step == 11:
            signal.raise_signal(signal.SIGINT)


for name in ("tiny", "whole"):
    shutil.rmtree(f"runs/{name}", ignore_errors=True)
stopped = runs.train(tiny, images, "runs/tiny", device="cpu", callbacks=[Disconnect()], progress=False)
resumed = runs.train(tiny, images, "runs/tiny", device="cpu", resume=True, progress=False)
whole = runs.train(tiny, images, "runs/whole", device="cpu", progress=False)
pairs = list(zip(resumed.generator.state_dict().values(), whole.generator.state_dict().values()))
print(f"stopped at {stopped.step}, resumed to {resumed.step}")
print("equal bit for bit:", all(torch.equal(a, b) for a, b in pairs))

# %% [markdown] tags=["generators"]
# ## 9. What longer training gives
# These generators ship with the course. `dcgan-faces` trained for six minutes on a GPU, `dcgan-celeba` for 42 minutes on
# two CPU cores. Each has a card; read one before you use one.

# %%
from gan_helpers import generators

for name in ("dcgan-faces", "dcgan-celeba"):
    net = generators.load_generator(name)
    card = net.card
    print(f"{name}: {card['steps']:,} steps, {card['images_seen']:,} images seen, {card['minutes']} minutes")
    print("   licence:", card["licence"])

# %%
net = generators.load_generator("dcgan-celeba")
plots.show(
    plots.grid(latent.generate(net, latent.draw_z(36, net.recipe.latent_dim, seed=0)), columns=12),
    alt="Thirty-six generated faces of people who do not exist: hair, eyes and mouths are clear, edges soft",
)

# %% [markdown]
# Nobody in this picture exists. It was learned from 8,100 of CelebA's photos, and the people on those were not asked.
# Look for the bias that the data brought: ages, skin, make-up, smiles.
#
# Its training, from fixed noise (each frame the same 32 latent vectors):
#
# ![Animation: thirty-two generated faces sharpen from grey noise to faces over the training run](../images/dcgan-celeba.webp)
#
# And the cartoons, real beside fake. **Task:** in each row, six are real, on the left or on the right. Which? Name the detail
# that gave it away.

# %%
net = generators.load_generator("dcgan-faces")
cartoons = data.load("faces")
fakes = plots.to_uint8(latent.generate(net, latent.draw_z(18, net.recipe.latent_dim, seed=5)))
real = torch.from_numpy(cartoons.images[500:518].copy())
coins = torch.rand(3, generator=torch.Generator().manual_seed(3)) < 0.5  # row by row: real on the left?
halves = [(real[k : k + 6], fakes[k : k + 6]) for k in (0, 6, 12)]
rows = torch.cat([torch.cat(pair if left else pair[::-1]) for pair, left in zip(halves, coins)])
plots.show(
    plots.grid(rows, columns=12),
    alt="Three rows of twelve cartoon faces, six real and six generated in each",
)

# %%
print("The real ones, from above:", *["left" if left else "right" for left in coins])

# %% [markdown]
# ## 10. Your own images
# Set `SOURCE` at the top to a folder or zip of images and run everything again, or use the command line, which writes the
# same run folder:
#
# ```
# python -m gan_helpers train dcgan-faces --data my_photos.zip --minutes 60 --out runs/mine
# python -m gan_helpers train dcgan-faces --data my_photos.zip --minutes 60 --out runs/mine --resume
# python -m gan_helpers sample runs/mine --n 64 --seed 3 --out mine.png
# python -m gan_helpers animate runs/mine --out mine.mp4
# tensorboard --logdir runs
# ```
#
# The canonical recipe on CelebA, for a GPU: `python -m gan_helpers train dcgan-celeba` (5 epochs; about 30 minutes on a T4,
# an estimate, not measured).

# %% [markdown]
# ## 11. Exercises
# Replace each `...` and run the cell; `hint("02.1")` gives a nudge, `solution("02.1")` shows one way. Blanks do no harm.
#
# **Exercise 1: a generator for 32 pixels.** Give its four layers, through 4, 8, 16 and 32 pixels, as (channels in, channels
# out, kernel, stride, padding), from a latent vector of 100 numbers to 3 channels.

# %%
from gan_helpers.course.exercises import check, hint, solution

layers = ...
check("02.1", layers)

# %% [markdown]
# **Exercise 2: batch-mates.** Return the share of values of image 0 that move by more than 1/255 when z[0] is drawn once in
# the batch `z` and once in front of `mates`. The generator is used in the mode in which you get it.


# %%
def share_changed(generator, z, mates):
    ...  # your code


check("02.2", share_changed)

# %% [markdown]
# **Exercise 3: the moving average.** Move `ema` towards `net`, in place: parameters and BatchNorm's statistics are averaged,
# whole-number counters are copied.


# %%
def update_ema(ema, net, decay):
    ...  # your code


check("02.3", update_ema)

# %% [markdown]
# ## Summary
# - DCGAN: (transposed) convolutions k4 s2 p1, BatchNorm but at the ends, tanh, N(0, 0.02²).
# - The loop is short; what makes it trustworthy is around it: modes, moving average, seeds, checkpoints.
# - D = 0.5 is not convergence, and losses don't rank images.
# - Sample in evaluation mode. Show the moving average.
#
# **Can you answer these without looking?**
# 1. D's last layer is zero: what are its loss and its output, and what do the images look like?
# 2. Which of (kernel, stride, padding) = (4, 2, 1), (4, 2, 0), (5, 2, 2) turns 32 into 64?
# 3. Why does an image change with its batch-mates, and what is the cure?
# 4. In ema ← β·ema + (1 − β)·G, which tensors must not be averaged?
# 5. Why may the D loss be near zero although the code is right?
#
# <details><summary>Answers</summary>
#
# 1. 1.386 = 2 log 2; 0.5; anything, noise for instance. 2. (4, 2, 1); (4, 2, 0) gives 66, (5, 2, 2) gives 63. 3. BatchNorm in
# training mode; sample in evaluation mode. 4. Whole-number counters. 5. The task is too easy for D, flat cartoon colours
# for example; G then learns little.
# </details>
#
# **Next:** [03 · The failure lab](03_failure_lab.ipynb). **Papers:** Radford et al. 2016, [arXiv:1511.06434](https://arxiv.org/abs/1511.06434); Goodfellow et al. 2014,
# [arXiv:1406.2661](https://arxiv.org/abs/1406.2661); Liu et al. 2015 (CelebA), [arXiv:1411.7766](https://arxiv.org/abs/1411.7766);
# Yazıcı et al. 2019 (averaging), [arXiv:1806.04498](https://arxiv.org/abs/1806.04498).
