"""The training step and the loop. Nothing here knows of plots, files or widgets: those are callbacks.

Every random draw is derived from (seed, step), so a run needs no saved random state: step 1,000 draws the same numbers
whether the process is new or has run since step 0.
"""

from __future__ import annotations

import copy
import math
import time
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import memory, models, precision
from .augment import diff_augment, flip
from .batches import Batches, checked_data, derive_seed
from .devices import half_precision, make_optimizer, pick_device, seeded, set_rate, telling_memory
from .errors import CourseError
from .history import History
from .losses import LOSSES, gradient_penalty, r1_penalty
from .recipes import Recipe
from .recorded import Recorded, can_be_recorded
from .temporary import Interrupt, frozen

COLUMNS = ("d_loss", "g_loss", "d_real", "d_fake")  # of the history: both losses, mean D(x), mean D(G(z))


class Diverged(CourseError):
    """A loss or a weight is no longer a finite number."""


def budget_in_steps(recipe: Recipe, count: int) -> int | None:
    """The steps that a recipe wants of `count` images; None where its budget is in minutes."""
    if recipe.steps is not None or recipe.epochs is None:
        return recipe.steps
    return math.ceil(recipe.epochs * count / (recipe.batch_size * recipe.d_steps))


@torch.no_grad()
def update_ema(ema: nn.Module, net: nn.Module, decay: float) -> None:
    """ema ← decay·ema + (1 - decay)·net, for parameters and BatchNorm statistics.

    Copied are counters, and spectral normalisation's vectors, whose average would no longer have length 1. All tensors
    at once, as a GPU takes longer to be asked than to do it.
    """
    averaged, copied = ([], []), ([], [])  # (the average's, the net's) each
    for (name, mine), theirs in zip(ema.state_dict().items(), net.state_dict().values(), strict=True):
        group = averaged if mine.is_floating_point() and not name.endswith(("._u", "._v")) else copied
        group[0].append(mine)
        group[1].append(theirs)
    torch._foreach_lerp_(*averaged, 1 - decay)
    if copied[0]:
        torch._foreach_copy_(*copied)


class Trainer:
    """One run: nets, optimisers, moving average and position.

    Attributes:
        generator, discriminator: the nets in training.
        ema: the averaged generator that makes the pictures (the generator itself where the recipe has no EMA).
        step: generator updates so far.
        seconds: training time so far, which `minutes`, decay and cards go by: the steps and the upkeep that any run has
            (averages, pictures, history, saves), so that a minute is one on the clock. Not counted is what happens
            `untimed`, above all scoring: a run must not be shorter, or decay sooner, because somebody judges it.
        rows: the history, a row of COLUMNS for each step.   history: the same by column name, as arrays (steps,).
        class_names: names of the classes that the recipe uses, in label order; () if it uses none.
        digest: of the images' source (`ImageSet.digest`); "": these pixels are the source.
        bfloat16: whether it computes so on the CPU.   threads: the number that its checkpoint keeps, or None.

    Raises:
        CourseError: images or labels don't fit the recipe, or the device is not there.
    """

    def __init__(
        self, recipe: Recipe, images: np.ndarray, device: str = "auto", dtype: torch.dtype = torch.float32,
        labels: np.ndarray | None = None, class_names: tuple[str, ...] = (), digest: str = "",
    ) -> None:  # fmt: skip
        memory.keep_freed()
        labels, self.class_names = checked_data(recipe, images, labels, class_names)
        self.recipe, self.device, self.dtype, self.digest = recipe, pick_device(device), dtype, digest
        self.memory_format = torch.contiguous_format if self.device.type == "mps" else torch.channels_last
        with self.seeded(0xB1D):
            self.generator = self.place(models.build_generator(recipe))
            self.discriminator = self.place(models.build_discriminator(recipe))
        self.ema = copy.deepcopy(self.generator).requires_grad_(False) if recipe.ema else self.generator
        self.g_optimizer = make_optimizer(self.generator, recipe.g_lr, recipe, self.device)
        self.d_optimizer = make_optimizer(self.discriminator, recipe.d_lr, recipe, self.device)
        self.loss = LOSSES[recipe.loss]
        self.d_has_batchnorm = any(isinstance(m, nn.BatchNorm2d) for m in self.discriminator.modules())
        if recipe.gp and self.d_has_batchnorm:
            raise CourseError(
                "gp looks at single images, which BatchNorm in D mixes: set net.d_norm=none or spectral, "
                "in a family whose D has it (dcgan, sagan, small)."
            )
        turns = recipe.d_steps if recipe.labels == "pairs" else 0
        self.batches = Batches(images, recipe.batch_size, recipe.seed, self.device, labels, turns)
        self.autocast, self.scaler = half_precision(self.device, recipe.amp)
        self.bfloat16, self.threads = False, None  # on the CPU: what `runs.train` chose, or the checkpoint keeps
        self.step, self.seconds, self.between_steps = 0, 0.0, True
        self.recorded = Recorded(self) if can_be_recorded(self) else None
        self._began = 0.0  # when this run would have begun, had it never been interrupted
        self.scores, self.score_name = [], "distance"  # (step, value) pairs, where somebody judges as it trains
        self.rows, self._on_device = History(len(COLUMNS)), []  # and the newest rows, that nobody has waited for yet
        self.total_steps = budget_in_steps(recipe, len(images))
        if self.total_steps is None and recipe.minutes is None:
            raise CourseError(f"The recipe '{recipe.name}' has no budget: give epochs, steps or minutes.")

    def use_bfloat16(self) -> None:
        """From the next step on, make the products of a float32 run on the CPU in bfloat16 (see `precision`)."""
        self.bfloat16, self.autocast = True, precision.autocast()

    def place(self, net: nn.Module) -> nn.Module:
        return net.to(self.device, self.dtype).to(memory_format=self.memory_format)

    def seeded(self, *key: int):
        """Inside, torch's random numbers follow from (recipe.seed, *key) alone; afterwards they go on as before."""
        return seeded(self.device, derive_seed(self.recipe.seed, *key))

    # --- the step -----------------------------------------------------------------------------------------------

    def sample_z(self) -> Tensor:
        """A batch of latent vectors, standard normal (batch_size, latent_dim)."""
        return torch.randn(self.recipe.batch_size, self.recipe.latent_dim, device=self.device, dtype=self.dtype)

    def real_batch(self, i: int) -> Tensor:
        """Real images in [-1, 1], (batch_size, C, H, W)."""
        return self.prepare(self.batches[i])

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) → [-1, 1], mirrored by chance where the recipe says so."""
        x = images.to(self.dtype).div_(127.5).sub_(1).contiguous(memory_format=self.memory_format)
        return flip(x) if self.recipe.flip else x

    def disguise(self, x: Tensor) -> Tensor:
        """What D sees of images: augmented, and with instance noise that falls to 0 over the run."""
        x = diff_augment(x, self.recipe.augment)
        if noise := self.recipe.instance_noise * (1 - self.progress):
            x = x + noise * torch.randn_like(x)
        return x

    def train_step(self) -> Tensor:
        """Update D `d_steps` times and G once; returns (d_loss, g_loss, D(x), D(G(z))), a tensor (4,) on the device."""
        r, self.between_steps = self.recipe, False
        turns = range(self.step * r.d_steps, (self.step + 1) * r.d_steps)
        batches = [(self.batches[i], self.batches.classes(i)) for i in turns]  # fakes are of the same classes
        with self.seeded(1, self.step):
            self.set_learning_rates()
            row = (self.recorded or self.update)(batches)
            if r.ema:
                self.average(batches[-1][1])
        self.step += 1
        self.between_steps = True
        return row

    def update(self, batches: list[tuple[Tensor, Tensor | int | None]]) -> Tensor:
        """D's updates, one for each batch (uint8 (N, C, S, S), classes), and G's; returns what `train_step` does."""
        r = self.recipe
        for k, (images, y) in enumerate(batches, 1):
            real = self.prepare(images)
            with torch.set_grad_enabled(k == r.d_steps), self.autocast:  # only the last fakes serve G too
                z = self.sample_z()
                fake = self.generator(z, y) if r.conditional else self.generator(z)  # (N, C, S, S)
            d_loss, d_real, d_fake = self.update_discriminator(real, fake.detach(), y)
        g_loss = self.update_generator(fake, y)
        return torch.stack([d_loss, g_loss, d_real, d_fake]).detach().to(self.dtype)

    def average(self, y: Tensor | int | None) -> None:
        """Move the averaged generator, or that of the class whose turn it is, towards the trained one."""
        ema, net, step = self.ema, self.generator, self.step
        if self.recipe.labels == "pairs":
            ema, net, step = ema.nets[y], net.nets[y], step // len(net.nets)
        update_ema(ema, net, min(self.recipe.ema, (1 + step) / (10 + step)))  # a warm-up: the first noise is forgotten

    def verdict(self, x: Tensor, y: Tensor | int | None) -> tuple[Tensor, Tensor | None]:
        """D's logits (N,) on images (N, C, S, S), and its class logits (N, num_classes) if it has a class head."""
        out = self.discriminator(x, y) if self.recipe.labels in ("pairs", "conditional") else self.discriminator(x)
        return out if self.recipe.head_classes else (out, None)

    def verdicts(self, real: Tensor, fake: Tensor, y: Tensor | int | None) -> list[Tensor | None]:
        """`verdict` on real images and on fakes: logits (N,) and (N,), class logits (N, num_classes) twice, or None."""
        if self.d_has_batchnorm:  # statistics of real and fake must not mix
            (real_logits, real_kinds), (fake_logits, fake_kinds) = self.verdict(real, y), self.verdict(fake, y)
        else:
            both = torch.cat([y, y]) if isinstance(y, Tensor) else y
            logits, kinds = self.verdict(torch.cat([real, fake]), both)  # (2N,), (2N, num_classes)
            real_logits, fake_logits = logits.chunk(2)
            real_kinds, fake_kinds = (None, None) if kinds is None else kinds.chunk(2)
        found = (real_logits, fake_logits, real_kinds, fake_kinds)
        return [None if t is None else t.to(self.dtype) for t in found]  # out of half precision

    def targets(self) -> tuple[float | Tensor, ...]:
        """D's targets for real and fake images, none where the loss has none: numbers, or with `target_noise` (N,)."""
        r = self.recipe
        if not self.loss.d_targets:
            return ()
        if not r.target_noise:
            return r.real_target, r.fake_target
        noise = r.target_noise * torch.rand(2, r.batch_size, device=self.device, dtype=self.dtype)
        return r.real_target - noise[0], r.fake_target + noise[1]

    def update_discriminator(
        self, real: Tensor, fake: Tensor, y: Tensor | int | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One D step on images (N, C, S, S) of classes y; returns its loss, mean D(x) and mean D(G(z))."""
        r = self.recipe
        turn = self.step // len(self.batches.orders)  # of this class, where each has nets of its own
        r1_due = bool(r.r1) and turn % r.r1_every == 0
        with nullcontext() if r1_due or r.gp else self.autocast:  # second derivatives need single precision
            real, fake = self.disguise(real).requires_grad_(r1_due), self.disguise(fake.to(self.dtype))
            real_logits, fake_logits, real_kinds, fake_kinds = self.verdicts(real, fake, y)
            loss = self.loss.d(real_logits, fake_logits, *self.targets())
            if r.head_classes:  # Odena 2016: of real images, and in the full AC-GAN of fakes too
                loss = loss + F.cross_entropy(real_kinds, y)
            if r.labels == "acgan":
                loss = loss + F.cross_entropy(fake_kinds, y)
            penalty = 0.0
            if r1_due:  # seldom, and as much stronger: it costs a second derivative
                penalty = r.r1 / 2 * r.r1_every * r1_penalty(real_logits, real)
            if r.gp:
                penalty = penalty + r.gp * gradient_penalty(lambda x: self.verdict(x, y)[0], real, fake)
        self.descend(self.d_optimizer, loss + penalty)
        return loss, real_logits.sigmoid().mean(), fake_logits.sigmoid().mean()

    def update_generator(self, fake: Tensor, y: Tensor | int | None = None) -> Tensor:
        """One G step through the updated D, which is frozen: nobody would use the gradient of its weights."""
        with frozen(self.discriminator):
            with self.autocast:
                logits, kinds = self.verdict(self.disguise(fake), y)
            loss = self.loss.g(logits.to(self.dtype), *[self.recipe.real_target] * self.loss.g_target)
            if self.recipe.labels == "acgan":
                loss = loss + F.cross_entropy(kinds.to(self.dtype), y)
            self.descend(self.g_optimizer, loss)
        return loss

    def descend(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(optimizer)
        self.scaler.update()

    def set_learning_rates(self) -> None:
        """Both rates fall linearly to 0 over the last `decay` share of the run."""
        r = self.recipe
        if r.decay:
            for optimizer, lr in ((self.g_optimizer, r.g_lr), (self.d_optimizer, r.d_lr)):
                set_rate(optimizer, lr * self.rate_left())

    def rate_left(self, progress: float | None = None) -> float:
        """The share of both rates that is left, here or at some other progress."""
        done, decay = self.progress if progress is None else progress, self.recipe.decay
        return min(1.0, (1 - done) / decay) if decay else 1.0

    # --- the loop -----------------------------------------------------------------------------------------------

    @property
    def progress(self) -> float:
        """Share of the budget that is used, 0 to 1."""
        return self.progress_in(self.recipe, self.total_steps)

    def progress_in(self, recipe: Recipe, steps: int | None) -> float:
        """The share that would be used of another recipe's budget of `steps`, or None and its minutes."""
        if steps is None:
            return min(1.0, self.seconds / (60 * recipe.minutes)) if recipe.minutes else 1.0
        return min(1.0, self.step / steps) if steps else 1.0

    @property
    def finished(self) -> bool:
        return self.progress >= 1

    @property
    def history(self) -> dict[str, np.ndarray]:
        """Each of COLUMNS, one value a step. Reading it waits for the device."""
        self.flush()
        return dict(zip(COLUMNS, self.rows.table.T, strict=True))

    def flush(self) -> None:
        """Bring `rows` up to date, which waits for the device.

        Raises:
            Diverged: one of them is not finite.
        """
        if self._on_device:
            rows, self._on_device = torch.stack(self._on_device).tolist(), []
            for row in rows:
                if not all(map(math.isfinite, row)):
                    values = dict(zip(COLUMNS, row, strict=True))
                    raise Diverged(f"The run diverged at step {len(self.rows) + 1}: {values}. {ADVICE}")
                self.rows.append(row)

    @contextmanager
    def untimed(self):
        """Inside, the clock of `seconds` stands still: for a judge in a callback.

        Raises:
            Diverged: a loss is no longer finite.
        """
        self.flush()  # what the device has yet to do is training
        began = time.perf_counter()
        try:
            yield
        finally:
            self._began += time.perf_counter() - began

    def fit(self, callbacks=()) -> Trainer:
        """Train until the budget is used, or Ctrl-C (a notebook's stop button) asks to stop after the current step.

        Each callback has `start(trainer)`, `step(trainer)` and `stop(trainer)`.

        Raises:
            Diverged: a loss is no longer finite.   OutOfMemory: a step is too large for the device.
        """
        with Interrupt() as interrupt:
            for callback in callbacks:
                callback.start(self)
            self._began = time.perf_counter() - self.seconds
            while not (self.finished or interrupt.asked):
                with telling_memory(self.recipe, self.device, self.step + 1):
                    self._on_device.append(self.train_step())
                self.seconds = time.perf_counter() - self._began
                if self.step % 50 == 0 or self.device.type == "cpu":  # elsewhere it would wait for the device
                    self.flush()
                for callback in callbacks:
                    callback.step(self)
            self.flush()
            for callback in callbacks:
                callback.stop(self)
        return self


ADVICE = ("Usual cures: lower learning rates (g_lr, d_lr), label smoothing (real_target=0.9), instance_noise=0.1, or "
          "net.d_norm=spectral with loss=hinge.")  # fmt: skip
