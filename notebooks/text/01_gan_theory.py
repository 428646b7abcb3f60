# %% [markdown]
# # 01 · Theory that proves itself
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/notebooks/01_gan_theory.ipynb)
#
# **Aim.** Derive what the best discriminator knows, check every claim in a cell, see why one loss teaches a losing
# generator and another does not, and watch small GANs learn, collapse and circle.
#
# | | |
# |---|---|
# | You need | notebook 00; densities, means, derivatives |
# | Time | 100 minutes, of which your computer trains for about three (two CPU cores) |
# | Data | points on a line and in the plane, drawn here |
# | Words introduced | density ratio, Jensen–Shannon divergence, non-saturating loss, Wasserstein distance, mode |

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
# 1. You could train D for ever before each step of G. Would that give G the best lesson?
# 2. As the generated images move further and further from the real ones, does G's gradient grow, stay or shrink?
# 3. Both players follow their own gradient downhill. Must they come to rest?
#
# Letters that this notebook uses ([all words and letters of the course](glossary.md)):
#
# | | |
# |---|---|
# | p, q | density of the data; density of the generator's samples |
# | z, G(z) | latent vector; the sample made of it |
# | KL(p‖q) | ∫ p log(p/q) dx, the Kullback–Leibler divergence: 0 when p = q, otherwise above 0 |
# | a, D = σ(a) | D's logit; its probability of *real*, σ(a) = 1 / (1 + e⁻ᵃ) |
# | D* | the best D against a given q |
# | V(D, G) | what D maximises: 𝔼ₚ log D + 𝔼_q log(1 − D) |
# | η | learning rate |

# %% [markdown]
# ## 1. What the best discriminator knows
# Hold G fixed. D wants the largest
#
# $$V(D, G) = \int p(x)\log D(x) + q(x)\log\bigl(1 - D(x)\bigr)\,dx .$$
#
# At each x the integrand has the form p log D + q log(1 − D), and D may choose its value there freely. Its slope in D is
# p/D − q/(1 − D), which is zero at
#
# $$D^*(x) = \frac{p(x)}{p(x) + q(x)}, \qquad a^*(x) = \log p(x) - \log q(x).$$
#
# The second form follows because σ(a) = p/(p + q) means eᵃ = p/q. The best discriminator is a judge of the **density
# ratio** p/q: its logit is the ratio's logarithm. It does not know p and does not know q. It knows how they compare.
#
# **Predict.** Data lie in two bumps at ±1.5; the generator makes one broad bump at 0.5. Where is D* largest: (a) where p is
# largest, (b) where q is smallest, (c) where p is largest *compared with* q?

# %%
import torch
from matplotlib.figure import Figure
from torch.distributions import Normal

from gan_helpers import plots


def p(x):
    return (Normal(-1.5, 0.5).log_prob(x).exp() + Normal(1.5, 0.5).log_prob(x).exp()) / 2


def q(x):
    return Normal(0.5, 1.0).log_prob(x).exp()


x = torch.linspace(-8, 8, 1601, dtype=torch.float64)
best_d = p(x) / (p(x) + q(x))
print(f"p is largest at {x[p(x).argmax()].abs():.1f} from 0; D* is largest at {x[best_d.argmax()]:.1f}")

# %% [markdown]
# D* peaks to the *left* of the left bump, where data are few but generated points are fewer still. Answer (c).
#
# ## 2. A trained discriminator agrees
# Theory says what the best D is, not that training finds it. So we train one, a net with two hidden layers that sees nothing
# but samples, and compare.


# %%
from gan_helpers.course.toy import log_d, mlp


def train_d(seed, steps=1000, n=512):
    """A discriminator of real (two bumps) against fake (one bump), trained on fresh samples."""
    torch.manual_seed(seed)
    net = mlp(1, 1)
    opt = torch.optim.Adam(net.parameters(), lr=5e-3)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
    for _ in range(steps):
        real = 0.5 * torch.randn(n, 1) + 1.5 * (2 * torch.randint(2, (n, 1)) - 1)
        fake = 0.5 + torch.randn(n, 1)
        loss = log_d(net(real), net(fake))  # -log D(real) - log(1 - D(fake)), from logits
        opt.zero_grad()
        loss.backward()
        opt.step()
        rate.step()
    return net


trained = [train_d(seed)(x.float()[:, None])[:, 0].sigmoid().detach().double() for seed in (0, 1, 2)]

# %% [markdown]
# **Predict.** Three nets from three seeds. How near will they come to p/(p + q)? And what will they say at x = −6, where
# neither real nor generated points ever fall: (a) the same as the formula, (b) 0.5, (c) the opposite of the formula?

# %%
mass = (p(x) + q(x)) / 2  # how densely D's training points lie
for d in trained:
    error = (d - best_d).abs()
    mean, largest = (error * mass).sum() / mass.sum(), error[mass > 0.05].max()
    assert mean < 0.01 and largest < 0.05
print("mean error over D's training points below 0.01; largest error where their density exceeds 0.05: below 0.05")
at_minus_6 = x.add(6).abs().argmin()
print(f"at x = -6: formula {best_d[at_minus_6]:.2f}; all nets above 0.5: {all(d[at_minus_6] > 0.5 for d in trained)}")

# %%
figure = Figure(figsize=(8, 3.2), layout="constrained")
axes = figure.subplots()
axes.fill_between(x, 0, mass / mass.max(), color="0.9", label="density of D's training points (scaled)")
for seed, d in enumerate(trained):
    axes.plot(x, d, color=plots.ORANGE, linewidth=1, label="trained D, three seeds" if seed == 0 else None)
axes.plot(x, best_d, "--", color=plots.BLUE, label="p / (p + q)")
axes.set(xlabel="x", ylabel="D(x)")
axes.legend(loc="upper right", fontsize=8)
plots.show(
    figure,
    alt="Three trained discriminators lie on the curve p/(p+q) where the grey mass is; left of it the formula falls to zero and all three stay near one",
)

# %% [markdown]
# Where there are points to learn from, the nets agree with the formula. At −6 the formula says 0, for q's tail is the longer
# one, and the nets say *real*: they prolong what they learned at −2. Where no points lie (*off the support*) D is **arbitrary**: no term of its loss
# says what to answer. G's own samples are among D's points; but G follows D's *slope* there, and the next step may lead it to where D
# has seen nothing yet.

# %% [markdown]
# ## 3. The value of the game
# Put D* back into V and you get a measure of how different p and q are, the **Jensen–Shannon divergence**:
#
# $$V(D^*, G) = 2\,\mathrm{JS}(p, q) - 2\log 2, \qquad
# \mathrm{JS}(p, q) = \tfrac12 \mathrm{KL}\bigl(p\,\|\,m\bigr) + \tfrac12 \mathrm{KL}\bigl(q\,\|\,m\bigr), \quad m = \tfrac{p+q}{2}.$$
#
# (Write log D* as log(p/m) − log 2, likewise for q.) JS is 0 when p = q and at most log 2. Both sides, each in its own way:
# the left by samples, as a training loop would, the right by integrals.

# %%
torch.manual_seed(0)
n = 1_000_000
real = 0.5 * torch.randn(n) + 1.5 * (2 * torch.randint(2, (n,)) - 1)
fake = 0.5 + torch.randn(n)
by_samples = (p(real) / (p(real) + q(real))).log().mean() + (q(fake) / (p(fake) + q(fake))).log().mean()



def kl(u, v):
    return torch.trapezoid(torch.xlogy(u, u / v), x)


js = kl(p(x), mass) / 2 + kl(q(x), mass) / 2
by_integrals = 2 * js - 2 * torch.tensor(2.0).log()
assert abs(by_samples - by_integrals) < 0.005
print(f"V(D*, G) by samples {by_samples:.2f}, by integrals {by_integrals:.2f}; JS is {js / 0.6931:.0%} of log 2")

# %% [markdown]
# So if D were always the best, G, which minimises V, would minimise the JS divergence. Many texts stop here, and conclude
# that JS is the training signal. The next experiment is about that conclusion.

# %% [markdown]
# ## 4. Drag q across p
# Now p = N(0, 1) and q = N(m, 1), so G has one parameter, m, and D is always the best, D*. G follows one of two losses:
#
# | | G minimises |
# |---|---|
# | the minimax loss, called **saturating** | log(1 − D(G(z))) |
# | the **non-saturating loss** | −log D(G(z)) |
#
# **Predict.** q starts on top of p and moves away. JS climbs to its maximum, log 2. With the best D and the first of the two
# losses, does G's gradient (a) grow with JS, (b) level off like JS, (c) rise and then vanish?


# %%
import math

from torch.nn.functional import softplus

z = torch.linspace(-9, 9, 9001, dtype=torch.float64)
weight = Normal(0.0, 1.0).log_prob(z).exp() * (z[1] - z[0])  # so that (f(z) * weight).sum() is the mean of f


def gradients(m):
    """JS / log 2, and dL/dm of the saturating and the non-saturating loss for q = N(m, 1), D being D* of that q."""
    mean = torch.tensor(m, dtype=torch.float64, requires_grad=True)
    fake, real = m * m / 2 - m * (z + mean), m * m / 2 - m * z  # logits log p - log q; D* is fixed, hence the plain m
    losses = [-softplus(fake), softplus(-fake)]
    slopes = [torch.autograd.grad((loss * weight).sum(), mean, retain_graph=True)[0].item() for loss in losses]
    value = ((losses[0] - softplus(-real)) * weight).sum().item()  # V(D*, G) = 2 JS - 2 log 2
    return value / (2 * math.log(2)) + 1, *slopes


print("  m   JS/log 2   saturating   non-saturating")
for m in (0.5, 1.0, 2.0, 4.0, 8.0):
    print("{:4} {:9.4f} {:12.2g} {:16.3f}".format(m, *gradients(m)))
assert torch.allclose(torch.tensor(gradients(2.0)[1:]), torch.tensor([0.450, 1.550]), atol=1e-3)
assert torch.allclose(torch.tensor(gradients(8.0)[1:]), torch.tensor([3.9e-4, 8.000]), atol=1e-3)

# %% [markdown]
# (c). At m = 8 the divergence has reached 0.9999 of its maximum, and G's gradient under the saturating loss is 0.0004: nothing
# to learn from. The non-saturating loss pulls with 8. **The value of JS is not the training signal; a gradient is.**
#
# | | slope in the logit a | flat where |
# |---|---|---|
# | saturating | −D | D(G(z)) ≈ 0: D wins |
# | non-saturating | −(1 − D) | D(G(z)) ≈ 1: G wins |
#
# Say it right, for it is often told wrongly. When D wins, D(G(z)) → 0 and the *saturating* loss log(1 − D) goes to zero from
# below. Its slope **in D** tends to −1 there; the slope **in the logit** is −D and vanishes, and the logit is what the net puts out. The
# *non-saturating* loss −log D nears 0 at the other end, where D(G(z)) → 1.
#
# Look at the rows again: the two gradients add up to m. That is no accident. The saturating gradient is the slope of
# 2 JS. (D* changes with m, too, but at its maximum that makes no difference to first order.) The sum of the two is 𝔼_q of
# −∂a*/∂x = m, the slope of KL(q‖p) = m²/2. So the non-saturating loss with the best D follows
#
# $$\mathrm{KL}(q\,\|\,p) - 2\,\mathrm{JS}(p, q) ,$$
#
# (Arjovsky & Bottou 2017), which is 2 KL((p+q)/2 ‖ p): never negative, and 0 only when p = q, so a divergence, too, but
# another one than JS. That is why 'GANs minimise JS' is wrong for the GANs that people train.

# %%
at = torch.linspace(0, 8, 33).tolist()
table = torch.tensor([gradients(m) for m in at])  # (33, 3)
assert torch.allclose(table[:, 1] + table[:, 2], torch.tensor(at), atol=1e-4)
js_slope = torch.gradient(2 * 0.6931 * table[:, 0], spacing=0.25)[0]
assert (js_slope - table[:, 1])[1:-1].abs().max() < 0.02
print("sum of the two gradients = m; saturating gradient = slope of 2 JS")

# %% [markdown]
# **Task.** Move the slider (or click it and use the arrow keys). At which m does the saturating gradient pull most, and how
# large is JS there? Write both down.


# %%
def page(m):
    """q at m: the densities and D* on the left, JS and both gradients on the right."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    x = torch.linspace(-4, 12, 400)
    for mean, colour, style, name in ((0.0, plots.BLUE, "-", "p, data"), (m, plots.ORANGE, "--", "q, generated")):
        left.plot(x, Normal(mean, 1.0).log_prob(x).exp(), style, color=colour, label=name)
    left.plot(x, (m * m / 2 - m * x).sigmoid(), ":", color="black", label="D*")
    names = ("JS / log 2", "saturating gradient", "non-saturating gradient")
    for k, (name, style, colour) in enumerate(zip(names, ("-", "--", "-."), (plots.PINK, plots.BLUE, plots.GREEN))):
        right.plot(at, table[:, k], style, color=colour, label=name)
    right.axvline(m, color="black", linewidth=1)
    left.set(xlabel="x", ylim=(0, 1.05))
    right.set(xlabel="m, the distance of q from p", ylim=(0, 3))
    left.legend(loc="upper right", fontsize=8)
    right.legend(loc="upper right", fontsize=8)
    return figure


# %%
from gan_helpers.course.widgets import flipbook

words = "m = {:.2f}: JS is {:.1%} of log 2; gradient {:.4f} saturating, {:.3f} non-saturating"
captions = [words.format(m, *row) for m, row in zip(at[::2], table[::2].tolist())]
flipbook([page(m) for m in at[::2]], captions, "m", start=2)  # m = 0, 0.5, 1, … 8

# %%
plots.show(
    page(5.0),
    alt="At m = 5 the two bells hardly touch and D* is a step between them. JS has reached its ceiling, the saturating gradient has risen to its top near m = 1.6 and fallen back towards zero, the non-saturating one grows past the top",
)

# %% [markdown]
# On the slider the pull is largest at m = 1.5 (0.46), where JS is at 32 % of log 2; between its steps the top is at m = 1.64
# (0.47; JS 37 %). By m = 5 the pull is down to 0.05, and JS is at 98 %.
#
# That answers the first opening question: a perfect D is the *best judge* and can be the *worst teacher*. And the second: with
# such a D, G's gradient first grows a little and then vanishes under the saturating loss, and grows without end under the
# non-saturating one.

# %% [markdown]
# ## 5. Five losses, one plot
# A loss decides one thing: how hard it pulls at the logit of each sample. So all of them fit in one plot. Two you know:
# minimax and non-saturating. Three are new, again on logits a:
#
# - *Least squares*: G minimises ½(a − 1)²; D ½(a − 1)² on real and ½a² on generated samples.
# - *Wasserstein* (section 6 says why): G minimises −a; D a on generated less a on real samples.
# - *Hinge*: G minimises −a; D max(0, 1 − a) on real and max(0, 1 + a) on generated samples.
#
# **Predict.** Which of the five still pulls when D is certain that the sample is fake (a = −6)? Which pulls a sample *back*
# that D already takes for very real (a = 6)?

# %%
from gan_helpers.course.toy import LOSSES

a = torch.linspace(-6, 6, 241, requires_grad=True)
looks = [("-", plots.BLUE), ("--", plots.ORANGE), ("-.", plots.GREEN), (":", "black"), ((0, (5, 5)), plots.PINK)]
figure = Figure(figsize=(9, 3.4), layout="constrained")
for axes, who in zip(figure.subplots(1, 2), ("G", "D")):
    for (name, loss), (style, colour) in zip(LOSSES.items(), looks):
        value = loss.g(a) if who == "G" else loss.d(torch.zeros(1), a)
        slope = torch.autograd.grad(value * len(a), a)[0]  # the losses are means: times N, each point has its own slope
        axes.plot(a.detach(), slope, linestyle=style, color=colour, linewidth=2, label=name)
    axes.set(xlabel="D's logit of a generated sample", ylabel=f"slope of {who}'s loss", ylim=(-2, 2))
    axes.axhline(0, color="0.7", linewidth=0.8)
axes.legend(fontsize=8)
plots.show(
    figure,
    alt="Slopes of five losses against the logit. For G: minimax is zero on the left, non-saturating zero on the right, Wasserstein and hinge -1 everywhere, least squares a rising line through zero at 1. For D: two rise smoothly from 0 to 1, hinge jumps to 1 at -1, least squares is a line, Wasserstein is 1",
)

# %% [markdown]
# Left, G's slopes. All but minimax pull at a = −6, and least squares pulls hardest (−7, far below the plot). Least squares alone pulls *back* beyond
# a = 1: a sample may be 'too real'. Right, D's slopes on the same sample: the hinge stops pushing once a < −1, so D doesn't
# waste itself on fakes that it knows. Minimax and non-saturating share their D and lie on each other. So do Wasserstein and
# hinge for G.

# %% [markdown]
# ## 6. Another distance: how far must the earth move?
# JS asks how much p and q overlap; once they hardly do, it no longer asks how far apart they are. The **Wasserstein distance** W₁ asks how far mass must travel to turn q into p. For
# N(0, 1) and N(m, 1) that is m: each grain moves by m. It can also be found by a contest. A *critic* f gives every point
# a score, any number, not a probability; it may be nowhere steeper than 1 (1-Lipschitz), and wins by scoring the data high and
# generated points low. The best margin is W₁ (Kantorovich and Rubinstein):
#
# $$W_1(p, q) = \max_{|f'| \le 1} \mathbb{E}_p f - \mathbb{E}_q f .$$
#
# **Predict.** At m = 8, what slope does the best such critic have at the fakes, where D* is flat? And can any other
# critic, say sin x or −tanh x, get above 8?

# %%
torch.manual_seed(0)
real, fake = torch.randn(100_000), 8 + torch.randn(100_000)
critics = {"-x": lambda x: -x, "-|x|": lambda x: -x.abs(), "-tanh x": lambda x: -x.tanh(), "sin x": torch.sin}
for name, f in critics.items():
    reach = (f(real).mean() - f(fake).mean()).item()
    assert reach < 8.03
    print(f"critic {name:<8} tells p and q apart by {reach:.1f}")

# %%
x8 = torch.linspace(-4, 12, 400)
figure = Figure(figsize=(8, 3), layout="constrained")
axes = figure.subplots()
axes.fill_between(x8, Normal(0.0, 1.0).log_prob(x8).exp(), color=plots.BLUE, alpha=0.4, label="p, data")
axes.fill_between(x8, Normal(8.0, 1.0).log_prob(x8).exp(), color=plots.ORANGE, alpha=0.4, label="q, generated")
axes.plot(x8, (32 - 8 * x8).sigmoid(), "--", color="black", label="D*: flat where the fakes are")
axes.plot(x8, (4 - x8) / 8 + 0.5, color=plots.GREEN, label="best 1-Lipschitz critic, scaled: a slope everywhere")
axes.set(xlabel="x", ylim=(-0.5, 1.6))
axes.legend(fontsize=8)
plots.show(
    figure,
    alt="Two bells at 0 and 8. The discriminator is a step between them and flat under the right bell; the critic is a straight line that falls across both",
)

# %% [markdown]
# The critic −x reaches W₁ = 8, and no other gets above it. Its slope at every fake is −1, however far away: that is the
# whole idea of the Wasserstein GAN. What it costs: the critic must be kept from getting steep. WGAN-GP adds λ(|∇D| − 1)²
# between real and fake points, which holds the limit nearly, not exactly; notebook 07 normalises the weights instead. And
# notice: σ(a) is flat under the fakes, but its logit is a line of slope −8, which is what the non-saturating loss used.

# %% [markdown]
# ## 7. A GAN on the line, live
# Enough formulas: two nets, four hidden layers in all. The data are two bumps (blue); the bars are generated points; the dark
# curve is D. Below the axis, strokes show where G's loss pushes a quarter of the points.
#
# **Predict.** While all generated points lie in the middle, where will D's curve become high? Then press *Play* (Tab and Space do it, too).
# **Task.** Press *Reset*, choose *slow*, and write down the step at which both bumps are first covered.

# %% tags=["nbval-ignore-output"]
from gan_helpers.course.widgets import Lab

Lab("two bumps (1-D)")

# %% [markdown]
# The same as a picture, for those who read this without a kernel:

# %%
from gan_helpers.course import toy
from gan_helpers.course.widgets import filmstrip

line = toy.ToyGAN(toy.two_bumps()).train(400, every=100)
assert line.frames[-1].modes == 2 and line.frames[0].modes < 2
plots.show(
    filmstrip(line),
    alt="Five moments of a GAN on the line: first all bars in one heap, then they move and split, at last most stand under the two blue bumps",
)

# %% [markdown]
# Over both bumps, where data lie and few generated points do, and so the points split.

# %% [markdown]
# ## 8. A GAN in the plane
# The laboratory. Each region where data are dense is a **mode**; the caption counts how many the generator covers. (A sample
# belongs to a mode within three of its standard deviations; a mode is covered when it gets a quarter of its fair share.)
#
# **Tasks.** Write the answers down.
# 1. *ring*, non-saturating: at which step are all eight modes covered? Scrub back with *time*: which came last?
# 2. Set *D's rate* to 1e-2 and *G's rate* to 1e-4. What happens to D's field, and to the strokes?
# 3. The same with *minimax*. Compare the strokes: this is section 4 in the plane.
# 4. *Wasserstein-GP* with one D step, then with five. What does the critic need?
# 5. *grid*: 25 modes. How many can you cover? *Save GIF* keeps the best.
# 6. *drawing*: type your own shape.

# %% tags=["nbval-ignore-output"]
Lab("ring")

# %% [markdown]
# And as a picture, then as an animation:

# %%
gan = toy.ToyGAN(toy.ring()).train(here.pick(cpu=1500, gpu=1500, test=60), every=here.pick(cpu=30, gpu=30, test=15))
plots.show(
    filmstrip(gan),
    alt="Five moments of a GAN in the plane: the orange points start as one clump, spread into a curve that visits the eight blue clusters, and gather in them",
)

# %% tags=["nbval-ignore-output"]
from pathlib import Path

from gan_helpers.animate import animate
from gan_helpers.course.widgets.lab import render

Path("exports").mkdir(exist_ok=True)
small = [render(gan, frame).convert("RGB").reduce(2) for frame in gan.frames[:25]]
path = animate(small, "exports/ring.gif", fps=8, max_bytes=350_000)
plots.show(path, alt="Animation: generated points spread from one clump to the eight modes of a ring while D's field shifts", width=300)

# %% [markdown]
# **Your own shape** in a cell: every character but the full stop is ink.

# %%
heart = toy.drawing("""
..####..####..
.#....##....#.
.#..........#.
..#........#..
....#....#....
......##......
""")
drawn = toy.ToyGAN(heart).train(here.pick(cpu=1000, gpu=1000, test=60), every=here.pick(cpu=250, gpu=250, test=15))
plots.show(
    filmstrip(drawn),
    alt="Five moments of a GAN learning the outline of a heart: from a clump to a curve that closes around the heart",
)

# %% [markdown]
# ## 9. Counting modes
# 'The original GAN loss collapses; the later ones don't.' So one reads. On a ring of eight modes we can count.
#
# **Predict.** Five losses, five seeds each, 1,000 steps of G, the same nets and rates (Wasserstein-GP gets three D steps, the others one).
# How many of eight modes will each loss cover?

# %% tags=["nbval-ignore-output"]
steps, seeds = here.pick(cpu=1000, gpu=1000, test=20), here.pick(cpu=5, gpu=5, test=1)
covered, on_ring = {}, {}
for name in LOSSES:
    gans = [toy.ToyGAN(toy.ring(), name, d_steps=3 if "GP" in name else 1, seed=s).train(steps) for s in range(seeds)]
    covered[name] = [trained.frames[-1].modes for trained in gans]
    on_ring[name] = sum(trained.frames[-1].on_shape for trained in gans) / seeds
    print(f"{name:<15} modes covered {covered[name]}, {on_ring[name]:.0%} of samples on the ring")

# %% [markdown]
# Read the rows against each other. The losses differ by less than the seeds of one loss do, and even minimax covers the
# ring: D takes one step for each of G's, and G has reached the data before D is sure. (Left alone for 500 steps, the same D
# does win outright: notebook 03, section 4.) *Mode collapse*, a
# generator that serves few modes, is not the fate of a loss. It is what happens when the balance of the two players is lost,
# and notebook 03 loses it on purpose. A count needs several seeds before it says anything about a method.

# %% [markdown]
# ## 10. Round and round
# The simplest game: D has one parameter y, G one parameter x, and V = x·y. D climbs: y ← y + ηx. G descends: x ← x − ηy. The
# only equilibrium is (0, 0).
#
# **Predict.** Both start at 1, η = 0.1. After 500 steps, is the distance from the equilibrium (a) smaller, (b) the same, (c) larger?
# And if D moves first, and G answers the *new* y?


# %%
def play(steps=500, eta=0.1, alternating=False, damping=0.0):
    """The path (steps + 1, 2) of the game V = x·y; D pays a penalty of damping/2 · y²."""
    x, y, path = 1.0, 1.0, [(1.0, 1.0)]
    for _ in range(steps):
        new_y = y + eta * (x - damping * y)
        x, y = x - eta * (new_y if alternating else y), new_y
        path.append((x, y))
    return torch.tensor(path, dtype=torch.float64)


games = {"simultaneous": play(), "alternating": play(alternating=True), "with a penalty on D": play(damping=0.5)}
growth = {name: (path[-1].norm() / path[0].norm()).item() for name, path in games.items()}
for name, factor in growth.items():
    print(f"{name:<20} distance × {factor:.2f}")
assert abs(growth["simultaneous"] - (1 + 0.1**2) ** 250) < 1e-9

# %%
figure = Figure(figsize=(9, 3.2), layout="constrained")
for axes, (name, path) in zip(figure.subplots(1, 3), games.items()):
    path = path[:200] if name == "simultaneous" else path
    axes.plot(path[:, 0], path[:, 1], color=plots.BLUE, linewidth=0.8)
    axes.plot(*path[0], "o", color=plots.ORANGE)
    axes.plot(0, 0, "+", color="black")
    axes.set(title=name, xlabel="x (G)", aspect="equal")
axes.figure.axes[0].set_ylabel("y (D)")
plots.show(
    figure,
    alt="Three paths in the plane of the two parameters: simultaneous steps spiral outwards, alternating steps run round a closed oval, a penalty on D makes the path spiral into the centre",
)

# %% [markdown]
# A simultaneous step (−ηy, ηx) stands at a right angle to (x, y), so each multiplies the distance by √(1 + η²):
# 1.01²⁵⁰ = 12.0 after 500 steps. A smaller η only makes it slower. Alternating steps (what every loop in this course does)
# are a linear map of determinant 1 whose eigenvalues are complex (for η < 2): they go round for ever, × 1.00, and never arrive. (The
# first panel shows 200 of the 500 steps.) A penalty on D's slope turns circling
# into arriving. Read D(x) = −y·x as a critic with all data at 0 (the *Dirac-GAN*): then V = x·y is D(0) − D(x), −y is D's slope, and
# damping/2 · y² is exactly the penalty called R1. (Notebook 03 writes y for the slope itself; its circles run the other way round.)
# Not every penalty damps; notebook 03 tries two, and three other remedies, on the Dirac-GAN.
#
# So the answer to the third opening question is no. Two players who each go downhill need not come to rest, and a wavy loss
# curve is what a *healthy* game looks like, too.

# %% [markdown]
# ## 11. GANs beside diffusion, today
# Since about 2021 diffusion models and their relatives make most of the generated images you see. What do they do differently? On our
# ring it takes twelve lines. A net learns, by plain least squares, which way a point somewhere between noise and data should
# go (*flow matching*, the simplest of the family); sampling follows it from noise in many small steps.
#
# **Predict.** The same ring and a net as small as our G, with four times as many samples seen. Which of the two covers more
# modes, which puts more of its samples *on* the ring, and how many passes through a net does one sample cost?


# %%
def train_flow(shape, steps, seed):
    """A net that says which way to go from (1 - t)·z + t·x, at time t: towards x - z."""
    random = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    net = mlp(3, 2)
    opt = torch.optim.Adam(net.parameters(), lr=4e-3)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
    for _ in range(steps):
        x, z, t = shape.draw(256, random), torch.randn(256, 2), torch.rand(256, 1)
        loss = (net(torch.cat([(1 - t) * z + t * x, t], 1)) - (x - z)).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        rate.step()
    return net


# %%
@torch.no_grad()
def sample_flow(net, n=256, passes=50):
    """n points: noise, moved in `passes` small steps."""
    points = torch.randn(n, 2, generator=torch.Generator().manual_seed(1))
    for k in range(passes):
        points = points + net(torch.cat([points, torch.full((n, 1), k / passes)], 1)) / passes
    return points


flows = [train_flow(toy.ring(), 2 * steps, seed) for seed in range(seeds)]
found = {passes: [toy.modes_covered(sample_flow(net, passes=passes), toy.ring()) for net in flows] for passes in (1, 50)}

# %% tags=["nbval-ignore-output"]
for passes, counts in found.items():
    share = sum(s for _, s in counts) / len(counts)
    print(f"flow, {passes:>2} passes: modes covered {[modes for modes, _ in counts]}, {share:.0%} of samples on the ring")
print(f"GAN,   1 pass:   modes covered {covered['non-saturating']}, {on_ring['non-saturating']:.0%} of samples on the ring")

# %% [markdown]
# The flow covers all eight modes with every seed. It minimises one loss: no opponent, no balance to keep. That calm is
# what let diffusion scale. The GAN misses a mode now and then, but puts more of its samples on the ring. And the price of
# the flow stands in the first column: fifty passes a sample. With one pass none of its points lies on the ring: from pure noise the
# net's best answer points at the mean of all data, the *middle* of the ring, where no data are. A GAN answers in one pass.
#
# | | GAN | diffusion, flows |
# |---|---|---|
# | training | a game; losses don't rank models | least squares; the loss falls and means something |
# | coverage | modes may be missing, and no loss tells | good |
# | passes a sample | 1 | tens to hundreds; 1 to 4 after distillation |
# | what is sampled | a short z, smooth to walk through | noise of the image's size, and noise on the way |
#
# Where adversarial training lives today: in the decoders that latent diffusion works in
# ([2012.09841](https://arxiv.org/abs/2012.09841), [2112.10752](https://arxiv.org/abs/2112.10752)); in *distilling* slow
# diffusion models into one to four passes, with a discriminator as teacher
# ([2311.17042](https://arxiv.org/abs/2311.17042), [2405.14867](https://arxiv.org/abs/2405.14867)); in speech vocoders
# ([2010.05646](https://arxiv.org/abs/2010.05646)) and super-resolution ([2107.10833](https://arxiv.org/abs/2107.10833)); and
# by itself: R3GAN ([2501.05441](https://arxiv.org/abs/2501.05441)) reports an FID (notebook 05) of 1.96 on CIFAR-10 in one pass. That
# diffusion overtook GANs on images is [2105.05233](https://arxiv.org/abs/2105.05233). Whoever distils, restores, compresses or
# needs images in milliseconds meets a discriminator again: the game you have just studied.

# %% [markdown]
# ## 12. Exercises
# Replace each `...` and run the cell; `hint("01.1")` gives a nudge, `solution("01.1")` shows one way. Blanks do no harm.
#
# **Exercise 1: slopes.** For a fake with logit a (a tensor), return a dict with the slope dL/da of G's loss for `"minimax"`,
# `"non-saturating"`, `"least squares"` (½(a − 1)²) and `"hinge"`. By formula: no autograd needed.


# %%
from gan_helpers.course.exercises import check, hint, solution


def slopes(a):
    ...  # your code


check("01.1", slopes)

# %% [markdown]
# **Exercise 2: unequal priors.** Only `share` of D's batch is real. What is D* now? p and q are the densities at some points.


# %%
def optimal_d(p, q, share):
    ...  # your code


check("01.2", optimal_d)

# %% [markdown]
# **Exercise 3: carry it over.** Now the batch is balanced again, and D's labels are smoothed: `real_target` (say 0.9) for real
# points, `fake_target` for generated ones. What is D*? And what is wrong with `fake_target` > 0?


# %%
def smoothed_d(p, q, real_target, fake_target):
    ...  # your code


check("01.3", smoothed_d)

# %% [markdown]
# **Exercise 4: move the earth.** `x` and `y` are equally many points on the line. Return W₁ between the two sets: the mean way
# of a point under the cheapest plan.


# %%
def w1(x, y):
    ...  # your code


check("01.4", w1)

# %% [markdown]
# ## Summary
# - The best D is a density ratio: D* = p/(p + q), logit log p − log q, where there is mass; elsewhere it is arbitrary.
# - V(D*, G) = 2 JS − 2 log 2. JS is a value; G learns from a gradient.
# - When D wins, the saturating loss has no gradient in the logit; the non-saturating has, and follows KL(q‖p) − 2 JS.
# - W₁ has a slope however far apart p and q are; it needs a critic that is not steep.
# - Two players going downhill may circle for ever; a penalty on D's slope can damp that.
#
# **Can you answer these without looking?**
# 1. G and the data have hardly any overlap and D is perfect. Under which loss does G learn: (a) saturating, because JS is at its
#    largest; (b) non-saturating; (c) none?
# 2. D says 0.5 at a place where neither real nor generated points lie. What follows about p/q there?
# 3. What tends to zero when D wins: the slope of log(1 − D) (a) in D, (b) in the logit, (c) both?
# 4. Does a GAN trained with the non-saturating loss minimise the JS divergence?
# 5. Simultaneous steps in V = xy with half the learning rate: (a) converge, (b) diverge more slowly, (c) circle?
#
# <details><summary>Answers</summary>
#
# 1. (b). JS is nearly constant there, whatever its size. 2. Nothing: D is arbitrary off the support. 3. (b); in D it tends to −1.
# 4. No: with the best D it follows KL(q‖p) − 2 JS, and D is never the best. 5. (b): √(1 + η²) > 1 for every η.
# </details>
#
# **Next:** [02 · DCGAN on faces](02_dcgan_celeba.ipynb). **Papers:** Goodfellow et al. 2014,
# [arXiv:1406.2661](https://arxiv.org/abs/1406.2661); Arjovsky & Bottou 2017 (vanishing gradients),
# [arXiv:1701.04862](https://arxiv.org/abs/1701.04862); Arjovsky et al. 2017 (WGAN),
# [arXiv:1701.07875](https://arxiv.org/abs/1701.07875); Gulrajani et al. 2017 (WGAN-GP),
# [arXiv:1704.00028](https://arxiv.org/abs/1704.00028); Mao et al. 2017 (least squares),
# [arXiv:1611.04076](https://arxiv.org/abs/1611.04076); Mescheder et al. 2018 (which training converges),
# [arXiv:1801.04406](https://arxiv.org/abs/1801.04406); Lipman et al. 2023 (flow matching),
# [arXiv:2210.02747](https://arxiv.org/abs/2210.02747).
