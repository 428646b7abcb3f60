# %% [markdown]
# # 09 · Capstone: a GAN of your own images
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/notebooks/09_capstone.ipynb)
#
# **Aim.** Take your own images from a folder to a generator that you can show: check the set, train, diagnose, measure with a
# protocol, explore, export, and judge your own work by a rubric that only accepts the run's numbers.
#
# | | |
# |---|---|
# | You need | notebooks 02, 03, 05 and 08 |
# | Time | 60 minutes, of which your computer works for about two (two CPU cores) |
# | Data | your images, a folder or zip; without any, some 2,700 pictures of shoes, packed from the embedded `fashion` |
# | Words introduced | mean image, near-duplicate, model card, rubric |

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
# 1. Every tenth image is held out. Of an honest generator's images, what share has its nearest real image in the *training*
#    set: (a) hardly any, (b) 50 %, (c) 90 %?
# 2. You have only 40 images. What goes wrong first, and which number tells you?
# 3. Your distance is 40, your neighbour's, on other images, is 15. Whose generator is better?

# %% [markdown]
# ## 1. Your images
# This notebook runs on whatever `SOURCE` names: a folder or a zip of images. It runs to its end as it stands, too: without
# images of yours it packs a zip of shoes and takes the same way through it.
#
# What makes a usable set:
#
# | | |
# |---|---|
# | how many | from about 1,000; few are learned by heart and handed out (section 5 shows it) |
# | how alike | *one kind of thing, seen alike*: shoes from the side, not shoes and mountains; every doubling of the variety wants more images and more hours |
# | sizes | any; each is shrunk until its shorter side fits, and the middle is kept. Smaller than the target is blurred |
# | rights | you made them, or their licence allows it; people in them agreed to *this* use. A generator can hand out its training images, so what must not be shown must not be trained on |

# %%
from pathlib import Path

SOURCE = None  # your images: a folder or a zip, for example "my_photos.zip"
NETWORK = "fashion-net"  # whose eyes measure: "imagenet" or "cifar10-net" for photographs, "faces-net" for cartoon faces
RUN = None  # a new run; or the folder of one to go on with, for example "runs/capstone"
CHANNELS, SIZE = 1, 32  # 3 for colour; 64 pixels with a GPU or an evening

# %%
import io
import zipfile

from PIL import Image

from gan_helpers import data, plots


def pack(path, kinds):
    """A zip of some kinds of clothes, each kind in its folder, as your own might be."""
    clothes = data.load("fashion")
    with zipfile.ZipFile(path, "w") as archive:
        for i, (image, label) in enumerate(zip(clothes.images, clothes.labels)):
            file = io.BytesIO()
            Image.fromarray(image[0]).save(file, "PNG")
            if (kind := clothes.class_names[label]) in kinds:
                archive.writestr(f"{kind}/{i:04}.png", file.getvalue())


Path("exports").mkdir(exist_ok=True)  # what you make to show goes here
if SOURCE is None:
    SOURCE = "exports/shoes.zip"
    pack(SOURCE, ("Sandal", "Sneaker", "Ankle boot"))
images = data.load(SOURCE, SIZE, CHANNELS)
held_out = data.load(SOURCE, SIZE, CHANNELS, split="held-out")
print(images, held_out, sep="\n")

# %%
plots.show(
    plots.grid(images.images[:: max(1, len(images) // 48)][:48], columns=16),
    alt="Forty-eight images of the set, evenly spread: ankle boots, then sandals, then sneakers, all pointing left on black",
)

# %% [markdown]
# Every tenth image, by name, is held out. Nothing is trained on those: they are the only witnesses against copying.
#
# ## 2. A check-up before any training
# The **mean image** is the average of all images, pixel by pixel. It tells in a second how alike a set is.
#
# **Predict.** The mean of all the shoes is (a) an even grey, (b) a blurred shoe. And the mean of *all ten* kinds of clothes?

# %%
import numpy as np
import torch

everything = data.load("fashion", SIZE, CHANNELS)
sets = [everything.images, images.images]
sets += [images.images[images.labels == k] for k in range(len(images.class_names))]
plots.show(
    plots.grid(np.stack([s.mean(0).round().astype(np.uint8) for s in sets]), columns=len(sets), scale=3),
    alt="Mean images: of all clothes a pale fog shaped like a shirt, of all shoes a blurred shoe, then clearer ones of boots, sandals and sneakers",
)
names = ["all clothes", "your set", *images.class_names]
for name, s in zip(names, sets):
    print(f"{name:<12} mean deviation from the mean image: {np.abs(s - s.mean(0)).mean():.0f} of 255")

# %% [markdown]
# (b); of all ten kinds a fog in the outline of a shirt, which is none of the shoes, bags and trousers in it. Where the mean is sharp the generator has little to learn, where it is fog it has much. If yours is an even grey,
# choose one kind of image, or crop to what you care about.
#
# Next, **near-duplicates**: frames of one video, the same photo saved twice. They make a set seem larger than it is, and a
# pair of which one half is held out makes the copying test blind. The four closest pairs of the set, each above its twin:

# %%
pool = np.concatenate([images.images, held_out.images])
small = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(pool.astype(np.float32)), 16).flatten(1)  # (N, 256)
some = torch.arange(0, len(pool), max(1, len(pool) // 2500))  # each of these is compared with all
distance = torch.cdist(small[some], small) / small.shape[1] ** 0.5  # root mean square, in grey levels
distance[torch.arange(len(some)), some] = torch.inf  # not with itself
closest, twin = distance.min(1)
duplicates = (closest < 8).float().mean().item()
print(f"{duplicates:.1%} of the images have a twin closer than 8 grey levels; the closest pair: {closest.min():.0f}")
pairs = list({tuple(sorted((some[k].item(), twin[k].item()))): None for k in closest.argsort()})[:4]  # each once
one, two = (np.array(side) for side in zip(*pairs))
plots.show(
    plots.grid(np.concatenate([pool[one], pool[two]]), columns=4, scale=3),
    alt="The four most similar pairs of the set, one above the other: sneakers of nearly one model",
)
print(f"{len(images):,} to train on, {len(held_out):,} held out; enough to begin: {len(images) >= 300}")

# %% [markdown]
# ## 3. Train
# The recipe of notebook 00, opened in 07, with your data in it. A minute shows whether the images work at all. Then give it an
# hour: the run folder is kept, and goes on where it stopped.
#
# While it trains, we write its vital signs down, as in notebook 03: how often D is right on training images, on *held-out*
# images and on fakes; how strong the gradients are; how much the fakes differ from each other.

# %%
from gan_helpers import latent
from gan_helpers.callbacks import Callback


def gradient_norm(net):
    return torch.cat([p.grad.flatten() for p in net.parameters()]).norm().item()


class Vitals(Callback):
    """At steps 1, 21, 41, … a row: step, D right on training images, on held-out ones and on fakes, |∇D|, |∇G|, diversity."""

    def __init__(self, train, held_out, n=128):
        self.real = [torch.from_numpy(np.array(s.images[:: max(1, len(s) // n)])).float() / 127.5 - 1 for s in (train, held_out)]
        self.rows = []

    @torch.no_grad()
    def step(self, trainer):
        if trainer.step % 20 != 1:
            return
        fake = latent.generate(trainer.generator, latent.draw_z(128, trainer.recipe.latent_dim)).cpu()
        d = trainer.discriminator.eval()  # spectral normalisation must not move while we look
        train, unseen, fakes = ((d(x.to(trainer.device)) > 0).float().mean().item() for x in (*self.real, fake))
        d.train()
        norms = gradient_norm(d), gradient_norm(trainer.generator)  # of the step just made
        diversity = (fake.std(0).mean() / self.real[0].std(0).mean()).item()  # 1: as varied as the real ones, 0: all alike
        self.rows.append((trainer.step, train, unseen, 1 - fakes, *norms, diversity))


# %% [markdown]
# **Predict.** In a *healthy* run, how often is D right about a fake: (a) 50 %, (b) 55 to 95 %, (c) always? Write it down.
# The cell takes about a minute; the stop button ends it early and loses nothing.

# %% tags=["nbval-ignore-output"]
from gan_helpers import recipes, runs
from gan_helpers.evaluation import Judge
from gan_helpers.widgets import LiveView

steps = here.pick(cpu=600, gpu=2000, test=21)
recipe = recipes.get("first-minute").but(data=SOURCE, channels=CHANNELS, image_size=SIZE, steps=steps)
run, vitals = Path(RUN or runs.new_folder("capstone")), Vitals(images, held_out)
judge = Judge(SOURCE, NETWORK, n=here.pick(cpu=500, gpu=500, test=50), channels=CHANNELS, image_size=SIZE)
scoring = {"judge": judge, "score_every": 200}
trainer = runs.train(recipe, images, run, callbacks=[LiveView(), vitals], resume=RUN is not None, progress=False, **scoring)
print(f"{trainer.step:,} steps, each image seen {trainer.step * recipe.batch_size / len(images):.0f} times; kept in {run}")

# %% [markdown]
# To go on, set `RUN` above to the folder that was just printed, and `steps` some hundred higher than what is reached: vital signs
# are written only while it trains. Or go on in a terminal, **in the folder `notebooks/`**, with your data and your run in place of
# `my_photos.zip` and `runs/capstone`. Budgets are totals, so `--minutes 60` adds what is missing to an hour:
#
# ```
# python -m gan_helpers train first-minute --data my_photos.zip --minutes 60 --set channels=1 --out runs/capstone --resume
# python -m gan_helpers train dcgan-faces --data my_photos.zip --minutes 60 --out runs/mine-64  # 64 pixels, colour
# tensorboard --logdir runs
# ```

# %%
z = latent.draw_z(24, recipe.latent_dim, seed=0)
fakes = plots.to_uint8(latent.generate(trainer.ema, z))
real = torch.from_numpy(np.array(held_out.images[:: max(1, len(held_out) // 24)][:24]))
rows = torch.cat([real[:12], fakes[:12], real[12:], fakes[12:]])
plots.show(
    plots.grid(rows, columns=12, scale=2),
    alt="Rows one and three: real held-out images. Rows two and four: images of the generator, after a minute: shoe-shaped, blurred, some broken",
)

# %% [markdown]
# ## 4. Diagnose
# One panel for the run's health. It needs no distance, so you can read it while a run is young.

# %%
from matplotlib.figure import Figure


def panel(rows, title):
    """Three plots of a run's vital signs over its steps."""
    step, train, unseen, fakes, norm_d, norm_g, diversity = zip(*rows)
    figure = Figure(figsize=(10, 3), layout="constrained")
    lines = [
        [(train, "training images", plots.BLUE, "-"), (unseen, "held-out images", plots.GREEN, ":"), (fakes, "fakes", plots.ORANGE, "--")],
        [(norm_d, "D", plots.BLUE, "-"), (norm_g, "G", plots.ORANGE, "--")],
        [(diversity, "fakes / real", plots.ORANGE, "--")],
    ]
    names = ["how often D is right", "gradient norm", "diversity"]
    for axes, curves, name in zip(figure.subplots(1, 3), lines, names):
        for values, label, colour, style in curves:
            axes.plot(step, plots.smooth(values, 0.8), style, color=colour, label=label)
        axes.set(title=name, xlabel="step", ylim=(0, None))
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3)
    figure.suptitle(title)
    return figure


# %% tags=["nbval-ignore-output"]
rows = vitals.rows or [(trainer.step, *[float("nan")] * 6)]  # a finished run that was only opened has none
plots.show(
    panel(rows, "your run"),
    alt="Vital signs of the run: D is right on six of ten real images, training or held-out, and on most fakes; both gradients stay alive, and diversity rises towards one",
)
last = np.nanmean(np.array(rows[-5:]), 0)
for name, value in zip(("D right on training images", "on held-out images", "on fakes", "|∇D|", "|∇G|", "diversity"), last[1:]):
    print(f"{name:<28} {value:.2f}")

# %% [markdown]
# (b) at the end, about three quarters over real images and fakes together; in the middle of the run it hovers between 50 and 65 %, for the two are nearly a match. D at 50 % everywhere would be a D that
# has given up; D always right gives G a lesson that is loud and of little use (notebook 03, section 5; with the saturating loss, none at all). Its curves for training
# images and for held-out images lie on each other: D has learned what *shoes* look like, not what *these* shoes look like.
#
# ## 5. Too few images
# What if the set is small? To see it in half a minute we play the same game in small: 16 pixels, narrow nets, and without the
# recipe's two protections, spectral normalisation and DiffAugment. Once on 40 of the images, once on all of them.
#
# **Predict.** Which sign tells that 40 are too few: (a) diversity falls, (b) gradients die, (c) D is right far more
# often on training images than on held-out ones? And of the fakes, what share will be nearest to one of the 40? (There are 40
# of these and 270 held-out ones, so chance gives 13 %.)

# %% tags=["nbval-ignore-output"]
little, unseen = images.resized(16, CHANNELS), held_out.resized(16, CHANNELS)
few = little.take(np.arange(len(little))[:: max(1, len(little) // 40)][:40], "few")
small = recipe.but(image_size=16, g_width=16, d_width=16, net={"d_norm": "none"}, augment="", decay=0)
small, signs, small_runs = small.but(steps=here.pick(cpu=1400, gpu=1400, test=21)), {}, {}
for name, part in (("40 images", few), ("all images", little)):
    signs[name] = Vitals(part, unseen)
    small_runs[name] = runs.train(small, part, runs.new_folder("capstone-small"), callbacks=[signs[name]])

# %% tags=["nbval-ignore-output"]
plots.show(
    panel(signs["40 images"].rows, "40 images"),
    alt="Vital signs on forty images: after some 1,000 steps D's curve for held-out images stays far below that for training images; G's gradient and diversity look well",
)
plots.show(
    panel(signs["all images"].rows, "all images"),
    alt="The same on all images: D's curves for training and held-out images lie on each other",
)
for name, sign in signs.items():
    train, new = np.mean(sign.rows[-5:], 0)[1:3]
    print(f"{name:<11} D right on {train:.0%} of the training images, {new:.0%} of the held-out ones")

# %% [markdown]
# (c). D still knows most of the 40, and takes nearly all other real shoes for fakes. G's gradient and diversity look well. With
# all images, the same nets and as many steps, there is no gap. Now the fakes: whom are they nearest to?

# %% tags=["nbval-ignore-output"]
from gan_helpers.metrics import copying, nearest


def flat(x):
    """Images (N, C, S, S) as rows of pixels (N, D)."""
    return torch.from_numpy(np.array(x)).double().flatten(1)


fakes = {}
for name, part in (("40 images", few), ("all images", little)):
    z = latent.draw_z(300, recipe.latent_dim, seed=1)
    fakes[name] = plots.to_uint8(latent.generate(small_runs[name].ema, z)).numpy()
    print(f"{name:<11}", copying(flat(fakes[name]), flat(part.images), flat(unseen.images)))

# %%
made = fakes["40 images"][:12]
in_few, in_unseen = (nearest(flat(made), flat(s.images))[1] for s in (few, unseen))
plots.show(
    plots.grid(np.concatenate([made, few.images[in_few], unseen.images[in_unseen]]), columns=12, scale=3),
    alt="Twelve images of the generator that saw forty; below each its nearest training image, then its nearest held-out image",
)

# %% [markdown]
# Look at the chance in the two lines. With all images an *honest* generator's fakes are nearest to a training image nine
# times in ten, for nine tenths of the real images are training images: that answers the first opening question, and it is why
# a share alone accuses nobody. On 40 images the share is well above what chance gives, though the copies are still rough:
# this was half a minute. The cures, in this order: more images; DiffAugment and spectral normalisation, which the recipe
# has; stopping at the best score.
#
# ## 6. Measure
# A score with its protocol, as in notebook 05: fresh samples, against the images that are held out (one in ten, by their
# content), beside the floor.
#
# **Predict.** Diversity in the panel has reached nearly 1: the fakes vary as much as real shoes do. So their recall, the share
# of real shoes that lie among them, is (a) about as high as that of real images, (b) half of it, (c) far below?

# %% tags=["nbval-ignore-output"]
from gan_helpers.evaluation import evaluate, table

scores = evaluate(run, SOURCE, network=NETWORK, draws=here.pick(cpu=3, gpu=3, test=2), progress=False)
print(table(scores))

# %% [markdown]
# (c). The spread of pixels is a vital sign, no verdict: smears in many places spread as much as shoes do. After a minute one
# fake in ten lies among real shoes, and about as few of the real ones lie among the fakes; real images would have more than eight in ten for
# both. The distance says the same against its floor; alone it says nothing. And N is small: a few hundred held-out images are
# too few for a Fréchet distance through this network, which needs twice as many images as features, so the table has the kernel
# distance, whose mean does not depend on N. Copying is rough, too: one real image in ten is held out, so its spread over draws is
# about half of the 0.2 that the rubric below asks for.
#
# The command for another day, with a file that keeps the whole protocol:
# `python -m gan_helpers evaluate runs/capstone --data my_photos.zip --features imagenet --out scores.json`.
#
# ## 7. Explore
# **Task.** Move the first direction to both ends, then the second and the third. Give each that does one nameable thing a
# name ("heel", "sole", "darker"), and write the names into the cell below. If a direction changes several things at once, don't name it.

# %% tags=["nbval-ignore-output"]
from gan_helpers import generators
from gan_helpers.widgets import explore

generator = generators.load_generator(run)
explore(generator, images)

# %% [markdown]
# The same as a picture: each row one direction, from −3 to 3, the strongest first.

# %%
from gan_helpers import directions

start = latent.draw_z(1, generator.latent_dim, seed=2)
sweeps = [latent.sweep(start, d, reach=3.0, count=9) for d in directions.principal(generator, 4)]
plots.show(
    plots.grid(latent.generate(generator, torch.cat(sweeps)), columns=9, scale=2),
    alt="Four rows of nine images: along each of the four strongest directions one shoe changes into another",
)

# %%
named = {1: "", 2: "", 3: ""}  # direction → what it does, in a word

# %% [markdown]
# ## 8. Show
# An animation of the training and an endless walk; the walk goes through latent space along arcs and has no seam.

# %%
from gan_helpers.animate import animate, film
from gan_helpers.frames import half_frames

path = animate(half_frames(run, False), "exports/capstone-training.gif", max_bytes=300_000)
plots.show(path, alt="Animation: thirty-two images form from grey noise while the generator trains", width=400)

# %%
keys = torch.stack([latent.draw_z(4, generator.latent_dim, seed) for seed in range(4)])  # (4 stops, 4 images, latent_dim)
walks = torch.stack([latent.walk(stops, 48) for stops in keys.unbind(1)], 1)  # (48 frames, 4 images, latent_dim)
frames = list(film(lambda z: latent.generate(generator, z), walks, scale=3))
path = animate(frames, "exports/capstone-walk.gif", fps=12, hold=0, max_bytes=200_000)
plots.show(path, alt="Animation: four images walk through latent space, each turning into another without a cut", width=300)

# %% [markdown]
# A generator that you give away needs a **model card**: what it was trained on and whether that was allowed, by which recipe
# and how long, what it can't do, how it was chosen. The helper fills in what it knows; three lines are yours. The page holds
# the generator itself, with sliders, and opens in any browser without Python.
#
# All cells here take the *last* generator of the run. The one with the best score lies beside it, `run / "best.safetensors"`: export that
# one, and its card says by which score it was chosen (on the same held-out images, so score it with suspicion).

# %% tags=["nbval-ignore-output"]
from gan_helpers.page import export_page

CARD = {"data": "", "licence": "", "limits": ""}  # your three lines
yours = {key: text for key, text in CARD.items() if text}
exported = generators.export_generator(run, Path("exports/capstone.safetensors"), **yours)
page = export_page(generators.load_generator(exported), "exports/capstone.html", "capstone")
print(exported.with_suffix(".md").read_text())
print(f"{page}: {page.stat().st_size / 1e6:.1f} MB, open it in a browser")

# %% [markdown]
# On the command line:
#
# ```
# python -m gan_helpers animate runs/capstone --out training.mp4
# python -m gan_helpers walk runs/capstone --out walk.gif --n 4
# python -m gan_helpers export runs/capstone --out mine.safetensors --data "…" --licence "…" --limits "…"
# python -m gan_helpers export-explorer mine.safetensors --out mine.html
# ```
#
# ## 9. The rubric
# A **rubric** says beforehand what each mark stands for. Eight criteria, levels 0 (not done) to 3:

# %%
from gan_helpers.course.exercises.nb09 import CRITERIA, review

for name, criterion in CRITERIA.items():
    print(name)
    for level, wanted in enumerate(criterion.levels, 1):
        print(f"   {level}  {wanted}")

# %% [markdown]
# These are your run's numbers.

# %% tags=["nbval-ignore-output"]
def of(metric):
    return {metric: scores[metric].value, f"{metric} of real images": scores[metric].floor}


facts = {
    "data": {"training images": len(images), "held-out images": len(held_out), "near-duplicates": duplicates},
    "training": {"steps": trainer.step, "times each image was seen": trainer.step * recipe.batch_size / len(images)},
    "diagnosis": {"D right on fakes": last[3], "|∇G|": last[5], "diversity": last[6]},
    "measurement": of("kernel") | {"images scored": scores["kernel"].n, "draws": scores["kernel"].draws},
    "quality": of("precision") | of("recall"),
    "honesty": {"copying beyond chance": scores["copying"].value},
    "exploration": {"directions named": sum(map(bool, named.values()))},
    "showing": {"walk, kB": path.stat().st_size / 1e3, "page, MB": page.stat().st_size / 1e6, "lines on the card": len(yours)},
}
for criterion, numbers in facts.items():
    print(f"{criterion:<12}", ", ".join(f"{name} {value:.4g}" for name, value in numbers.items()))

# %% [markdown]
# Fill in a level and a sentence for each. The sentence must quote one of the numbers in its own row above (for *quality* both precision and
# recall of your run), and the level must be one that the numbers allow. For example `"data": (2, "1,200 photos of my own garden; 8 % near-duplicates, as I often press twice")`.

# %%
rubric = {
    "data": (..., ...),
    "training": (..., ...),
    "diagnosis": (..., ...),
    "measurement": (..., ...),
    "quality": (..., ...),
    "honesty": (..., ...),
    "exploration": (..., ...),
    "showing": (..., ...),
}
print(review(rubric, facts))

# %% [markdown]
# A low mark with a true number is worth more than a high one without. A minute of training cannot earn all the marks. Which of them
# would an hour of training raise, which more images, and which only you?
#
# ## 10. Exercises
# They carry the course over to cases that you have not met here. Replace each `...` and run the cell; `hint("09.1")` gives a
# nudge, `solution("09.1")` shows one way. Blanks do no harm.
#
# **Exercise 1: the protocol line.** `score` is a Fréchet distance, as a dict with `value`, `spread`, `n`, `draws`, `reference`, `network`, `weights`,
# `resize`, `floor`. Return one line that a reader can check you by. Mind the *name* of the number.

# %%
from gan_helpers.course.exercises import check, hint, solution


def protocol_line(score):
    ...  # your code


check("09.1", protocol_line)

# %% [markdown]
# **Exercise 2: which cure?** Five runs (made up for this exercise), at step 3,000. For each choose the cure that goes to the
# *cause*: `"slow D down"` (a lower rate, noise), `"more variety"` (larger batches, a new start with a slower G), `"more images"`,
# `"keep the best"` (go back to the best score; only where nothing else in the row is wrong), `"none"`.
#
# | run | D right on training / held-out / fakes | gradient norm of G | diversity | distance |
# |---|---|---|---|---|
# | a (saturating loss) | 1.00 / 1.00 / 1.00 | 0.0003 | 0.7 | high, flat |
# | b | 0.75 / 0.74 / 0.80 | 1.2 | 0.1 | high, jumping |
# | c | 0.97 / 0.35 / 0.90 | 1.4 | 0.8 | falls, then rises |
# | d | 0.74 / 0.73 / 0.76 | 0.9 | 0.8 | 14 at step 2,000, 22 now |
# | e | 0.72 / 0.71 / 0.77 | 0.8 | 0.9 | falls slowly |

# %%
cure = {"a": ..., "b": ..., "c": ..., "d": ..., "e": ...}
check("09.2", cure)

# %% [markdown]
# **Exercise 3: too small a set?** `to_train` and `to_held_out` are the distances of each fake to its nearest training and its
# nearest held-out image (tensors). Return how far it copies *beyond chance*: 0 for an honest generator, whatever the sizes of the two
# sets, 1 for a thief.


# %%
def beyond_chance(to_train, to_held_out, n_train, n_held_out):
    ...  # your code


check("09.3", beyond_chance)

# %% [markdown]
# **Exercise 4: the card.** A friend trained a generator of faces. You know: 240 photos of colleagues from the company's web
# page, all from one floor; nobody was asked; the copying test says 0.8 beyond chance; the generator kept is the best of 12 scores on the
# same held-out images. Write the four lines as they should stand on the card, in your words.

# %%
card = {"data": ..., "licence": ..., "limits": ..., "chosen_by": ...}
check("09.4", card)

# %% [markdown]
# ## Summary
# - A usable set: a thousand images or more of one kind of thing seen alike, without twins, and with the right to use them.
# - Health is read from D on training, held-out and generated images, from gradients and from diversity.
# - Too few images: D learns them by heart, and the gap between training and held-out images tells.
# - A score is a line with N, reference, network, draws and floor. Copying is judged against chance.
# - What you give away has a card.
#
# **Can you answer these without looking?**
# 1. Nine tenths of an honest generator's images are nearest to a training image. Why?
# 2. D is right on 97 % of the training images and on 35 % of the held-out ones. What do you do?
# 3. Your distance is 40 on your photos, your neighbour's 15 on hers. What can you say?
# 4. A run's D accuracy is 50 % for real and fake from the first step on. Is that the equilibrium?
# 5. What belongs on a card that no measurement can supply?
#
# <details><summary>Answers</summary>
#
# 1. Nine tenths of the real images *are* training images; the nearest one is one of them by chance. 2. More images, or DiffAugment;
# stop at the best score. 3. Nothing: other references. Compare each with its own floor. 4. No: a D that never learned anything says the same;
# the images and their distance tell. 5. Where the images came from, whether the people agreed, what may be done with the result.
# </details>
#
# **Papers:** Mitchell et al. 2019 (model cards), [arXiv:1810.03993](https://arxiv.org/abs/1810.03993); Gebru et al. 2021 (datasheets),
# [arXiv:1803.09010](https://arxiv.org/abs/1803.09010); Karras et al. 2020 (few images: D overfits),
# [arXiv:2006.06676](https://arxiv.org/abs/2006.06676); Zhao et al. 2020 (DiffAugment),
# [arXiv:2006.10738](https://arxiv.org/abs/2006.10738); Meehan et al. 2020 (copying), [arXiv:2004.05675](https://arxiv.org/abs/2004.05675).
