# %% [markdown]
# # 03 · Failure lab: break it, diagnose it, fix it
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/notebooks/03_failure_lab.ipynb)
#
# **Aim.** Make nine GANs fail, each by one switch; read the failure off a chart, not off the losses; cure it by one switch
# more; and know which cures were shown over five seeds. Then find six bugs, five of them from published projects.
#
# | | |
# |---|---|
# | You need | notebooks 00 to 02 |
# | Time | 90 minutes, of which your computer trains for about two (two CPU cores) |
# | Data | points on a ring; `fashion` (clothes, embedded), shrunk to 16×16 |
# | Words introduced | mode collapse, two time scales, instance noise, R1 penalty, DiffAugment |

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
# 1. All samples look alike. Which of the two nets is to blame?
# 2. D is right about every image. Is that good for G?
# 3. A friend's losses are smooth and level, yours swing. Whose images are better?

# %% [markdown]
# ## 1. The patients, and how to read a chart
# Two small GANs, healthy as they stand. `points` is the ring of notebook 01. `clothes` is a DCGAN, 16 wide, on Fashion-MNIST
# at 16×16, without BatchNorm in D, trained for 200 steps. One call trains one patient and takes its vitals on the way.

# %%
import torch

from gan_helpers import plots
from gan_helpers.course.failures import clothes, panel, points, record, results

torch.set_num_threads(1)  # as in the record: two threads add in another order, and these runs grow that apart
short = here.pick(cpu={}, gpu={}, test={"steps": 20, "every": 10})
ring, wardrobe = points(**short), clothes(**short)
plots.show(
    panel({"points": ring, "clothes": wardrobe}),
    alt="Two charts. Points: orange samples on all eight blue modes. Clothes: pale blobs of clothes, one kind has nearly half of the samples; D's opinions of training and unseen images run together and swing, that of fakes apart from them; diversity about 0.7, the distance falls",
)

# %% [markdown]
# A chart has five windows, and each answers one question. Only points that lie *on* a mode count for a bar.
#
# | window | question | healthy |
# |---|---|---|
# | samples | what do I see? | like the data |
# | kinds | is a mode (or class) missing? the dotted line is the fair share | no bar missing for long |
# | gradients | does each net still get a lesson? | both alive, no cliff |
# | D calls real | does D know what it is talking about? does it know *unseen* real images? | training and unseen together; fakes lower, but not at 0 for good |
# | against real | diversity: mean distance between two samples, 1 is the data's; Fréchet distance (notebook 05) to unseen data | near 1; falling |
#
# The kinds of clothes are told by the course's `fashion-net`, and the distance is taken in its features (notebook 05 says how
# to read such a number; here it is enough that lower is nearer).
#
# **How this notebook knows.** One run proves nothing about GANs. Each failure and each cure below was run with five seeds, and
# counts as *shown* only if the ranges of the five do not touch; 'not shown' means not by this rule, it does not mean *no effect*,
# and 'cures' means better than every sick patient, not as good as the healthy.
# `python -m gan_helpers.course.failures` repeats it. The lines above each chart are that record: the mean of the five, in brackets the lowest
# and the highest, and the verdict. Your own charts may differ from those described here: another processor rounds otherwise,
# and a GAN makes another run of it.

# %% [markdown]
# ## 2. Mode collapse
# **Mode collapse**: G serves few modes, however many the data have. Notebook 01 found that no loss collapses on the
# ring by itself. The switch: G learns five times as fast as D.
#
# **Predict.** G's best answer to a D that stands still is to put (a) its samples in proportion to the data, (b) all samples
# where D is highest, (c) samples everywhere?

# %%
sick = points(g_lr=1e-2, **short)
print(record("mode collapse"))
plots.show(
    panel({"healthy": ring, "sick: g_lr=1e-2": sick}),
    alt="Below the healthy chart the sick one: the orange samples form one short thread near the top mode, D's opinions swing, diversity is far below one",
)

# %% [markdown]
# (b). A sample gains nothing from being unlike its neighbours: against a D that stands still, one point, the highest, is the
# best place for all of them. D must answer before the crowd has arrived. G is the one that collapses, but it is D's slowness
# that lets it; and when D does answer, the crowd moves on to another mode, so no moment of the run shows the whole ring.
#
# **Cure: two time scales.** Let D be the faster one again. Healthy, its rate is twice G's; the switch made it a fifth. Which rate you
# turn does not matter to the idea; here G keeps its hasty rate and D gets twice that. (Heusel et al. 2017 called it the two time-scale update rule, TTUR.) The record's last line
# is about a penalty that section 5 introduces: with three seeds it opened the collapse, with two it did not, so it is *not shown*.

# %%
cured = points(g_lr=1e-2, d_lr=2e-2, **short)
plots.show(
    panel({"two time scales: d_lr=2e-2": cured}),
    alt="The treated patient: the orange samples lie all round the ring again and diversity is back near one",
)

# %% [markdown]
# ## 3. D too weak
# The switch: D's rate is a tenth of its healthy value. D still learns; but when it has noticed where the fakes are, they
# have gone. (D is at a fifth of G's rate again, as in section 2, with both rates ten times smaller: the same imbalance, watched in slow
# motion.)
#
# **Predict.** G follows a D that lags behind. Its samples end up (a) in the middle, (b) on one mode, (c) beyond the data?

# %%
base = {"steps": 400, "every": 50} | short
sick = points(d_lr=2e-4, **base)
cured = points(d_lr=2e-4, d_steps=10, **base)
print(record("D too weak"))
plots.show(
    panel({"sick: d_lr=2e-4": sick, "more D steps: d_steps=10": cured}),
    alt="Sick: all samples in one clump beyond the ring. With ten D steps per G step the samples are back on the modes",
)

# %% [markdown]
# (c). Where D's slope points, G runs, and it runs past: beyond the data D has never seen a point, so its slope there means
# nothing (notebook 01: off the support D is arbitrary), and the lagging D never calls G back in time. Look at the window *D
# calls real*: the three lines cross and swing, for D is always about the G of some time ago.
#
# **Cure: more D steps** with the same small rate. Ten D steps for one of G is two time scales again, bought with time instead
# of rate.

# %% [markdown]
# ## 4. Vanishing gradients
# Notebook 01 *computed* that the saturating loss has no gradient when D wins. Here D really wins: G stands still (its rate is
# 0) and D learns alone for 500 steps. At each check we ask which gradient G *would* get. One switch: the loss.
#
# **Predict.** After 500 steps, by which factor do the gradients of the two losses differ: (a) 2, (b) 100, (c) more than 10,000?

# %%
base = {"g_lr": 0.0, "steps": 500, "every": 50} | short
patients = {
    "non-saturating": points(**base),
    "sick: loss='minimax'": points(loss="minimax", **base),
    "noise=0.5": points(loss="minimax", noise=0.5, **base),
}
print(record("vanishing gradients"))
plots.show(
    panel(patients),
    alt="G's gradient while D learns alone: with the non-saturating loss it grows; with minimax it falls by many orders of magnitude; with minimax and instance noise it stays at some tenths",
)

# %% [markdown]
# (c). **Instance noise** is the second cure (the first is the other loss): noise is added to whatever D looks at, real and
# fake. The two clouds overlap again, D cannot be sure, and where D is unsure the saturating loss has a slope.
#
# One more experiment, because so many courses say 'and so G stops learning'. **Predict.** A weight's gradient shrinks from 1 to
# 0.000001. By how much does the *first step* of Adam shrink?

# %%
for size in (1.0, 1e-6):
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.tensor([size])
    torch.optim.Adam([weight], lr=1e-3).step()
    print(f"gradient {size:g}: Adam moves the weight by {weight.abs().item():.4f}")

# %% [markdown]
# Not at all: Adam divides each weight's gradient by the running root mean square of that weight's own gradients, and a factor
# common to all drops out. It *hides* vanishing gradients in small demonstrations, until they
# fall below its ε = 1e-8, or until a large one arrives and sets the scale. What remains is a lesson that only the few samples
# teach which D is least sure about. The chart shows the gradient; the losses and Adam don't.

# %% [markdown]
# ## 5. D too strong
# Now images. The switch: D's learning rate times twenty.
#
# **Predict.** D rejects most fakes. G's gradient, with the usual non-saturating loss, (a) vanishes, (b) stays
# as it was, (c) grows?

# %%
strong = clothes(d_lr=2e-2, **short)
print(record("D too strong"))
plots.show(
    panel({"healthy": wardrobe, "sick: d_lr=2e-2": strong}),
    alt="Sick: D calls hardly any fake real, G's gradient is several times longer than the healthy one's, the clothes are blotchy and the distance falls slowly",
)

# %% [markdown]
# (c), and that surprises many. The non-saturating loss has a slope near −1 for every fake that D rejects, and what comes after it
# is D's own steepness, which grows as D wins. The lesson does not fade, it becomes *loud*. Loudness alone does not lengthen G's
# steps, for Adam divides it away (section 4); but a D that learns twenty times as fast has another slope at almost every step, so
# that, probably, the pulls on G add up to no direction. Section 4's failure is an empty lesson, this one is a shout.
#
# **Cures** keep D from being so sure, or so steep. Four were tried against the same switch, each alone:
#
# | cure | switch | what it does to D |
# |---|---|---|
# | label smoothing | `real_target=0.8` | real images count as 80 % real (fakes stay 0 %: notebook 01, exercise 3) |
# | **instance noise** | `instance_noise=0.5` | all that D sees gets noise, fading to 0, so that real and fake overlap |
# | spectral normalisation | `net={"d_norm": "spectral"}` | divides each layer's weights by their largest stretch (notebook 07) |
# | **R1 penalty** | `r1=1` | D pays for its slope at real images, λ/2 · ‖∇D(x)‖² |
#
# Read the record above once more. Label smoothing, instance noise and spectral normalisation bring the distance below that of *every* sick patient. R1, at this weight, helps
# some seeds and not all, so it is not shown here; section 8 is its home. A fifth, EMA, was tried as well and made it worse: an
# average lags behind, and this G is still on its way. Below is one of them. Its D, too, rejects every fake; what spectral
# normalisation (notebook 07) took away is its steepness.

# %%
cured = clothes(d_lr=2e-2, net={"d_norm": "spectral"}, **short)
plots.show(
    panel({"spectral": cured}),
    alt="With spectral normalisation G's gradient is shorter again, the clothes are recognisable, of more kinds, and the distance is about a half of the sick patient's",
)

# %% [markdown]
# ## 6. The wrong BatchNorm mode
# This patient was trained without any fault. The switch is flipped afterwards: its samples are drawn in *training* mode, one at
# a time, as a slider draws them ([soumith/dcgan.torch #19](https://github.com/soumith/dcgan.torch/issues/19)).
#
# **Predict.** We draw each z alone, and again in a batch of 250. Which share of the pixels moves visibly, by more than 5 % of
# their range: (a) 1 %, (b) a few per cent, (c) more than a fifth? And does the *distance* notice?

# %%
alone = clothes(batchnorm="train", **short)
together = alone.draw(250)[:8]
plots.show(
    plots.grid(torch.cat([together, alone.last.samples[:8], wardrobe.last.samples[:8]]), columns=8, scale=3),
    alt="Three rows of the same eight latent vectors: in training mode within a batch, in training mode alone, and in evaluation mode. Brightness and parts of the clothes differ from row to row",
)
print(record("wrong BatchNorm mode"))
print(record("BatchNorm mode, by distance"))

# %% [markdown]
# (c): 34 to 46 % of the pixels. The three rows come from **the same weights and the same z**: in a batch of 250, alone, and in evaluation mode. In training mode
# an image is normalised by whoever is drawn beside it, so *the same z has no image of its own*. Every slider, every walk, every
# comparison of two checkpoints at fixed z is broken, while the losses are the same to the last digit. The distance rises by 1 to 2
# with each of the five generators, while the five healthy ones lie up to 7 apart: whoever sees only the one number suspects nothing, for 250 images
# drawn wrongly are, as a crowd, still clothes. That a number looks usual does not prove that nothing is wrong. The cure is one word, `eval()`, and bug 4 below asks you for it.

# %% [markdown]
# ## 7. The wrong initialisation
# DCGAN draws its convolutions' weights from N(0, 0.02²). The switch: `init.normal_(weight)` without the 0.02, so that their spread
# is 1.
#
# **Predict.** G's layers are followed by BatchNorm, which undoes any scale. After 200 steps, is the patient (a) healthy all the
# same, (b) behind, but on its way, (c) stuck?

# %%
from gan_helpers.course.failures import batchnorm_around_zero, spread_of_one

wide = clothes(init=spread_of_one, **short)
print(record("wrong initialisation"))
plots.show(
    panel({"healthy": wardrobe, "sick: spread 1": wide}),
    alt="Sick: hard black and white speckles, one kind, both gradients hundreds of times longer than the healthy one's, the distance stays high",
)

# %% [markdown]
# (c). No BatchNorm follows G's *last* layer, whose outputs are now so large that tanh is flat at −1 or 1, nor any layer of D, whose
# gradients are enormous from the first step. The cure is the 0.02, and a look at the first gradients before the first long run.
#
# **When one seed is not enough.** A published project has another slip here: BatchNorm's weights from N(**0**, 0.02²) instead of
# N(**1**, 0.02²), so that every layer multiplies by about 0.02. Here is seed 0.

# %%
dim = clothes(init=batchnorm_around_zero, **short)
plots.show(
    panel({"BatchNorm near 0": dim}),
    alt="Twenty-four identical dark pictures, one kind only, diversity far below one, a high distance",
)

# %% [markdown]
# A catastrophe: all z give one dark picture. **Predict** the distances of the other four seeds. Then look.

# %%
print(record("BatchNorm around 0"))
print("the five:", *[row.values for row in results() if (row.case, row.arm) == ("BatchNorm around 0", "sick")])

# %% [markdown]
# One seed of five fails outright; the other four, at 10.1 to 15.9, lie little above the healthy ones' 8.1 to 14.9: three are worse than the
# healthy run of the same seed, one is better. (Adam's steps of about 0.001 can lift weights of
# 0.02 tenfold in 200 steps.) We wrote the sentence 'this initialisation kills the generator' after seed 0, and crossed it out after seed 4. It is
# a fault all the same (one run in five!), and *not* the failure that one run made of it.

# %% [markdown]
# ## 8. Oscillation
# Section 10 of notebook 01 played a game of two numbers that goes round and round. Now the promised experiment: *which* penalty stops it?
#
# The smallest GAN there is, the *Dirac-GAN* of Mescheder et al. 2018: all data lie at 0, G makes one point x, and D's logit is
# y·x. The only equilibrium is x = y = 0. Both players step at once, from radius 1.41.


# %%
import math


def sigmoid(t):
    return 1 / (1 + math.exp(-max(-500.0, min(500.0, t))))


def dirac(cure="none", loss="non-saturating", angle=45, steps=2000, eta=0.1):
    """The path [(x, y), …] of G's point and D's slope, for data at 0."""
    x, y = 2**0.5 * math.cos(math.radians(angle)), 2**0.5 * math.sin(math.radians(angle))
    noises = (-1.0, 1.0) if cure == "instance noise" else (0.0,)
    weight = (lambda logit: 1.0) if loss == "Wasserstein" else sigmoid  # how hard the loss pulls at a logit
    path, mean = [(x, y)], (x, y)
    for _ in range(steps):
        slope_x = -sum(weight(-y * (x + e)) * y for e in noises) / len(noises)  # of G's loss
        slope_y = sum(weight(y * (x + e)) * (x + e) - weight(-y * e) * e for e in noises) / len(noises)  # of D's loss
        if cure == "R1":
            slope_y += y  # of λ/2 · y², λ = 1
        if cure == "gradient penalty":
            slope_y += 2 * (abs(y) - 1) * math.copysign(1, y)  # of λ · (|y| - 1)²
        x, y = x - eta * slope_x, y - eta * slope_y
        if cure == "clipping":
            y = max(-0.1, min(0.1, y))
        mean = tuple(m + 0.005 * (new - m) for m, new in zip(mean, (x, y)))
        path.append(mean if cure == "EMA" else (x, y))
    return path


# %% [markdown]
# **Predict.** Five remedies: the R1 penalty (the slope at the data should be 0), WGAN-GP's gradient penalty (the slope should be
# 1), WGAN's weight clipping (|y| ≤ 0.1), instance noise, and the moving average of both numbers. Which of them end at 0?

# %%
cures = ["none", "R1", "gradient penalty", "clipping", "instance noise", "EMA"]
angles = [20, 60, 110, 200, 300]  # five starting points instead of five seeds
ends = {}
for loss in ("non-saturating", "Wasserstein"):
    for cure in cures:
        ends[loss, cure] = [math.hypot(*dirac(cure, loss, angle)[-1]) for angle in angles]
        low, high = min(ends[loss, cure]), max(ends[loss, cure])
        print(f"{loss:<16}{cure:<18}", "ends at 0" if high < 1e-9 else f"ends {low:.2g} to {high:.2g} away")
assert max(ends["non-saturating", "R1"]) < 1e-40 and min(ends["non-saturating", "gradient penalty"]) > 3.9

# %%
from matplotlib.figure import Figure

figure = Figure(figsize=(11, 2.2), layout="constrained")
for axes, cure in zip(figure.subplots(1, 6), cures):
    path = dirac(cure)
    axes.plot(*zip(*path), color=plots.BLUE, linewidth=0.7)
    axes.plot(*path[0], "o", color=plots.ORANGE, markersize=4)
    axes.plot(*path[-1], "s", color="black", markersize=4)
    axes.set(title=cure, xlim=(-2, 4.3), ylim=(-2, 2), xlabel="x (G)")
figure.axes[0].set_ylabel("y (D's slope)")
plots.show(
    figure,
    alt="Six paths of the Dirac-GAN with the non-saturating loss, start orange, end black: without a cure a slow inward spiral that still circles; R1 and instance noise end in the centre; the gradient penalty ends far to the right at x = 4; clipping and the average end near the centre",
)

# %% [markdown]
# *R1 and the gradient penalty are different cures.* R1 damps: D pays for any slope at the data, and the game comes to rest where
# it should. WGAN-GP's penalty asks for slope **1**: it pushes y away from 0 with a force of 2, and D's loss pushes it back with x/2.
# At x = ±4 (±2 with the Wasserstein loss) the two cancel while D is flat. A flat D gives G no lesson, so the game stops there, further
# away than it began. (It was made for another purpose: to keep a critic 1-Lipschitz while the two
# distributions are apart. On real data the pull of many points hides this; 'any penalty damps' is false all the same.)
#
# Instance noise damps the log loss and does nothing for the Wasserstein loss, which is linear, so that noise of mean 0 averages
# out. Clipping bounds the circle by force. EMA changes nothing in the game and reports a point nearer to the centre.
#
# Without a cure the Wasserstein game is that of notebook 01, and grows without end. The non-saturating loss bends inwards while
# the finite step pushes outwards; the two balance on a circle of radius 0.45, the root of twice the step size: nearer than
# where it began, but never at rest.
#
# ### The same in a net
# Adam's momentum makes both nets overshoot. The switch: β₁ = 0.9, PyTorch's default, instead of 0.5.

# %%
sick = points(momentum=0.9, **short)
cured = points(momentum=0.9, r1=1.0, **short)
print(record("oscillation"))
print(record("restless samples"))
plots.show(
    panel({"healthy": ring, "sick: momentum=0.9": sick, "R1: r1=1": cured}),
    alt="With momentum 0.9 the distance and D's opinions swing up and down all through the run and the samples leave the ring; with R1 distance and diversity are steadier, D's opinions still swing, and the samples form a loop inside the ring",
)

# %% [markdown]
# R1 brings the distance from 0.93 down to 0.10 and keeps the samples inside the ring. It does not heal: D's opinions swing as widely as
# before, hardly a mode is covered, and 0.10 is far from 0.007. EMA lowers the distance of each of the same five runs, to about 0.5, but not
# out of the sick range: what circles in a net is no circle around the goal, and the mean of bad points need not be a good one. What EMA is for is the second record: rates five times the healthy ones, where the samples are
# on the ring but never rest. There the average moves a fraction of the way from check to check. (Notebook 02 uses it for that.)

# %% [markdown]
# ## 9. Memorisation of a tiny set
# The switch: ten training images instead of 9,000. (Of all three patients here D's rate is 0.003, three times that of section 1.)
#
# **Predict.** After 200 steps D has seen each of the ten 640 times. It is shown *other* real clothes, which it has never seen. It
# calls them (a) real, (b) real as often as the ten, (c) mostly fake?

# %%
base = {"d_lr": 3e-3} | short
patients = {
    "healthy": clothes(**base),
    "sick: few=10": clothes(few=10, **base),
    "DiffAugment": clothes(few=10, augment="brightness,translation,cutout", **base),
}
print(record("memorisation"))
plots.show(
    panel(patients),
    alt="Ten training images: D calls most of them real and few unseen images, the solid and the dotted line are far apart; with DiffAugment they are near again",
)

# %% [markdown]
# (c): D has learned the ten images by heart and takes everything else for fake, and that includes anything *new* that G might
# make. Look at the distance: it does not notice. **DiffAugment** (Zhao et al. 2020) shifts, cuts and brightens real and fake
# images alike before D sees them, by differentiable operations, so that G's gradient passes through. D never sees the same image
# twice. What it does *not* do is make data: G still knows clothes from ten examples.

# %%
from gan_helpers.metrics import nearest

by_heart = patients["sick: few=10"]
network = by_heart.ward.look
fakes, ten = by_heart.last.samples[:10], by_heart.trained_on
_, rows = nearest(network(fakes)[0], network(ten)[0])
plots.show(
    plots.grid(torch.cat([fakes, ten[rows]]), columns=10, scale=3),
    alt="Above ten samples of the patient, below each its nearest of the ten training images: some are rough versions of it, others resemble it little",
)

# %% [markdown]
# Some are rough copies, some are not. Of ten images one is always the nearest, so this picture proves nothing: whether G copies is
# told only beside held-out images (notebooks 05 and 09). What is proven here is that *D* knows the ten by heart.
#
# ## 10. Divergence late in training
# 'It was good until epoch 20, then it collapsed' is among the most frequent complaints
# ([carpedm20/DCGAN-tensorflow #270](https://github.com/carpedm20/DCGAN-tensorflow/issues/270)). The switch here is a slip that no
# error message reports: a schedule with factor 2 where 0.5 was meant, applied to both rates every 100 steps.
#
# **Predict.** At which rate does a GAN break that was healthy at 0.001: (a) between 0.001 and 0.004, (b) between 0.004 and 0.016, (c)
# between 0.016 and 0.064? And will you see it coming?

# %%
patients = {
    "sick: schedule=2": points(schedule=2.0, **short),
    "schedule=0.5": points(schedule=0.5, **short),
}
print(record("late divergence"))
plots.show(
    panel(patients),
    alt="Sick: the distance falls for a few hundred steps, then climbs by many orders of magnitude, gradients grow with it, and no sample is left in the picture; with halving rates the samples stay on the ring",
)

# %% tags=["nbval-ignore-output"]
print("step, modes, distance:", *[(c.step, c.kinds, round(c.distance, 3)) for c in patients["sick: schedule=2"].checks[1:]])

# %% [markdown]
# (b): its modes go from step 400 on, at a rate of about 0.01. The distance has left its lowest value there, too, and is many times that
# at 600; whoever waits for the explosion at 900 looks at the wrong scale. So it can be seen coming. Two
# habits follow: watch more than one number (notebook 05), and keep the best generator, not the last one.

# %% [markdown]
# ## 11. What was shown
# All of it in one table, from the record in `benchmarks/results/failures.txt`: five seeds for each line.

# %%
for row in results():
    if row.arm != "healthy":
        print(f"{row.case:<30}{row.arm:<26}{row.verdict}")

# %% [markdown]
# **Your turn at the bed.** Choose a failure, tick treatments, press *Treat*, and watch the chart grow. **Tasks**, with answers
# to write down:
#
# 1. *mode collapse*: which single treatment, other than two time scales, covers most modes over the second half of its chart?
# 2. *oscillation*: order R1, EMA and instance noise by the distance at the end.
# 3. *late divergence*: which treatment delays it longest? Does any prevent it?

# %% tags=["nbval-ignore-output"]
from gan_helpers.course.widgets import Clinic

Clinic()

# %% [markdown]
# ## 12. A quiz: losses and grids
# Curves 1 to 4 are the losses of four of the clothes patients of this notebook. Grids A to E are their samples, in another
# order, and one more.
#
# **Task.** Match them before you read on: which grid belongs to curve 1, 2, 3, 4? And grid E was drawn by one of the four
# patients, too, in another way: give the number of that patient's curve.

# %%
from gan_helpers.course.exercises.nb03 import quiz

curves, grids = quiz(wardrobe=wardrobe, strong=strong, dim=dim, by_heart=by_heart, alone=alone)
plots.show(
    curves,
    alt="Four pairs of losses: in 1 G's loss waves around two while D's is low; 2 is level; 3 has high spikes at the start; 4 is nearly level",
)

# %%
plots.show(
    grids,
    alt="Five grids of twenty clothes: A varied clothes; B blotchy ones; C twenty times the same dark picture; D clothes of few kinds; E clothes like A's, with other contrasts",
)

# %%
from gan_helpers.course.exercises import check, hint, solution

matches = {"1": ..., "2": ..., "3": ..., "4": ..., "E": ...}
check("03.0", matches)

# %% [markdown]
# **Predict.** Order the patients by G's loss at the end, lowest first, and by distance. Do the two orders agree?

# %% tags=["nbval-ignore-output"]
shown = {"A": wardrobe, "B": strong, "C": dim, "D": by_heart, "E": alone}
print("      G's loss   D's loss   distance")
for letter, patient in shown.items():
    (d, g), n = torch.tensor(patient.losses[-50:]).mean(0).tolist(), patient.last.distance
    print(f"{letter} {g:12.2f} {d:10.2f} {n:10.1f}")

# %%
assert wardrobe.losses == alone.losses and wardrobe.last.distance != alone.last.distance
print("A and E: the same losses to the last digit, and other images")

# %% [markdown]
# Grid E has curve 2: the patient of section 6, whose losses are A's to the last digit. So losses cannot even tell two *different*
# sets of images apart, let alone rank them. They say who is ahead of its present opponent, and the opponent changes from patient
# to patient. Look for the two pairs in the table that G's loss ranks the wrong way round.

# %% [markdown]
# ## 13. Spot the bug
# Six bugs, small and runnable; all but the second were found in published projects. Each check is run on the broken version first,
# and says what is wrong with it; then mend it in the blank below.
#
# **Bug 1: a loss.** A Wasserstein loss as `-mean(target · logit)`, with target 1 for real images and 0 for fakes. (The project
# reports that its attention model scores worse than its plain DCGAN. With this loss that says nothing about attention.)


# %%
def broken_critic_loss(real_logits, fake_logits):
    return -(1 * real_logits).mean() - (0 * fake_logits).mean()


def critic_loss(real_logits, fake_logits):
    ...  # your code


check("03.b1", broken_critic_loss)
check("03.b1", critic_loss)

# %% [markdown]
# **Bug 2: a last layer.** The data are scaled to [−1, 1], and this is G's last layer. (One project has sigmoid *and* data in [0, 1],
# which is right. The bug comes from mixing its G with another project's data.)


# %%
def broken_last_layer(a):
    return torch.sigmoid(a)


def last_layer(a):
    ...  # your code


check("03.b2", broken_last_layer)
check("03.b2", last_layer)

# %% [markdown]
# **Bug 3: an initialisation.** The published one of section 7, which one seed in five shows. `net.apply(init)` calls it with every module.


# %%
def broken_init(module):
    if isinstance(module, torch.nn.ConvTranspose2d):
        torch.nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, torch.nn.BatchNorm2d):
        torch.nn.init.normal_(module.weight, 0.0, 0.02)
        torch.nn.init.zeros_(module.bias)


def init(module):
    ...  # your code


check("03.b3", broken_init)
check("03.b3", init)

# %% [markdown]
# **Bug 4: a sampler.** The switch of section 6. Mind that training goes on afterwards.


# %%
def broken_sample(generator, z):
    with torch.no_grad():
        return generator(z)


def sample(generator, z):
    ...  # your code


check("03.b4", broken_sample)
check("03.b4", sample)

# %% [markdown]
# **Bug 5: shapes.** D returns (N, 1, 1, 1), the targets are (N, 1), and nothing raises an error.


# %%
def broken_least_squares(output, target):
    return (output - target).square().mean()


def least_squares(output, target):
    ...  # your code


check("03.b5", broken_least_squares)
check("03.b5", least_squares)

# %% [markdown]
# **Bug 6: a latent.** This generator was trained on z = μ + σ·ε with *learned* μ and σ and an ε of spread 0.5. Afterwards its
# samples were drawn like this.


# %%
def broken_draw(mean, log_variance, n):
    return torch.randn(n, len(mean))


def draw(mean, log_variance, n):
    ...  # your code


check("03.b6", broken_draw)
check("03.b6", draw)

# %% [markdown]
# ## 14. Exercises
# **Exercise 1: four unlabelled charts.** Say of each which it is: `"collapse"`, `"memorised"`, `"vanished"`, `"divergence"` or
# `"healthy"`. (a, c, d are points; b is clothes, so its distance has another scale.)
#
# | | a | b | c | d |
# |---|---|---|---|---|
# | length of G's gradient, at the end | 0.1 | 2 | 8e-7 | 2e5 |
# | D calls real: training, unseen, fakes | .54, .49, 1.00 | .80, .18, .16 | 1.00, 1.00, .00 | 1.00, 1.00, .00 |
# | diversity, at the end | .17 | .69 | .14 | 3.5 |
# | distance, half way and at the end | 1.4, 1.95 | 18, 9.0 | .80, .80 | .06, 173 |

# %%
diagnosis = {"a": ..., "b": ..., "c": ..., "d": ...}
check("03.1", diagnosis)

# %% [markdown]
# **Exercise 2: carry it over.** In notebook 01 the game V = x·y grew by √(1 + η²) a step. Now D pays damping/2 · y², and both
# step at once: x ← x − ηy, y ← y + η(x − damping·y). By which factor does the distance from the equilibrium grow a step, in the
# long run?


# %%
def growth(eta, damping):
    ...  # your code


check("03.2", growth)

# %% [markdown]
# **Exercise 3: the R1 penalty.** `discriminator` maps images (N, C, H, W) to logits (N,). Return the mean over the images of
# ‖∇D(x)‖², such that D can learn from it.


# %%
def r1(discriminator, real):
    ...  # your code


check("03.3", r1)

# %% [markdown]
# **For the keen: the cheapest cure under a budget.** The patient `points(g_lr=1e-2)` has 2,000 steps of D in all, to be spent as
# you like (`steps` × `d_steps`). Which settings cover most modes, over three seeds? There is no check: write a record like the
# one above.
#
# ## Summary
# - A failure is diagnosed from a chart: gradients, what D says to training, unseen and fake samples, diversity, kinds, distance.
# - Collapse and a weak D are one balance lost, vanishing gradients and a strong D the other.
# - R1 damps at the equilibrium. The one-centred gradient penalty keeps a critic Lipschitz, and does not damp.
# - D's verdict on *unseen* real images shows memorisation; no loss and hardly a distance does.
# - The wrong mode, the wrong initialisation, the wrong latent raise no error. Test them.
# - Losses don't rank models. Five seeds, ranges that don't touch: then say that it helps, and by how much. The record's *cures* means
#   'better than every sick patient', not 'healthy again'.
#
# **Can you answer these without looking?**
# 1. All samples look alike and D's lines swing. Which rate would you turn first, and which way?
# 2. D rejects every fake. With the saturating loss G's gradient is …, with the non-saturating loss it is …?
# 3. R1 and WGAN-GP's penalty in the Dirac-GAN: where does each end, and why?
# 4. D calls 80 % of the training images and 18 % of unseen ones real. What has happened, and which cure changes what D sees?
# 5. Two patients have the same losses to the last digit. Can one be worse?
#
# <details><summary>Answers</summary>
#
# 1. D's up (or G's down): two time scales. 2. Tiny; long, as long as D is steep. 3. R1 at the equilibrium, because a slope costs;
# the other at x = ±4, where its push towards slope 1 just cancels D's loss: D is flat there, so G stands still in the wrong place. 4. D knows the ten images by heart; DiffAugment. 5. Yes:
# sampled in the wrong mode, for example.
# </details>
#
# **Next:** [04 · CIFAR-10 variants](04_cifar10_variants.ipynb). **Papers:** Mescheder et al. 2018 (Dirac-GAN, R1),
# [arXiv:1801.04406](https://arxiv.org/abs/1801.04406); Arjovsky & Bottou 2017 (vanishing gradients, noise),
# [arXiv:1701.04862](https://arxiv.org/abs/1701.04862); Sønderby et al. 2017 (instance noise),
# [arXiv:1610.04490](https://arxiv.org/abs/1610.04490); Heusel et al. 2017 (two time scales),
# [arXiv:1706.08500](https://arxiv.org/abs/1706.08500); Gulrajani et al. 2017 (gradient penalty),
# [arXiv:1704.00028](https://arxiv.org/abs/1704.00028); Miyato et al. 2018 (spectral normalisation: notebook 07),
# [arXiv:1802.05957](https://arxiv.org/abs/1802.05957); Salimans et al. 2016 (one-sided label smoothing),
# [arXiv:1606.03498](https://arxiv.org/abs/1606.03498); Zhao et al. 2020 (DiffAugment),
# [arXiv:2006.10738](https://arxiv.org/abs/2006.10738); Lucic et al. 2018 (losses compared over seeds),
# [arXiv:1711.10337](https://arxiv.org/abs/1711.10337).
