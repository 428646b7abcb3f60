"""Exercises of notebook 06: sampling by class, the projection head, a generator that ignores y, reading scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import Wrong, exercise


def sample_rows(generator: nn.Module, n: int, classes: int, latent_dim: int) -> Tensor:
    z = torch.randn(n, latent_dim).repeat(classes, 1)  # (classes * n, latent_dim): the same n in each row
    y = torch.arange(classes).repeat_interleave(n)  # 0 0 0 … 1 1 1 …
    with torch.no_grad():
        return generator.eval()(z, y)


class Recorder(nn.Module):
    """Stands for a generator: image i holds its z and its y, so that nothing is lost."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim, self.weight, self.modes = latent_dim, nn.Parameter(torch.ones(())), []

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise Wrong(f"z must be (N, {self.latent_dim}); the generator got {tuple(z.shape)}.")
        if not isinstance(y, Tensor) or y.shape != (len(z),):
            raise Wrong(f"y must be {len(z)} classes, one for each z; the generator got {getattr(y, 'shape', y)}.")
        if y.is_floating_point():
            raise Wrong("y must be whole numbers: an embedding looks them up.")
        self.modes.append(self.training)
        return torch.cat([z, y[:, None]], 1)[:, :, None, None] * self.weight


@exercise(
    "06.1",
    "A row for each class",
    hints=[
        "Draw n latent vectors once, and repeat them for every class.",
        "tensor.repeat(k) gives 0 1 2 0 1 2, tensor.repeat_interleave(k) gives 0 0 1 1 2 2. Each is needed once.",
    ],
    solution=sample_rows,
)
def check_sampler(answer) -> str:
    n, classes, latent_dim = 5, 3, 4
    net = Recorder(latent_dim).train()
    images = answer(net, n, classes, latent_dim)
    if not isinstance(images, Tensor) or len(images) != n * classes:
        raise Wrong(f"{classes} rows of {n} images are asked for; it returns {getattr(images, 'shape', images)}.")
    if images.requires_grad:
        raise Wrong("the images carry a graph: draw them under torch.no_grad().")
    z, y = images[:, :-1, 0, 0].reshape(classes, n, -1), images[:, -1, 0, 0].reshape(classes, n)
    if any(net.modes):
        raise Wrong("the generator was in training mode: BatchNorm would mix the images of a batch. Call eval().")
    if (y != torch.arange(classes)[:, None]).any():
        turn = (y.flatten() == torch.arange(classes).repeat(n)).all()
        raise Wrong("the classes take turns; row k should hold class k only." if turn else "row k must hold class k.")
    if (z[0] != z[1]).any():
        raise Wrong("each row has other z: a column should differ in the class alone.")
    if (z[:, 0] == z[:, 1]).all():
        raise Wrong("all images of a row have the same z.")
    if (z[0] >= 0).all():
        raise Wrong(
            "no z is negative: G has learned with torch.randn's N(0, 1), not with torch.rand's numbers from 0 to 1."
        )
    return "Down a column only the class changes, along a row only z."


def projection(h: Tensor, y: Tensor, head: nn.Linear, embedding: nn.Embedding) -> Tensor:
    return head(h)[:, 0] + (embedding(y) * h).sum(1)  # (N,)


@exercise(
    "06.2",
    "The projection head",
    hints=[
        "head(h) is (N, 1), the product is (N,): added as they are they become (N, N).",
        "⟨v, h⟩ for each row: (embedding(y) * h).sum(1).",
    ],
    solution=projection,
)
def check_projection(answer) -> str:
    head, embedding = nn.Linear(6, 1).double(), nn.Embedding(3, 6).double()
    h, y = torch.randn(5, 6).double(), torch.tensor([2, 0, 1, 1, 0])
    found = answer(h, y, head, embedding)
    if not isinstance(found, Tensor) or found.shape != (5,):
        shape = tuple(getattr(found, "shape", ()))
        square = " Somewhere (N, 1) met (N,), or every h met every class." if shape == (5, 5) else ""
        raise Wrong(f"one logit for each image is asked for, shape (5,); it returns {shape}.{square}")
    plain, product = head(h)[:, 0], (embedding(y) * h).sum(1)
    slips = {
        "the part without the class, head(h), is missing.": product,
        "the class has no part in it.": plain,
        "⟨v, h⟩ is the sum over the features, not their mean.": plain + product / 6,
        "the embedding is added to the features; it should be multiplied with them.": head(h + embedding(y))[:, 0],
    }
    for message, slip in slips.items():
        if torch.allclose(found, slip):
            raise Wrong(message)
    if not torch.allclose(found, projection(h, y, head, embedding)):
        raise Wrong("the shape is right, the numbers are not: head(h) plus the product of embedding(y) and h.")
    return "One more vector a class is all that it costs."


def share_of_class(generator: nn.Module, z: Tensor, classes: int) -> Tensor:
    with torch.no_grad():
        images = torch.stack([generator(z, torch.full((len(z),), k)) for k in range(classes)])  # (K, N, C, S, S)
    return images.var(0, correction=0).mean() / images.flatten(0, 1).var(0, correction=0).mean()


class Mixture(nn.Module):
    """An image is a·z plus b times a number of the class; the share of the class is known."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        kind = torch.tensor([-1.0, 0.0, 1.0], dtype=z.dtype)[y] * 1.5**0.5  # variance 1
        mean_image = torch.tensor([[0.0, 2.0], [4.0, 6.0]], dtype=z.dtype)
        return (self.a * z + self.b * kind[:, None])[:, :, None, None] + mean_image


@exercise(
    "06.3",
    "Does it listen to y?",
    hints=[
        "Draw the same z once with each class: images of shape (K, N, C, S, S), by torch.stack.",
        "The variance over the first dimension is what y does; the variance over all K·N images is everything.",
    ],
    solution=share_of_class,
)
def check_share(answer) -> str:
    z = torch.randn(40, 6).double()
    z = (z - z.mean(0)) / z.std(0, correction=0)
    for a, b in ((1.0, 0.0), (1.0, 1.0), (2.0, 1.0), (0.0, 1.0)):
        found, right = float(answer(Mixture(a, b), z.clone(), 3)), b * b / (a * a + b * b)
        if abs(found - right) < 0.02:  # the N - 1 of a variance is forgiven
            continue
        if b == 0:
            raise Wrong(f"a generator that ignores y gets {found:.2g}, not 0. Is z the same for every class?")
        if abs(found - right / (1 - right + 1e-12)) < 0.03 * max(1, found):
            raise Wrong("it is what y does over what z does; asked for is the share of everything.")
        if abs(found - 1.5 * right) < 0.03:
            raise Wrong("var() divides by K - 1, which makes it half too large for three classes: correction=0.")
        if abs(found - right**0.5) < 0.02:
            raise Wrong("those are standard deviations; the shares of variances add up to 1.")
        if abs(found - b * b / (a * a + b * b + 5)) < 0.02:  # 5 is the variance of mean_image over its pixels
            raise Wrong("the mean image is no variance: take var over the images, pixel by pixel, then the mean.")
        raise Wrong(f"a generator whose variance comes to {right:.0%} from the class gets {found:.3g}.")
    return "0 ignores y, 1 ignores z. Neither extreme is a conditional model."


MODELS = {"a": "drifted", "b": "ignores y", "c": "collapsed", "d": "good"}
WHY = {
    "a": "more often right than the real images, and narrower: it avoids whatever could be confused.",
    "b": "one in four is right, as by chance, and a 'class' is as wide as all classes together.",
    "c": "right as often as real images are, but with a tenth of their variety: few images, each of them good.",
    "d": "right as often as real images, as varied as they, and near them.",
}


@exercise(
    "06.4",
    "Reading a table",
    hints=[
        "What do real images score? Being better than they is a symptom.",
        "With four classes chance is right 25 %.",
    ],
    solution="diagnosis = " + repr(MODELS),
)
def check_models(answer: dict) -> str:
    if not isinstance(answer, dict) or set(answer) != set(MODELS):
        raise Wrong("give a dict with the keys a, b, c, d.")
    for key, right in MODELS.items():
        if answer[key] not in MODELS.values():
            raise Wrong(f"{key} must be one of {', '.join(sorted(MODELS.values()))}; got {answer[key]!r}.")
        if answer[key] != right:
            raise Wrong(f"{key} is not '{answer[key]}': {WHY[key]}")
    return "Real images are the target of every column, not its best value."
