# %% [markdown]
# # 03 · Failure lab: break it, diagnose it, fix it
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/notebooks/03_failure_lab.ipynb)
#
# **Aim.** Make nine GANs fail, each by one switch; read the failure off a chart, not off the losses; cure it by one switch
# more; and know which cures were shown over five seeds. Then find six bugs that were found in real projects.
#
# | | |
# |---|---|
# | You need | notebooks 00 to 02 |
# | Time | 90 minutes, of which your computer trains for about three (two CPU cores) |
# | Data | points on a ring; `fashion` (clothes, embedded), shrunk to 16×16 |
# | Words introduced | mode collapse, two time scales, instance noise, R1 penalty, DiffAugment |

# %% tags=["nbval-ignore-output"]
# On Colab this fetches the course; elsewhere it only finds the course that this notebook belongs to.
import os
import sys

if "google.colab" in sys.modules and not os.path.isdir("../gan_helpers"):
    fetch = "test -d gan-course || git clone -q --depth 1 --branch main https://github.com/gan-course/gan-course gan-course"
    assert os.system(fetch + " && pip install -q --no-deps -e gan-course") == 0, "The course could not be fetched."
    os.chdir("gan-course/notebooks")
sys.path.insert(0, os.path.abspath(".."))
from gan_helpers.notebook import setup_notebook

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
from gan_helpers import plots
from gan_helpers.failures import clothes, panel, points, record

short = here.pick(cpu={}, gpu={}, test={"steps": 20, "every": 10})
ring, wardrobe = points(**short), clothes(**short)
plots.show(
    panel({"points": ring, "clothes": wardrobe}),
    alt="Two charts. Points: orange samples on all eight blue modes. Clothes: trousers, shirts and shoes; D's opinions of training, fake and unseen images stay together, diversity near one, the distance falls",
)

# %% [markdown]
# A chart has five windows, and each answers one question.
#
# | window | question | healthy |
# |---|---|---|
# | samples | what do I see? | |
# | kinds | is a mode (or class) missing? the dotted line is the fair share | most bars near the line |
# | gradients | does each net still get a lesson? | both alive, no cliff |
# | D calls real | does D know what it is talking about? does it know *unseen* real images? | the three lines not far apart |
# | against real | diversity: mean distance between two samples, 1 is the data's; Fréchet distance to unseen data | near 1; falling |
#
# The kinds of clothes are told by the course's `fashion-net`, and the distance is taken in its features (notebook 05 says how
# to read such a number; here it is enough that lower is nearer).
#
# **How this notebook knows.** One run proves nothing about GANs. Each failure and each cure below was run with five seeds, and
# counts as *shown* only if the ranges of the five do not touch. `python -m gan_helpers.failures` repeats it. The lines
# under each chart are that record.

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
    alt="Below the healthy chart the sick one: the orange samples form a short thread, one or two kinds have all bars, diversity far below one",
)

# %% [markdown]
# (b). A sample gains nothing from being unlike its neighbours: against a D that stands still, one point, the highest, is the
# best place for all of them. D must answer before the crowd has arrived. G is the one that collapses, but it is D's slowness
# that lets it; and when D does answer, the crowd moves on to another mode, so no moment of the run shows the whole ring.
#
# **Cure: two time scales.** Let D be the faster one. Which rate you turn does not matter to the idea; here G keeps its
# hasty rate and D gets a larger one. (Heusel et al. 2017 called it the two time-scale update rule, TTUR.)

# %%
cured = points(g_lr=1e-2, d_lr=1e-2, **short)
plots.show(
    panel({"two time scales: d_lr=1e-2": cured}),
    alt="The treated patient: the orange samples lie all round the ring again and diversity is back near one",
)

# %% [markdown]
# ## 3. D too weak
# The switch: D's rate is a twentieth of its healthy value. D still learns; but when it has noticed where the fakes are, they
# have gone.
#
# **Predict.** G follows a D that lags behind. Its samples end up (a) in the middle, (b) on one mode, (c) far away from all data?

# %%
sick = points(d_lr=1e-4, **short)
cured = points(d_lr=1e-4, d_steps=10, **short)
print(record("D too weak"))
plots.show(
    panel({"sick: d_lr=1e-4": sick, "more D steps: d_steps=10": cured}),
    alt="Sick: hardly a sample lies on the ring. With ten D steps per G step the samples are back on the modes",
)

# %% [markdown]
# ## 4. Vanishing gradients
# Notebook 01 *computed* that the saturating loss has no gradient when D wins. Here D really wins: it learns alone for 500
# steps while G stands still. Then the game begins. One switch: the loss.
#
# **Predict.** By which factor do G's first gradients differ: (a) 2, (b) 100, (c) more than 10,000?

# %%
base = {"head_start": 500, "steps": 200, "every": 25} | short
patients = {
    "non-saturating": points(**base),
    "sick: loss='minimax'": points(loss="minimax", **base),
    "instance noise: noise=0.5": points(loss="minimax", noise=0.5, **base),
}

# %%
print(record("vanishing gradients"))
plots.show(
    panel(patients),
    alt="With the non-saturating loss G's gradient starts near ten; with minimax it starts thousands of times smaller while D is right about everything; with instance noise it starts near one",
)

# %% [markdown]
# ## 5. D too strong
# Now images. The switch: D's learning rate times ten.
#
# **Predict.** D is right about nearly every image. G's gradient, with the usual non-saturating loss, (a) vanishes, (b) stays
# as it was, (c) grows?

# %%
sick = clothes(d_lr=1e-2, **short)
print(record("D too strong"))
plots.show(
    panel({"healthy": wardrobe, "sick: d_lr=1e-2": sick}),
    alt="Sick: D calls no fake real, G's gradient is several times longer than the healthy one's, the clothes are blotchy and the distance falls slowly",
)
