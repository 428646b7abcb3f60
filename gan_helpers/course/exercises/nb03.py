"""Exercises of notebook 03: a quiz, four charts, the growth of a game, the R1 penalty, and six bugs."""

from __future__ import annotations

import cmath
import contextlib
import copy

import torch
from torch import Tensor, nn

from ... import plots
from . import Wrong, exercise

# --- the quiz and three exercises -----------------------------------------------------------------------------------

QUIZ = {"1": "C", "2": "A", "3": "B", "4": "D", "E": "2"}
TOLD = {
    "1": "here G's loss waves around two and D's stays low: D knows this G, which of the grids shows why?",
    "2": "level losses near 2 log 2 and log 2: a balanced game.",
    "3": "the spikes come from a D that learns in large steps; there is a lesson in them, if a loud one.",
    "4": "this D had ten images to know by heart; ask which grid has few kinds.",
    "E": "grid E was drawn from the same weights as another grid; so it has no losses of its own.",
}


def quiz(**patients):
    """The quiz's two figures, losses 1 to 4 and samples A to E, from the patients by their names in the notebook."""
    from matplotlib.figure import Figure

    curves, grids = (Figure(figsize=(11, 2.2), layout="constrained") for _ in range(2))
    four, five = ("dim", "wardrobe", "strong", "by_heart"), ("wardrobe", "strong", "dim", "by_heart", "alone")
    for axes, number, name in zip(curves.subplots(1, 4, sharey=True), "1234", four, strict=True):
        both = zip(zip(*patients[name].losses, strict=True), "DG", ("-", "--"), (plots.BLUE, plots.ORANGE), strict=True)
        for losses, net, style, colour in both:
            axes.plot(plots.smooth(losses, 0.9), style, color=colour, label=f"{net}'s loss")
        axes.set(title=f"curve {number}", ylim=(0, 6), xlabel="step")
    curves.axes[0].legend(fontsize=8)
    for axes, letter, name in zip(grids.subplots(1, 5), "ABCDE", five, strict=True):
        axes.imshow(plots.grid(patients[name].last.samples[:20], 5), interpolation="nearest")
        axes.set(title=f"grid {letter}", xticks=[], yticks=[])
    return curves, grids


@exercise(
    "03.0",
    "Losses and grids",
    hints=["Begin with the losses that are easiest to tell, then with the grid that has no curve of its own."],
    solution="matches = " + repr(QUIZ),
)
def check_quiz(answer: dict) -> str:
    if not isinstance(answer, dict) or set(answer) != set(QUIZ):
        raise Wrong("give a dict with the keys 1, 2, 3, 4 and E.")
    for key, right in QUIZ.items():
        if str(answer[key]) not in ("ABCD" if key != "E" else "1234"):
            raise Wrong(f"{key} must be one of {'A, B, C, D' if key != 'E' else '1, 2, 3, 4'}; got {answer[key]!r}.")
        if str(answer[key]) != right:
            raise Wrong(f"{key} is not {answer[key]}: {TOLD[key]}")
    return "Two of the five share one curve, so no rule on losses could have told you all of it."


DIAGNOSES = {"a": "collapse", "b": "memorised", "c": "vanished", "d": "divergence"}
NAMES = ("collapse", "memorised", "vanished", "divergence", "healthy")
SIGNS = {
    "a": "the gradients live, the samples lie near the data, and yet one sample is like the next.",
    "b": "compare what D says to images it was trained on with what it says to unseen ones.",
    "c": "D is right about everything, and look at the length of G's gradient.",
    "d": "it had been good: compare the middle of the run with its end.",
}


@exercise(
    "03.1",
    "Four unlabelled charts",
    hints=[
        "Ask of each chart: does G get a gradient? Does D know unseen images? Are samples unlike one another?",
        "Only one chart's distance was small half way and is huge at the end; only one has a gradient below 1e-5.",
    ],
    solution="diagnosis = " + repr(DIAGNOSES),
)
def check_charts(answer: dict) -> str:
    if not isinstance(answer, dict) or set(answer) != set(DIAGNOSES):
        raise Wrong("give a dict with the keys a, b, c, d.")
    for key, right in DIAGNOSES.items():
        if answer[key] not in NAMES:
            raise Wrong(f"{key} must be one of {', '.join(NAMES)}; got {answer[key]!r}.")
        if answer[key] != right:
            raise Wrong(f"chart {key} is not '{answer[key]}': {SIGNS[key]}")
    return "None of the four could be told from its losses."


def growth(eta: float, damping: float) -> float:
    trace, determinant = 2 - eta * damping, 1 - eta * damping + eta**2
    root = cmath.sqrt(trace**2 / 4 - determinant)
    return max(abs(trace / 2 + root), abs(trace / 2 - root))


@exercise(
    "03.2",
    "Growth with a penalty",
    hints=[
        "Write the step as a matrix on (x, y): [[1, -η], [η, 1 - η·damping]].",
        "Long after the start, the distance grows by the largest modulus of the matrix' eigenvalues: "
        "torch.linalg.eigvals(matrix).abs().max().",
    ],
    solution=growth,
)
def check_growth(answer) -> str:
    def found(eta, damping):
        value = answer(eta, damping)
        value = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
        if isinstance(value, complex) or not isinstance(value, (int, float)):
            raise Wrong("it must return one real number: the modulus of the eigenvalue, not the eigenvalue.")
        return value

    if abs(found(0.1, 0.0) - 1.01) < 1e-5:
        raise Wrong("without damping that is 1 + η², the growth of the distance *squared*.")
    if abs(found(0.1, 0.0) - 1.0) < 1e-5:
        raise Wrong("without damping it is 1: that is the real part of the eigenvalues, or alternating steps.")
    if abs(found(0.1, 0.0) - 1.01**0.5) > 1e-5:
        raise Wrong(f"for η = 0.1 without damping it is √1.01 = 1.00499; yours is {found(0.1, 0.0):.5f}.")
    matrix = torch.tensor([[1.0, -0.1], [0.1, 0.95]], dtype=torch.float64)
    if abs(found(0.1, 0.5) - torch.linalg.matrix_norm(matrix, 2).item()) < 1e-5:
        raise Wrong("that is the largest singular value: the worst single step, not the growth in the long run.")
    for eta, damping in ((0.1, 0.5), (0.1, 5.0), (0.5, 1.0), (0.1, 30.0)):
        if abs(found(eta, damping) - growth(eta, damping)) > 1e-5:
            raise Wrong(
                f"for η = {eta}, damping = {damping} it is {growth(eta, damping):.5f}, not {found(eta, damping):.5f}. "
                "(With strong damping both eigenvalues are real: take the larger modulus.)"
            )
    return "Below 1 the game comes to rest. A damping above about 2/η overshoots and diverges: more is not better."


def r1(discriminator, real: Tensor) -> Tensor:
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)  # (N, C, H, W)
    return gradient.square().sum((1, 2, 3)).mean()


@exercise(
    "03.3",
    "The R1 penalty",
    hints=[
        "torch.autograd.grad(logits.sum(), real, create_graph=True) gives each image's own gradient.",
        "Square it, add over the pixels of an image, then take the mean over images.",
    ],
    solution=r1,
)
def check_r1(answer) -> str:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Softplus(), nn.Linear(5, 1), nn.Flatten(0))
    x = torch.randn(6, 3, 2, 2)
    right, found = r1(net, x), answer(net, x.clone())
    if not isinstance(found, Tensor) or found.numel() != 1:
        raise Wrong("it must return one number, a tensor: the mean over the images.")
    probe = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(probe).sum(), probe)
    length = gradient.square().sum((1, 2, 3))
    slips = {
        "that is (|∇D| - 1)², the one-centred penalty: R1 wants the slope at real images to be 0.": (
            (length.sqrt() - 1).square().mean()
        ),
        "that is the mean length; R1 squares it.": length.sqrt().mean(),
        "the squares are averaged over pixels: add them over the pixels of an image.": gradient.square().mean(),
        "that is the sum over the images: take their mean.": length.sum(),
        "the mean of the logits was differentiated: every gradient is N times too small.": length.mean() / 36,
    }
    for message, slip in slips.items():
        if torch.isclose(found.detach(), slip, rtol=1e-4):
            raise Wrong(message)
    if not torch.isclose(found, right, rtol=1e-4):
        raise Wrong(f"on a small net it gives {found.item():.4g}; the penalty is {right.item():.4g}.")
    if not found.requires_grad:
        raise Wrong("the value is right, but D gets no gradient from it: autograd.grad needs create_graph=True.")
    return "The value is right, and it can be differentiated again."


# --- spot the bug ---------------------------------------------------------------------------------------------------


def critic_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    return -(1 * real_logits).mean() + (1 * fake_logits).mean()  # targets 1 and -1


@exercise(
    "03.b1",
    "The term that is always zero",
    hints=["Differentiate the loss by the fake logits: what comes out?", "A Wasserstein loss has targets 1 and -1."],
    solution=critic_loss,
)
def check_fake_term(answer) -> str:
    real, fake = torch.randn(8).requires_grad_(), torch.randn(8).requires_grad_()
    of_real, of_fake = torch.autograd.grad(answer(real, fake), (real, fake), allow_unused=True)
    if of_fake is None or not of_fake.any():
        raise Wrong("the loss does not depend on the fake logits: D never learns what a fake is.")
    if of_real is None or not of_real.any():
        raise Wrong("the loss does not depend on the real logits.")
    if (of_fake < 0).all():
        raise Wrong("descending this loss raises D's logits of fakes: the sign of the fake term is wrong.")
    if (of_real > 0).all():
        raise Wrong("descending this loss lowers D's logits of real images: the sign of the real term is wrong.")
    if not torch.allclose(of_fake, -of_real):
        raise Wrong("real and fake must weigh the same, 1/N an image.")
    return "Real up, fakes down, with equal weight."


def last_layer(a: Tensor) -> Tensor:
    return torch.tanh(a)


@exercise(
    "03.b2",
    "Ranges that give the fakes away",
    hints=["Which values can a sigmoid never give?", "tanh, or 2·sigmoid - 1."],
    solution=last_layer,
)
def check_range(answer) -> str:
    a = torch.linspace(-20, 20, 401)
    out = answer(a)
    if out.min() > -0.5:
        raise Wrong(f"its darkest pixel is {out.min():.0f}, the data's is -1: D needs one look at the background.")
    if out.max() > 1.001 or out.min() < -1.001:
        raise Wrong(f"it reaches from {out.min():.0f} to {out.max():.0f}; the data stay within -1 and 1.")
    if out.max() < 0.99 or out.min() > -0.99:
        raise Wrong(f"it reaches from {out.min():.2f} to {out.max():.2f} only.")
    if (out.diff() < 0).any():
        raise Wrong("it falls where its input rises.")
    if (out[160:241].diff() == 0).any():
        raise Wrong("it is flat beyond the ends: a clipped pixel gets no gradient and stays where it is.")
    return "Both ends are reached, and the slope never quite dies."


def init(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


@exercise(
    "03.b3",
    "The initialisation that switches a layer off",
    hints=["What does BatchNorm multiply by?", "BatchNorm's weight starts near 1, a convolution's near 0."],
    solution=init,
)
def check_init(answer) -> str:
    net = nn.Sequential(nn.ConvTranspose2d(8, 64, 4), nn.BatchNorm2d(64))
    with torch.no_grad():
        net[1].bias.fill_(3.0)
    for module in net.modules():
        with contextlib.suppress(Wrong):  # it rightly returns nothing
            answer(module)
    conv, norm = net
    if abs(conv.weight.std() - 0.02) > 0.004 or abs(conv.weight.mean()) > 0.004:
        raise Wrong(f"the convolution's weights have spread {conv.weight.std():.3f}; DCGAN's is 0.02, around 0.")
    if abs(norm.weight.mean()) < 0.5:
        raise Wrong(
            f"BatchNorm's weights lie around {norm.weight.mean():.2f}: they multiply the normalised map, so it is "
            "switched off."
        )
    if abs(norm.weight.mean() - 1) > 0.1:
        raise Wrong(f"BatchNorm's weights lie around {norm.weight.mean():.2f}; DCGAN's lie around 1.")
    if norm.weight.std() > 0.1:
        raise Wrong(f"BatchNorm's weights have spread {norm.weight.std():.2f}; DCGAN's is 0.02, around 1.")
    if norm.bias.any():
        raise Wrong("BatchNorm's bias was left as it was: it starts at 0.")
    return "Convolutions around 0, BatchNorm's weights around 1."


def sample(generator: nn.Module, z: Tensor) -> Tensor:
    training = generator.training
    generator.eval()
    try:
        with torch.no_grad():
            return generator(z)
    finally:
        generator.train(training)


@exercise(
    "03.b4",
    "An image that depends on its neighbours",
    hints=["In which mode does BatchNorm use running averages?", "Put the mode back afterwards: training goes on."],
    solution=sample,
)
def check_sampling(answer) -> str:
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    net(torch.randn(64, 4) * 2 + 1)  # running averages that differ from any batch's
    before, z = copy.deepcopy(net.state_dict()), torch.randn(16, 4)
    out = answer(net, z)
    if not torch.allclose(out[:2], answer(net, z[:2]), atol=1e-5):
        raise Wrong("the first two images change when the other fourteen leave the batch.")
    if any(not torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True)):
        raise Wrong("sampling moved BatchNorm's running averages: drawing images must not change the generator.")
    if not net.training:
        raise Wrong("the generator stays in evaluation mode, so the training that goes on has frozen BatchNorm.")
    if out.requires_grad:
        raise Wrong("the images still carry a graph: sample under torch.no_grad().")
    return "Alone or in company, the same image; and the generator is as it was."


def least_squares(output: Tensor, target: Tensor) -> Tensor:
    return (output.flatten() - target.flatten()).square().mean()


@exercise(
    "03.b5",
    "Shapes that fit too well",
    hints=["Print (output - target).shape.", "Bring both to (N,) first."],
    solution=least_squares,
)
def check_shapes(answer) -> str:
    output = torch.tensor([0.9, 0.8, 0.1, 0.3]).view(4, 1, 1, 1).requires_grad_()
    target = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(4, 1)
    loss = answer(output, target)
    if loss.numel() != 1:
        raise Wrong(f"it must return one number; got shape {tuple(loss.shape)}.")
    right = least_squares(output, target).item()
    if abs(loss.item() - (output - target).square().mean().item()) < 1e-6:
        raise Wrong("every output is compared with every target, 16 pairs, so all outputs are drawn to the mean, 0.5.")
    if abs(loss.item() - 4 * right) < 1e-6:
        raise Wrong("that is the sum; take the mean, so that the batch size does not set the step.")
    if abs(loss.item() - right) > 1e-6:
        raise Wrong(f"for outputs .9 .8 .1 .3 and targets 1 1 0 0 it is {right:.4f}, not {loss.item():.4f}.")
    return "Four outputs, four targets, four differences."


def draw(mean: Tensor, log_variance: Tensor, n: int) -> Tensor:
    return mean + (log_variance / 2).exp() * 0.5 * torch.randn(n, len(mean))


@exercise(
    "03.b6",
    "A latent that it never trained on",
    hints=["Which distribution did z have in training?", "σ is exp(log_variance / 2), and ε has spread 0.5."],
    solution=draw,
)
def check_latent(answer) -> str:
    mean, log_variance = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([0.0, 2.0, -2.0])
    z = answer(mean, log_variance, 20_000)
    if z.shape != (20_000, 3):
        raise Wrong(f"it must return (n, latent_dim) = (20000, 3); got {tuple(z.shape)}.")
    if (z.mean(0) - mean).abs().max() > 0.1:
        raise Wrong("the latents do not lie around the learned mean: G was trained on others.")
    spread, right = z.std(0), (log_variance / 2).exp() * 0.5
    slips = {
        "ε has a standard deviation of 0.5 in training; yours has 1.": right * 2,
        "exp(log_variance) is the variance: the standard deviation is its root.": log_variance.exp() * 0.5,
        "the learned variance is not used.": torch.full((3,), 0.5),
    }
    for message, slip in slips.items():
        if torch.allclose(spread, slip, rtol=0.05):
            raise Wrong(message)
    if not torch.allclose(spread, right, rtol=0.05):
        raise Wrong(f"the spread is {[round(s, 2) for s in spread.tolist()]}, in training it was "
                    f"{[round(s, 2) for s in right.tolist()]}.")  # fmt: skip
    return "Samples are drawn from what G was trained on."
