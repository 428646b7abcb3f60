# %% [markdown]
# # 00 · Start here: a minute to faces
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/notebooks/00_start_here.ipynb)
#
# **Aim.** Run the whole course once in small: look at data, train a GAN for a minute, move through what it learned.
# Then find out which of six prerequisites to repair.
#
# | | |
# |---|---|
# | You need | some PyTorch: tensors, modules, a training loop |
# | Time | 30 minutes, of which your computer trains for one (two CPU cores; a GPU is not needed) |
# | Data | `faces`: 9,000 cartoon faces, 64×64, in the repository, no download |
# | Words introduced | generator, discriminator, latent vector, fixed noise, recipe |
#
# Run the cells from top to bottom with Shift-Enter. All words and letters of the course stand in its
# [glossary](glossary.md). Wherever it says **Predict**, write your guess down before you run
# the next cell. It feels slow and is the quickest way to learn: a wrong guess that you wrote down is hard to forget.

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
# **Before we begin**, three questions to answer from what you know now. They come back at the end.
#
# 1. A generator draws faces. Does it ever see a real face?
# 2. What do you have to keep to draw exactly the same image again tomorrow?
# 3. Two nets play against each other. How would you notice that one of them has won?

# %% [markdown]
# ## 1. The data
# A GAN learns a *distribution* from examples: which images are likely, and how they vary. Ours are cartoon faces, drawn by
# a program that chose skin, hair, glasses, beard and mouth by independent throws of dice.

# %%
from gan_helpers import data, plots

faces = data.load("faces")
print(faces)
plots.show(
    plots.grid(faces.resized(32, 3).images[:40], columns=10, scale=2),
    alt="Forty real cartoon faces: two drawing styles, many skin tones, hair styles and colours, some glasses and beards",
)

# %% [markdown]
# ## 2. Two nets and a game
# The **generator** G turns a list of random numbers, the **latent vector** z, into an image. The **discriminator** D looks
# at an image and says how likely it is to be real. D is trained to tell real images from G's; G is trained to make D err.
#
# A **recipe** is everything that decides a training run, in one object. This one is *sealed*: it works, and why it works
# is opened in notebook 07. For now, read off three numbers: the length of z, the image size and the budget.

# %%
from gan_helpers import recipes

recipe = recipes.get("first-minute")
print(
    f"z has {recipe.latent_dim} numbers; images are {recipe.image_size} pixels wide; {recipe.minutes:g} minute of training"
)

# %% [markdown]
# **Predict.** After one minute of training on your computer's processor, what will the images look like?
# (a) grey noise, (b) coloured blobs, (c) faces, all the same, (d) faces that differ. Write your letter down.
#
# The cell below takes a minute. The grid always shows the same latent vectors, the **fixed noise**, so you watch the same
# images change. The stop button (■) ends it early and keeps what is there.

# %% tags=["nbval-ignore-output"]
from gan_helpers import runs
from gan_helpers.widgets import LiveView

recipe = recipe.but(minutes=here.pick(cpu=1, gpu=1, test=0.05))
run = runs.new_folder("first-minute")
trainer = runs.train(recipe, faces, run, callbacks=[LiveView()], progress=False)
print(f"{trainer.step:,} steps, {trainer.step * recipe.batch_size:,} images seen")

# %%
from gan_helpers import latent

z = latent.draw_z(40, recipe.latent_dim, seed=1)
images = latent.generate(trainer.ema, z)  # ema: a calmer copy of G, see notebook 02
print(f"z {tuple(z.shape)} → images {tuple(images.shape)}, values in [-1, 1]: {bool(images.abs().max() <= 1)}")
plots.show(
    plots.grid(images, columns=10, scale=2),
    alt="Forty faces that the generator made after a minute of training: rough at the edges, but faces, and no two alike",
)

# %% [markdown]
# (d): rough at the edges, but faces, and they differ in skin, hair and glasses. (If yours are blobs, your computer made fewer
# steps in its minute than ours, which made some 2,500.) Whether any of this was copied is a question for notebooks 05 and 08. The run folder keeps everything: the grid, the
# curves, an animation, the weights.

# %%
kept = sorted(path.name for path in run.iterdir() if path.suffix in (".png", ".gif", ".csv", ".safetensors"))
print(*kept, sep="\n")

# %% [markdown]
# ## 3. The generator in your hands
# z has no names on its axes, but nearby z give nearby images. So we can walk from one z to another.
#
# **Predict.** Half way between two faces, do you see (a) two faces laid over each other, as in a cross-fade, or (b) one face?
#
# The walk starts at seed 0 and ends at the one of seeds 1 to 7 whose face is least like it. Move the slider (or click it and
# use the arrow keys). **Task:** at which percentage does the face turn into somebody else? Write the number down; exercise 2
# computes it.

# %% tags=["nbval-ignore-output"]
import torch

from gan_helpers.widgets import latent_slider

z = torch.cat([latent.draw_z(1, recipe.latent_dim, seed=k) for k in range(8)])  # (8, latent_dim)
drawn = latent.generate(trainer.ema, z)  # (8, 3, 32, 32)
far = (drawn - drawn[0]).square().sum((1, 2, 3)).argmax().item()  # the seed whose face is least like that of seed 0
latent_slider(trainer.ema, seeds=(0, far))

# %% [markdown]
# The same walk as a picture, for those who read this without a kernel:

# %%
t = torch.linspace(0, 1, 9)[:, None]
walk = latent.generate(trainer.ema, latent.slerp(z[:1], z[far : far + 1], t))  # (9, 3, 32, 32); slerp: along an arc, see notebook 08
crossfade = walk[:1] * (1 - t[:, :, None, None]) + walk[-1:] * t[:, :, None, None]
plots.show(
    plots.grid(torch.cat([walk, crossfade]), columns=9, scale=2),
    alt="Above: nine steps between two generated faces, each step one face. Below: a cross-fade of the same two ends",
)

# %% [markdown]
# Above is the walk from one latent vector to the other, below the cross-fade of its two ends. In the middle of the walk there is *one*
# face: the generator has no other way to answer. How good it is depends on the minute of training; section 5
# has a generator that trained longer.

# %% [markdown]
# ## 4. "G studies photos": a misconception, and an experiment
# Many explanations say that the generator *looks at photos and imitates them*. Let us ask G's gradient.
#
# **Predict.** We freeze D, compute G's gradient, then exchange the batch of real images for another and compute it again.
# By how much does G's gradient change? (a) a lot, (b) a little, (c) not at all.

# %%
from gan_helpers.losses import hinge_d, hinge_g  # the two losses of this recipe: notebook 01

generator, discriminator, device = trainer.generator.eval(), trainer.discriminator.eval(), trainer.device


def generator_gradient(real):
    """G's gradient in a step whose real images are `real`, D being frozen."""
    fake = generator(z.to(device))
    hinge_d(discriminator(real), discriminator(fake.detach()))  # D's loss, of no use to G
    loss = hinge_g(discriminator(fake))
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(generator.parameters()))])


small = torch.from_numpy(faces.resized(32, 3).images[:80]).to(device).float() / 127.5 - 1
first, second = generator_gradient(small[:40]), generator_gradient(small[40:])
print("largest change of G's gradient:", (first - second).abs().max().item())

# %% [markdown]
# Exactly zero. Real images enter D's loss only. All that G ever learns about them comes through D's *opinion of G's own
# images*. That one sentence explains most of what you will meet: when D is useless, so is G's lesson.

# %% [markdown]
# ## 5. Longer than a minute
# The course ships generators that were trained longer by recipes of the same kind. Their cards say on what, how long, and
# on which machine. To walk through this one, too: `latent_slider(shipped)` in a cell of its own.

# %%
from gan_helpers import generators

shipped = generators.load_generator("dcgan-faces")
images = latent.generate(shipped, latent.draw_z(24, shipped.recipe.latent_dim, seed=2))
print(f"{shipped.recipe.about}. Parameters: {shipped.card['parameters']:,}")
plots.show(
    plots.grid(images, columns=8, scale=1),
    alt="Twenty-four faces of 64 by 64 pixels from the shipped generator, with and without glasses, in many colours",
)

# %% [markdown]
# ## 6. Six things this course builds on
# Answer from memory. The check tells you which of the six repair cells below to run: five minutes each.
#
# **detach** – In D's step, why is it `D(G(z).detach())`?
# (a) so that D gets no gradient; (b) so that G gets no gradient; (c) so that z gets no gradient.
#
# **logit** – D returns a logit a. Its probability of *real* is
# (a) a; (b) log a; (c) 1 / (1 + e⁻ᵃ).
#
# **expectation** – 𝔼[f(z)] over z ~ N(0, 1) is estimated by
# (a) the mean of f at random z; (b) f at the mean of z; (c) the most frequent value of f.
#
# **sizes** – A convolution with kernel 4, stride 2, padding 1 turns 32×32 into
# (a) 15×15; (b) 16×16; (c) 17×17. (The transposed one goes the other way.)
#
# **batchnorm** – In *training* mode, BatchNorm normalises with
# (a) the statistics of the whole data set; (b) running averages; (c) the statistics of the current batch.
#
# **covariance** – Two features always rise and fall together. Their covariance is
# (a) positive; (b) zero; (c) negative.

# %%
from gan_helpers.course.exercises import check, hint, solution

answers = {"detach": ..., "logit": ..., "expectation": ..., "sizes": ..., "batchnorm": ..., "covariance": ...}
check("00.0", answers)

# %% [markdown]
# ### Repair: detach
# `x.detach()` has the values of `x` and none of its history, so the gradient stops there.

# %%
w = torch.tensor(2.0, requires_grad=True)
with_history, without = (3 * w) ** 2, (3 * w).detach() ** 2
print("gradient reaches w:", with_history.requires_grad, "| after detach:", without.requires_grad)

# %% [markdown]
# ### Repair: logit and sigmoid
# A logit is log-odds: 0 means one half, and each step of 2.2 up makes the odds nine times larger. Losses work on logits
# because the sigmoid p, computed in floating point, reaches exactly 1, and log(1 − p) is then minus infinity.

# %%
logits = torch.tensor([-2.2, 0.0, 2.2, 40.0])
print("probability:", [round(p, 3) for p in logits.sigmoid().tolist()])
print("log(1 - p) by way of p:", torch.log(1 - logits.sigmoid())[-1].item())
print("the same from the logit:", -torch.nn.functional.softplus(logits)[-1].item())

# %% [markdown]
# ### Repair: expectation by sampling
# The mean of f at n random points errs by about the spread of f divided by √n: a hundred times more samples, a tenth of
# the error. Every loss of this course is such a mean over a batch.

# %%
draws = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0)).square()  # E[z²] is exactly 1
print(f"error with 100 draws: {abs(draws[:100].mean() - 1):.2f} | with 1,000,000: {abs(draws.mean() - 1):.4f}")

# %% [markdown]
# ### Repair: sizes
# Convolution: out = (in + 2·padding − kernel) / stride + 1, rounded down. Transposed: out = (in − 1)·stride − 2·padding + kernel.

# %%
down, up = torch.nn.Conv2d(3, 8, 4, stride=2, padding=1), torch.nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)
x = torch.zeros(1, 3, 32, 32)
print("32 →", down(x).shape[-1], "→", up(down(x)).shape[-1])

# %% [markdown]
# ### Repair: BatchNorm's two modes
# In training mode it uses the batch's own mean and spread, so an output depends on the batch-mates; in evaluation mode it
# uses running averages, so it does not.

# %%
norm = torch.nn.BatchNorm1d(1)
batch, other = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[1.0], [-20.0], [-30.0]])
beside, elsewhere = norm(batch)[0].item(), norm(other)[0].item()
print(f"train: 1.0 becomes {beside:.2f} beside 2 and 3, {elsewhere:.2f} beside -20 and -30")
norm.eval()
print("eval:  the same in both batches:", bool(norm(batch)[0] == norm(other)[0]))

# %% [markdown]
# ### Repair: covariance
# The mean of the product of two features' deviations: positive when they rise together. Notebook 05 measures GANs by the
# means and covariances of features.

# %%
height = torch.tensor([1.5, 1.6, 1.7, 1.8])
for name, other in (("itself", height), ("its negative", -height)):
    print(f"covariance of height with {name}: {torch.cov(torch.stack([height, other]))[0, 1]:.4f}")

# %% [markdown]
# ## 7. Exercises
# Replace each `...` and run the cell; `hint("00.1")` gives a nudge, `solution("00.1")` shows one way. Blanks do no harm.
#
# **Exercise 1: what a seed decides.** `draw_z(n, latent_dim, seed)` draws z, `generate` makes images. For each of the three
# pairs, are the two images the `"same"` or `"different"`? (In the third: the first of `draw_z(1, d, seed=7)` and the first of
# `draw_z(100, d, seed=7)`.) Predict first; then test it with `latent.generate(shipped, ...)`.

# %%
prediction = {"seed 7 twice": ..., "seed 7 and seed 8": ..., "first of 1 and first of 100": ...}
check("00.1", prediction)

# %% [markdown]
# **Exercise 2: where the identity flips.** `frames` (T, C, S, S) is a walk from one image to another. Return the index of
# the first frame that is closer (sum of squared differences of pixels) to the last frame than to the first.


# %%
def first_closer_to_end(frames):
    ...  # your code


check("00.2", first_closer_to_end)

# %% [markdown]
# Use it on the walk above, then on one that you like: `first_closer_to_end(walk)`. Frame k of 9 stands at k/8 of the way, so 3
# is 38 %. Is it where your eye put it?
#
# **Exercise 3: the missing detach.** This is D's loss as a beginner wrote it. It runs and D learns, but its backward pass also
# leaves a gradient in G, which asks G to make D's work *easier*. A loop that clears G's gradients before G's own step only loses
# time; in one that doesn't, G gets worse. Copy the body into `repaired` and mend it.


# %%
def broken(generator, discriminator, real, z):
    fake = generator(z)
    real_logits, fake_logits = discriminator(real), discriminator(fake)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    return loss(real_logits, torch.ones_like(real_logits)) + loss(fake_logits, torch.zeros_like(fake_logits))


def repaired(generator, discriminator, real, z):
    ...  # your code


check("00.3", repaired)

# %% [markdown]
# ## Summary
# - G turns a latent vector into an image; D tells real from fake; each learns from the other's failures.
# - All the chance is in z: the generator's weights and a seed are what you keep to draw the same image again.
# - G never sees a real image. It learns only from D's opinion of its own.
# - A run folder keeps all: grid, curves, animation, weights. Stopping loses nothing.
#
# **Can you answer these without looking?**
# 1. Through which quantity does information about real images reach G?
# 2. Does `G(z)` depend on the other z in the batch (a) always, (b) in training mode, (c) never?
# 3. Half way between two z, what do you see, and why not a cross-fade?
# 4. What would G's gradient be if D said 0.5 for every image? And how would you notice that D has won?
# 5. Which of the six repairs did you need, and what is its one sentence?
#
# <details><summary>Answers</summary>
#
# 1. Through D's weights alone. 2. (b): BatchNorm. 3. One image, because every z gives one; G maps nearby z to nearby images.
# 4. Zero: a constant D has no slope to climb. D has won when its loss is near 0,
# its answers are near 1 and 0, and the images no longer improve. 5. Yours to write.
# </details>
#
# **Next:** [01 · Theory](01_gan_theory.ipynb) proves in cells what the two nets are up to; [02](02_dcgan_celeba.ipynb) writes them by hand. **Papers:** Goodfellow et al.
# 2014, [arXiv:1406.2661](https://arxiv.org/abs/1406.2661); Radford et al. 2016, [arXiv:1511.06434](https://arxiv.org/abs/1511.06434).
