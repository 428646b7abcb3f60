# %% [markdown]
# # 08 · The generator in your hands
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/notebooks/08_latent_exploration.ipynb)
#
# **Aim.** Move through a generator's latent space and know what you are doing: what a straight line does to z, what a
# direction is and how it is found, what *else* a slider moves, what truncation costs, and whether the generator remembers.
#
# | | |
# |---|---|
# | You need | notebooks 00, 02 and 05 |
# | Time | 75 minutes, of which your computer works for about one (two CPU cores) |
# | Data | the shipped generator `dcgan-faces`, the embedded cartoon `faces` |
# | Words introduced | latent space, spherical interpolation, direction, entangled, truncation |

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
# 1. You turn up *one* number of z, say number 17. Does one thing change in the picture, or everything a little?
# 2. Half way along the straight line between two latents: how is that point unlike every latent that G was trained on, and
#    does its image suffer for it?
# 3. The faces were drawn so that glasses say nothing about the skin. Will a *glasses* slider leave the skin alone?

# %%
import torch

from gan_helpers import classifier, data, features, generators, latent, plots

generator = generators.load_generator("dcgan-faces")
judge = classifier.load_classifier("faces-net")  # answers questions about a face
questions = [name for name in judge.heads if name != "class"]  # the class is the style


def draw(z):
    """Latents (N, 100) → images uint8 (N, 3, 64, 64)."""
    return plots.to_uint8(latent.generate(generator, z))


z = latent.draw_z(8, generator.latent_dim, seed=0)  # (8, 100)
plots.show(plots.grid(draw(z), columns=8), alt="Eight generated cartoon faces in two drawing styles")
print("the judge answers", len(questions), "questions:", ", ".join(questions))

# %% [markdown]
# All points z, and the images they become, are the generator's **latent space**. Take it in your hands. The pad below has a
# seed at each tile; between the tiles G draws what lies between.
#
# **Task.** Open *Seeds* and drag. Find a place where a face *half* wears glasses, note across and down, press *Undo*, and
# find the place again from your note. (The pad has keys, too: arrows, Shift with arrows, Home.)

# %% tags=["nbval-ignore-output"]
from gan_helpers.widgets import explore

explore("dcgan-faces")

# %% [markdown]
# For readers without a kernel, one walk across the pad, from seed 0 to its right neighbour, seed 1:

# %%
across = torch.cat([latent.plane(x / 8, 0.0, generator.latent_dim) for x in range(9)])  # (9, 100)
plots.show(plots.grid(draw(across), columns=9), alt="Nine faces: the first turns into the last in small steps, every one of them a face")

# %% [markdown]
# ## 1. Do the axes of z mean anything?
# z has 100 numbers. It is tempting to think of them as a hundred knobs: one for the hair, one for the mouth.
#
# **Predict.** We turn *all* latents in 100 dimensions by one random rotation Q before G sees them. The new generator is
# z ↦ G(Qz). Compared with G, are its images (a) broken, (b) worse by the distance of notebook 05, (c) as good?

# %%
from gan_helpers.metrics import Pairs, frechet_distance, precision_recall

network = features.load("faces-net")  # the same network, for its features
held_out = network(data.load("faces", split="held-out").images)  # (1000, 192)
Q, _ = torch.linalg.qr(torch.randn(100, 100, generator=torch.Generator().manual_seed(0)))
points = latent.draw_z(500, 100, seed=1)
own = network(draw(points))  # (500, 192)
rotated, fresh = network(draw(points @ Q.T)), network(draw(latent.draw_z(500, 100, seed=2)))

# %%
for name, found in (("G(z)", own), ("G(Qz)", rotated), ("G(other z)", fresh)):
    print(f"{name:<11} FD(faces-net) from held-out faces {frechet_distance(found, held_out):.0f}")
near = frechet_distance(rotated, own), frechet_distance(fresh, own)
assert abs(near[0] - near[1]) < 1
print("G(Qz) is as far from G(z) as another 500 images of G itself are")

# %% [markdown]
# (c). N(0, I) looks the same from all sides, so Qz has the same distribution as z, and G(Qz) that of G(z). But its
# axis number 17 is another one. Whatever the loss sees, it sees of the *distribution*; it cannot prefer one set of axes.
# So what does one axis do? **Predict:** two faces, axis 17 turned from −6 to 6. How many things change?

# %%
axis = torch.eye(100)[17]
rows = torch.cat([latent.sweep(z[k : k + 1], axis, reach=6) for k in (3, 5)])  # (18, 100)
plots.show(plots.grid(draw(rows), columns=9), alt="Two faces, each nine times while axis 17 goes from -6 to 6: several things change a little, different ones in each face")

# %% [markdown]
# No eye can judge this fairly, so we let the judge count: of 15 questions, how many have another answer after a step of 3?
# For four axes, and for four directions drawn at random.

# %% tags=["nbval-ignore-output"]
some = latent.draw_z(64, 100, seed=9)
before = judge.answers(draw(some))


def changes(direction, amount=3.0):
    """How many answers change, per face."""
    after = judge.answers(draw(some + amount * direction))
    return sum((before[q].argmax(1) != after[q].argmax(1)).float().mean().item() for q in questions)


random = torch.nn.functional.normalize(torch.randn(4, 100, generator=torch.Generator().manual_seed(5)))
of_axes, of_random = ([changes(v) for v in rows] for rows in (torch.eye(100)[[17, 33, 50, 71]], random))
print("four axes:             ", "".join(f"{n:5.1f}" for n in of_axes))
print("four random directions:", "".join(f"{n:5.1f}" for n in of_random))

# %% [markdown]
# Two to four things change, along an axis as along a random direction. The axes are nothing special. What *is*
# special are directions of G, and section 4 finds them. (Strictly: Adam, unlike the loss, treats each weight for itself,
# so training could prefer axes a little. The counts show no sign of it.)
#
# ## 2. How long is a latent?
# The density of N(0, I) is highest at 0. **Predict:** among ten thousand latents of 100 numbers each, how long is the
# shortest: (a) nearly 0, (b) about 2, (c) about 7?

# %%
many = latent.draw_z(10_000, 100, seed=3)
norms = many.norm(dim=1)
middles = (many[:5000] + many[5000:]) / 2
print(f"norms {norms.mean():.2f} ± {norms.std():.2f}, the shortest {norms.min():.1f}, the longest {norms.max():.1f}")
print(f"half way between two of them: {middles.norm(dim=1).mean():.2f}")
for d in (1, 4, 25, 100, 400):
    squares = torch.randn(4000, d, generator=torch.Generator().manual_seed(d)).square().sum(1)
    print(f"d = {d:>3}: norm {squares.sqrt().mean():5.1f} ± {squares.sqrt().std():.1f}   (√d = {d**0.5:.1f})")

# %% [markdown]
# (c). |z|² is a *sum* of 100 independent squares. Each has mean 1, so the sum is near 100; its spread grows only as √d, which
# makes the spread of the *norm* about 0.7 in any dimension. There is one point at the centre and an ever larger shell around
# it: density times volume decides. Typical latents live on a thin shell, and a point of length 7 is hardly ever met in training.
#
# Half way between two latents lies just there: length 7.05. So the **straight line leaves the shell**. Its cure is
# **spherical interpolation** (slerp): the arc, which turns from one vector into the other:
#
# $$\operatorname{slerp}(a, b, t) = \frac{\sin((1-t)\,\omega)\,a + \sin(t\,\omega)\,b}{\sin\omega}, \qquad \omega = \angle(a, b).$$

# %%
from matplotlib.figure import Figure

figure = Figure(figsize=(8, 2.8), layout="constrained")
left, right = figure.subplots(1, 2)
for values, colour, hatch, name in ((norms, plots.BLUE, "", "latents"), (middles.norm(dim=1), plots.ORANGE, "//", "half way, straight")):
    left.hist(values.numpy(), 40, density=True, alpha=0.5, color=colour, hatch=hatch, label=name)
left.set(xlim=(0, 14), xlabel="length", yticks=[])
left.legend(fontsize=8)
t = torch.linspace(0, 1, 41)[:, None]
for path, style, colour in ((latent.lerp, "--", plots.ORANGE), (latent.slerp, "-", plots.BLUE)):
    right.plot(t, path(many[:1], many[1:2], t).norm(dim=1), style, color=colour, label=path.__name__)
right.set(xlabel="t, from one latent to another", ylabel="length", ylim=(0, 12))
right.legend(fontsize=8)
plots.show(figure, alt="Left: lengths of latents heap up around 10, those of midpoints around 7, and the heaps hardly overlap. Right: along the straight line the length sags to 7 in the middle, along the arc it stays near 10")

# %% [markdown]
# ## 3. Does the arc *look* better?
# That latents on the straight line are atypical is a fact. That their **images** look worse is a claim about G, often
# repeated, and it has to be tested. First by eye, blind. One of these rows shows images from half way along straight lines,
# one from half way along arcs, one fresh samples. **Predict:** which is which? Write it down.

# %%
a, b = latent.draw_z(500, 100, seed=4), latent.draw_z(500, 100, seed=5)
halfway = {"line": (a + b) / 2, "arc": latent.slerp(a, b, 0.5), "fresh": latent.draw_z(500, 100, seed=6)}
order = ["arc", "line", "fresh"]
shuffled = [order[k] for k in torch.randperm(3, generator=torch.Generator().manual_seed(2))]
sheet = torch.cat([halfway[name][8 * k : 8 * k + 8] for k, name in enumerate(shuffled)])
plots.show(plots.grid(draw(sheet), columns=8), alt="Three rows of eight faces, not labelled")

# %%
print("from above to below:", ", ".join(shuffled))

# %% [markdown]
# If you had them right, was it skill? One guess in six is right by luck. Now measured, on 500 images of each kind: the
# distance, precision (the share that lies among held-out real faces), and variety: how much of what *G itself* can draw is
# left, as the recall of 500 other images of G. **Predict** whether the line's precision is lower than that of fresh
# samples, equal, or higher.


# %% tags=["nbval-ignore-output"]
def scores(z):
    """Of G(z): distance and precision against the held-out faces, and recall of other images of G."""
    found = network(draw(z))
    precision, variety = precision_recall(Pairs(found, held_out)), precision_recall(Pairs(found, own))
    return frechet_distance(found, held_out), precision["precision"], variety["recall"]


halfway["0.707 z"] = 0.5**0.5 * latent.draw_z(500, 100, seed=7)
measured = {name: scores(points) for name, points in halfway.items()}
print(f"{'':<9}{'distance':>9}{'precision':>11}{'variety':>10}")
for name, (distance, precision, variety) in measured.items():
    print(f"{name:<9}{distance:>9.0f}{precision:>11.2f}{variety:>10.2f}")

# %% [markdown]
# By precision the midpoints of straight lines are *not* worse: it is at least that of fresh samples. Their distance is larger, because it
# also counts what they do lose: variety. The last row says why: (a + b)/2 of two independent latents has the distribution of 0.707 z, exactly, so the
# middle of every straight line is a *truncated* sample (section 8), more ordinary, and no less clean. The arc's middle
# scores as a fresh sample does, because it nearly is one: (a + b)/√2, up to the angle.
#
# So use the arc to stay among what G was trained on, and to keep variety; but not because lines look bad. Of this
# generator that is not true, and of yours you can now find out.
#
# ## 4. What a direction is, and how to find one
# A **direction** is a vector v of length 1; a slider adds s·v to z. Any v will do, and most do a bit of everything. Which
# are worth a slider? The first answer needs no data at all. z meets the generator in its first layer, h = Wz, and after a
# step along v that layer has moved by s·Wv, *the same for every z*. So ask which v the matrix W stretches most: its right
# singular vectors.

# %%
from gan_helpers.directions import first_layer

W = first_layer(generator)  # (features, 100)
U, stretch, V = torch.linalg.svd(W, full_matrices=False)  # V: (100, 100), its rows are directions
assert torch.allclose(W @ V[0], stretch[0] * U[:, 0], atol=1e-3)
print("W is", tuple(W.shape))
for k in (0, 1, 2, 9, 19, 99):
    print(f"direction {k + 1:>3} is stretched {stretch[k]:4.1f} times")

# %%
rows = torch.cat([latent.sweep(z[:1], V[k], reach=4, count=7) for k in range(3)])
plots.show(plots.grid(draw(rows), columns=7), alt="One face, seven steps along the first three directions of the first layer: each changes hair, skin, mouth and more at once")
print("answers that change per face at 3: ", *[f"{changes(V[k]):.1f}" for k in range(3)])

# %% [markdown]
# A dozen directions do most of the work; the last eighty are stretched 1.0 to 1.7 times. But "strongest" does not mean
# "one thing": these three move six to eight of 15 answers at a step of 3, more than an axis does. What z moves most is
# hair, skin and style together.
#
# The usual alternative is principal components of *activations*: draw many z, look at what a layer puts out, find the
# directions in which that varies most. **Predict:** we take the components of h = Wz itself, before any non-linearity;
# then after the first ReLU; then after the second. Which of them are *new* directions?

# %%
sample = latent.draw_z(400, 100, seed=8)


def components(activations):
    """The directions (2, 100) of z behind the two strongest principal components of activations (400, …)."""
    x = activations.flatten(1) - activations.flatten(1).mean(0)
    coordinates = torch.linalg.eigh(x @ x.T).eigenvectors[:, -2:].flip(1)  # (400, 2), the strongest first
    return torch.nn.functional.normalize(torch.linalg.lstsq(sample, coordinates).solution.T)


with torch.no_grad():
    first = generator.layers[:3](sample[:, :, None, None])  # transposed convolution, BatchNorm, ReLU
    second = generator.layers[3:6](first)
for name, found in (("h = Wz", sample @ W.T), ("after the first ReLU", first), ("after the second", second)):
    print(f"{name:<21} |cosine| with the closed form:", *[f"{c:.2f}" for c in (components(found) * V[:2]).sum(1).abs()])

# %% [markdown]
# The covariance of Wz is WWᵀ, whose eigenvectors are W's singular vectors, so the detour over samples finds the closed form
# again. More surprising: the ReLU hardly changes that. One layer later the strongest is still nearly the same (.98), and the
# second begins to be another one (.86). The explorer has both, as *first layer* and *activations*.
#
# ## 5. A direction with a name
# Now we want *glasses*. Generated images carry no labels. But we have a judge. Draw 1,500 faces, let it say how likely
# each wears glasses, and fit the best straight line through its answers: the slope is a direction.

# %%
from torch.nn.functional import normalize, pad

points = latent.draw_z(1500, 100, seed=10)
said = judge.answers(draw(points))


def slope(target):
    """The direction (100,) along which `target` (1500,) rises most, by least squares."""
    return normalize(torch.linalg.lstsq(pad(points, (1, 0), value=1.0), target[:, None]).solution[1:, 0], dim=0)


glasses = slope(said["glasses"][:, 1])
rows = torch.cat([latent.sweep(some[k : k + 1], glasses, reach=3, count=7) for k in (1, 4, 6)])
plots.show(plots.grid(draw(rows), columns=7), alt="Three faces on the glasses slider from -3 to 3: on the right all wear glasses. Other things change on the way, too")

# %% [markdown]
# It works: on the right everybody wears glasses. Look again, at all the rest.
#
# ## 6. The meter: what *else* moved?
# In the data, glasses were drawn independently of all other attributes; a person with glasses has any skin, any mouth. G
# learned these data well. **Predict:** at +2 on the glasses slider, in how many of a hundred faces does the *skin* change
# its tone: (a) hardly any, (b) as many as a random step of the same length would change, (c) more?


# %% tags=["nbval-ignore-output"]
def meter(z, direction, amount=2.0):
    """Share of faces whose answer changes, by question; and the answers before and after."""
    before, after = (judge.answers(draw(x)) for x in (z, z + amount * direction))
    return {q: (before[q].argmax(1) != after[q].argmax(1)).float().mean().item() for q in questions}, before, after


people = latent.draw_z(200, 100, seed=11)
moved, before_, after_ = meter(people, glasses)
by_chance, _, _ = meter(people, random[0])
worn = [said_["glasses"].argmax(1).float().mean() for said_ in (before_, after_)]
print(f"with glasses: {worn[0]:.0%} before, {worn[1]:.0%} after | skin changed in {moved['skin']:.0%} of the faces")


# %%
def bars(pairs, title):
    """Bars of two meters, the questions ordered by the first."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    (first, _), (second, _) = pairs.values()
    order = sorted(questions, key=first.get, reverse=True)
    for k, ((name, (found, colour)), hatch) in enumerate(zip(pairs.items(), ("", "//"))):
        places = [i + 0.4 * k for i in range(len(order))]
        axes.bar(places, [found[q] for q in order], 0.4, color=colour, hatch=hatch, edgecolor="white", label=name)
    axes.set_xticks([i + 0.2 for i in range(len(order))], order, rotation=45, ha="right")
    axes.set(ylabel="share of faces changed", ylim=(0, 1), title=title)
    axes.legend()
    return figure


picture = bars({"glasses + 2": (moved, plots.BLUE), "a random direction + 2": (by_chance, plots.ORANGE)}, "what moved")
plots.show(picture, alt="Bars of the share of faces whose answer changed, for 15 questions. Under the glasses slider skin changes in nearly nine of ten faces, more often than anything else, glasses included; a random step changes it in half of them")

# %% [markdown]
# (c). The slider does its job, and changes the skin in nearly nine of ten faces. A random step of the same length changes it in
# about half. The slider is **entangled**. Look once more at the three rows of faces above: while the glasses come, the skin goes
# from light to dark *and back*.

# %%
tones = torch.arange(8.0)  # tone 1, the lightest, to tone 8
shift = ((after_["skin"] - before_["skin"]) @ tones).mean()
names = {"glasses": glasses, "beard": slope(said["beard"][:, 1]), "smile": slope(said["smile"][:, 1])}
names |= {"long hair": slope(said["long_hair"][:, 1]), "darker skin": slope(said["skin"] @ tones)}
print(f"skin at glasses + 2: {'lighter' if shift < 0 else 'darker'} by {shift.abs():.1f} of 8 tones, on average")
for name, direction in names.items():
    print(f"glasses · {name:<12} {glasses @ direction:+.2f}")

# %% [markdown]
# Where does it come from? The data have no such tie. G had to fold fifteen questions and more into 100 numbers; its loss
# asks only for the right *distribution* of images, in which glasses and skin are indeed independent, and nothing makes it
# keep them apart *along a line*. The cosines show what the glasses direction has in common with others: something with
# *darker skin*, a little with *beard*, nothing with *smile* and *long hair*.
#
# And look at the signs. By its cosine the slider should make faces *darker*; at +2 they are lighter. A slope is an average
# tilt over all latents, not what happens to a face that moves two steps. This is a toy; but with photos of people the same
# mechanism is why a slider with a harmless name may lighten a face. Measure before you share one.
#
# ## 7. Taking something out of a direction
# What two directions share can be removed by projection: subtract from *glasses* its part along *darker skin*, and
# nothing of it is left. With several it is the same, except that they must be made orthogonal first (exercise 2).
#
# **Predict:** we remove skin, smile, beard and long hair. How far does the share of faces that change their skin fall?

# %% tags=["nbval-ignore-output"]
from gan_helpers.directions import remove

company = [names[name] for name in ("darker skin", "smile", "beard", "long hair")]
pure = remove(glasses, *company)
still, _, after_pure = meter(people, pure, 2.0)
left_over = ((after_pure["skin"] - before_["skin"]) @ tones).mean()
assert max(abs(pure @ v) for v in company) < 1e-5
print(f"glasses after: {after_pure['glasses'].argmax(1).float().mean():.0%} | cosine with the old direction {pure @ glasses:.2f}")
print(f"mean shift of the skin: {shift:+.1f} tones before, {left_over:+.1f} after | changed: {moved['skin']:.0%} and {still['skin']:.0%}")

# %%
picture = bars({"glasses + 2": (moved, plots.BLUE), "without its company + 2": (still, plots.GREEN)}, "before and after projection")
plots.show(picture, alt="The same bars before and after the projection: some bars are lower, some higher than before, and skin is the highest in both")

# %% [markdown]
# Nothing of the four directions is left in the new one, and still the skin changes in nearly as many faces as before. The mean
# drift towards light skin has even grown. And while some questions move a little less, others move more: mouth, smile, clothes
# and hair.
#
# Why does it not help? Directions and cosines are slopes, averaged over all faces. Each face goes its own way (the skin ran light,
# dark, light again), and ups and downs that cancel in the mean are still there in every face. Projection is a cure of first
# order. Exercise 2 lets you remove what you like; the meter tells what it was worth.

# %% tags=["nbval-ignore-output"]
from gan_helpers import runs
from gan_helpers.directions import save_directions

folder = runs.new_folder("explored")
folder.mkdir(parents=True)
save_directions(folder / "directions.safetensors", {"glasses": glasses, "glasses alone": pure})
box = explore("dcgan-faces", folder=folder)
box

# %% [markdown]
# **Task.** In *Directions*, set *found in* to *saved* and tick *show what else moves*. Find a seed whose face gets glasses and keeps its skin with
# *glasses alone* but not with *glasses*. Which seed, and what else did the meter say? Write it down.
#
# For readers without a kernel, six faces; below them on *glasses* at 2, then on *glasses alone* at 2:

# %%
six = people[:6]
plots.show(plots.grid(draw(torch.cat([six, six + 2 * glasses, six + 2 * pure])), columns=6), alt="Above six faces, below them the same with the glasses direction, and with the direction after projection: nearly all wear glasses, some with another skin, mouth or jumper")

# %% [markdown]
# ## 8. Truncation: quality for variety?
# Drawing z nearer to the middle, here by multiplying it with ψ < 1, is called **truncation**. Many published GAN pictures were made by
# such a step (BigGAN draws z from a normal with its tails cut off, StyleGAN scales its learned code): fewer odd ones, less variety. **Predict** as ψ goes from 1 down to 0.25: (a) precision rises all the way and variety falls;
# (b) both fall; (c) variety falls, and precision rises, then falls.

# %%
psis = [0.25, 0.5, 0.7, 0.85, 1.0, 1.25]
rows = torch.cat([latent.truncate(z[:5], psi) for psi in psis])
plots.show(plots.grid(draw(rows), columns=5), alt="Six rows of the same five faces, the truncation growing from 0.25 above to 1.25 below: above grey and blurred, from 0.5 on clear, the colours stronger with each row")

# %%
base = latent.draw_z(500, 100, seed=12)
curve = torch.tensor([scores(latent.truncate(base, psi)) for psi in psis])  # (6, 3)
figure = Figure(figsize=(6, 2.8), layout="constrained")
axes = figure.subplots()
for column, style, colour, name in ((1, "o-", plots.BLUE, "precision"), (2, "s--", plots.ORANGE, "variety: recall of G's own images")):
    axes.plot(psis, curve[:, column], style, color=colour, label=name)
axes.set(xlabel="ψ", ylim=(0, 1), title="500 images for each ψ")
axes.legend()
plots.show(figure, alt="Precision over the truncation: a third at 0.25, highest between 0.7 and 0.85, a little lower at 1, lower again at 1.25. Variety rises from zero to its full height at 1")

# %% [markdown]
# (c), and the common belief (a) fails here. From 1 to 0.7 the faces become more ordinary: precision up, variety down; that
# is the bargain that truncation is known for. Below 0.7 *both* fall, and at 0.25 the images are fog. Latents so short never
# occur in training (section 2), so G was never taught to draw there. In StyleGAN, truncation moves a learned code towards
# its mean, where there *is* a good image; in a DCGAN it moves z towards a place where nobody has been.
#
# So whenever you see a grid of generated images, ask for ψ. And measure a generator at ψ = 1.
#
# ## 9. Does it remember?
# A generator that hands out training images would have the best scores of all (notebook 05). Two tests, in your hands.
# *First: walk.* A generator that has *learned* faces changes them smoothly along a walk; a memory with a thousand drawers has
# nothing between two drawers. To see what the test would look like when it fires, we build a thief: each latent opens the
# drawer that it points to most.

# %%
train = data.load("faces")
drawers = torch.randn(len(train), 100, generator=torch.Generator().manual_seed(0))


def thief(z):
    """Latents (N, 100) → training images uint8 (N, 3, 64, 64)."""
    return torch.from_numpy(train.images[(z @ drawers.T).argmax(1).numpy()])


steps = latent.walk(latent.draw_z(3, 100, seed=3), 40)  # a loop through three seeds
walks = {"dcgan-faces": draw(steps), "thief": thief(steps)}
plots.show(plots.grid(torch.cat([walk[8:17] for walk in walks.values()]), columns=9), alt="Nine steps of one walk. Above, the generator's face changes gradually; below, the thief shows one drawing, then suddenly another")

# %%
for name, walk in walks.items():
    step = (walk.float() - walk.roll(1, 0).float()).abs().mean((1, 2, 3))  # (40,) grey levels from frame to frame
    print(f"{name:<12} largest step / mean step: {step.max() / step.mean():4.1f} | frames that stay the same: {(step == 0).float().mean():.0%}")

# %% [markdown]
# *Second: look up.* For each fake, the nearest image among the 9,000 that G was trained on and the 1,000 that it never
# saw. An honest fake has its nearest neighbour among the training images nine times in ten, because nine in ten *are*
# training images. (Here the images are compared as the explorer's *Nearest* tab does it: averaged down to 16×16 pixels.)

# %% tags=["nbval-ignore-output"]
from gan_helpers.directions import Probe
from gan_helpers.metrics import copying, nearest


def small(images):
    """uint8 images → (N, 769): 16x16 pixels in colour, behind a constant."""
    return Probe.pixels(torch.as_tensor(images), 16)


unseen = data.load("faces", split="held-out")
seen_small, unseen_small = small(train.images.copy()), small(unseen.images.copy())
fakes = draw(latent.draw_z(300, 100, seed=13))
print("dcgan-faces:", copying(small(fakes), seen_small, unseen_small))
print("thief:      ", copying(small(thief(latent.draw_z(300, 100, seed=13))), seen_small, unseen_small))

# %%
found = train.images[nearest(small(fakes[:8]), seen_small)[1]]
plots.show(plots.grid(torch.cat([fakes[:8], torch.from_numpy(found)]), columns=8), alt="Eight generated faces; below each the most similar training image: like it in colours, different in hair, mouth or clothes")

# %% [markdown]
# Smooth steps, and no more training images nearest than chance gives. The thief fails both tests. (The largest step of the
# generator is two and a half times its mean step; the thief stands still three frames in four, and then jumps.) A net, unlike this thief, is continuous, so
# one that remembers may pass the first test by blending its copies. And both tests are blind to a copy of a *part*: a jumper, a pair of glasses. A cartoon generator may well have learned those by heart, and should.
#
# ## 10. Arithmetic
# The DCGAN paper's best-known picture: *man with glasses − man + woman = woman with glasses*. Each term was a **mean of
# three** latents. **Predict**, for *with glasses − without + another face*: in how many cases does the result wear
# glasses, with single latents and with means of three? And does the other face stay who it is?

# %% tags=["nbval-ignore-output"]
wearing = said["glasses"][:, 1] > 0.5
pools = [torch.nonzero(wearing)[:, 0], torch.nonzero(~wearing)[:, 0], torch.nonzero(~wearing)[:, 0]]


def trial(k, n=150, seed=0):
    """n results of A - B + C with means of k: their latents, and C's, at a typical length."""
    random = torch.Generator().manual_seed(seed)
    A, B, C = (points[pool[torch.randint(len(pool), (n, k), generator=random)]].mean(1) for pool in pools)
    return tuple(10 * normalize(x) for x in (A - B + C, C))


def apart(one, other):
    """How many of the 13 answers not about glasses differ, per face."""
    return sum((one[q].argmax(1) != other[q].argmax(1)).float().mean().item() for q in questions if q[:7] != "glasses")


for k in (1, 3, 10):
    result, plain = (judge.answers(draw(x)) for x in trial(k))
    wears = [x["glasses"].argmax(1).float().mean() for x in (plain, result)]
    strangers = {q: p.roll(1, 0) for q, p in plain.items()}
    print(f"means of {k:>2}: glasses {wears[0]:.0%} → {wears[1]:.0%}; other answers that changed: {apart(result, plain):.1f} of 13")
print(f"between two strangers: {apart(plain, strangers):.1f} of 13")

# %%
result, plain = trial(3)
plots.show(plots.grid(draw(torch.cat([plain[:8], result[:8]])), columns=8), alt="Above eight faces without glasses, below what arithmetic made of them: most wear glasses, and many are somebody else")

# %% [markdown]
# The mean of more examples is the better example: 52 % with single latents, 69 % with three, 91 % with ten. What they do
# not share averages out, as the paper says. What the paper's picture does not show is the rest: more than half of the
# other answers change too, nearly as many as differ between two strangers. "Woman with glasses", yes; *this* woman with
# glasses, no. The direction of section 5 is the same difference of means in another dress (for z from N(0, I) the slope of
# least squares points along it), used at a smaller step.
#
# ## 11. Show it to others
# Two things outlive the notebook: an animation, and a page in which the generator itself runs, in JavaScript, without a
# kernel or a network.

# %%
from gan_helpers import animate

frames = list(animate.film(lambda z: latent.generate(generator, z), latent.swing(people[:2], pure, 24, 2.5)))
gif = animate.animate(frames, folder / "glasses.gif", fps=12, hold=0, max_bytes=100_000)
plots.show(gif, alt="Two faces in a loop: glasses come and go", width=260)

# %% tags=["nbval-ignore-output"]
from gan_helpers.page import export_page

file = export_page(generator, folder / "faces.html", "dcgan-faces")
print(f"{file} ({file.stat().st_size / 1e6:.0f} MB): open it in any browser, or send it to a friend")

# %% [markdown]
# **Task.** In the second explorer above: pick three faces with glasses into *A*, three without into *B*, one into *C*
# (*Arithmetic*), make the result a keyframe (*Path*), add two more, choose *arc* or *line*, press *Export*, then *Write
# the code* (*Code*). Which line of the code made your result?
#
# ## 12. Exercises
# Replace each `...` and run the cell; `hint("08.1")` gives a nudge, `solution("08.1")` shows one way. Blanks do no harm.
#
# **Exercise 1: along the arc.** `a` and `b` are (N, d), `t` a number. Return the points (N, d) on the arcs, row by row;
# where two rows are parallel, on the straight line.

# %%
from gan_helpers.course.exercises import check, hint, solution


def slerp(a, b, t):
    ...  # your code


check("08.1", slerp)

# %% [markdown]
# **Exercise 2: remove the company.** `direction` is (d,), `others` (K, d), of any length and at any angle to each other.
# Return what is left of the direction at length 1, with nothing along any of the others.


# %%
def cleaned(direction, others):
    ...  # your code


check("08.2", cleaned)

# %% [markdown]
# **Exercise 3: recall.** The share of `real` features (N, D) that lie within the ball of some `fake` (M, D); a fake's ball
# reaches to its k-th nearest other fake. (The curve *variety* above is this, with 500 images of G itself in place of the real
# ones.)


# %%
def recall(real, fake, k=3):
    ...  # your code


check("08.3", recall)

# %% [markdown]
# **Exercise 4: carry it over.** Three sliders mix three faces: `latents` (3, d), `weights` (3,), positive, with any sum.
# Return a latent (d,) that is distributed as N(0, I) whatever the weights.


# %%
def mix(latents, weights):
    ...  # your code


check("08.4", mix)

# %% [markdown]
# ## Summary
# - N(0, I) has no preferred axes: G(Qz) is as good a generator, with other axes. Directions belong to G, not to z.
# - Latents have length about √d, ± 0.7. A straight line's middle is a truncated sample; here it looks no worse, only less varied.
# - A direction comes from weights (closed form), from activations behind a non-linearity, or from labels by least squares.
# - A slider moves more than its name says. Measure what, beside a random step; projection takes out a mean slope, and changes hardly a face.
# - Truncation buys precision with variety down to a point, and below it buys nothing.
# - A walk that jumps accuses; a smooth one acquits nobody, for every net is continuous. Nearest neighbours in training *against*
#   unseen images tell learning from remembering.
#
# **Can you answer these without looking?**
# 1. Somebody publishes a list: 'axis 12 of our DCGAN is the smile'. What would you ask?
# 2. Why is a latent at 0, where the density is highest, never drawn?
# 3. Interpolating along the arc keeps |z|. Does that show that its images are better?
# 4. Glasses and skin are independent in the data, and your glasses direction lightens the skin. Whose fault is it: the data's,
#    the generator's, or the way the direction was found? How would you find out?
# 5. At ψ = 0.5 a generator's precision is lower than at 0.7. Is that a bug?
#
# <details><summary>Answers</summary>
#
# 1. Compared with what? Show many faces, the other 14 answers, and random directions beside it. z's axes mean nothing by
# themselves, and another training run has others. 2. There is next to no volume there; |z|² is a sum of 100 squares. 3.
# No. It is a fact about z; images must be compared. 4. Not the data's. It is G's *and* the method's: along a straight line
# G changes both, and a slope sees only the mean. Measure a random direction, other amounts, a direction with the skin
# projected out. 5. No: short latents never occurred in training, so G has not learned to draw there. </details>
#
# **Papers:** Radford et al. 2016 (DCGAN, arithmetic), [arXiv:1511.06434](https://arxiv.org/abs/1511.06434); White 2016 (slerp),
# [arXiv:1609.04468](https://arxiv.org/abs/1609.04468); Härkönen et al. 2020 (GANSpace), [arXiv:2004.02546](https://arxiv.org/abs/2004.02546);
# Shen & Zhou 2021 (closed form), [arXiv:2007.06600](https://arxiv.org/abs/2007.06600); Shen et al. 2020 (InterFaceGAN: attribute
# directions, projection), [arXiv:1907.10786](https://arxiv.org/abs/1907.10786); Karras et al. 2019 (truncation),
# [arXiv:1812.04948](https://arxiv.org/abs/1812.04948).
