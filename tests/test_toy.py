"""The toy GANs: shapes, counting modes, losses against the course's own, and training that a seed decides."""

import pytest
import torch

from gan_helpers import losses
from gan_helpers.course import toy
from gan_helpers.errors import CourseError


def draw(shape, n=4000):
    return shape.draw(n, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name, modes", [("ring", 8), ("grid", 25), ("spiral", None), ("two bumps (1-D)", 2)])
def test_shapes_lie_on_themselves(name, modes):
    shape = toy.SHAPES[name]()
    samples = draw(shape)
    covered, share = toy.modes_covered(samples, shape)
    assert samples.shape == (4000, shape.points.shape[1]) and samples.abs().max() < toy.VIEW
    assert share > 0.95 and (modes is None or covered == modes == len(shape.points))


def test_a_stray_sample_is_no_mode():
    shape = toy.ring()
    samples = shape.points[:1].repeat(800, 1)
    samples[:24] = shape.points[1]  # a quarter of the fair share, 100, is 25
    assert toy.modes_covered(samples, shape) == (1, 1.0)
    samples[:25] = shape.points[1]
    assert toy.modes_covered(samples, shape) == (2, 1.0)
    assert toy.modes_covered(samples + 10, shape) == (0, 0.0)


def test_drawing_keeps_up_and_left():
    shape = toy.drawing("#...\n....\n...#")
    assert shape.points.shape == (2, 2) and not shape.modes
    (x0, y0), (x1, y1) = shape.points.tolist()
    assert x0 < x1 and y0 > y1 and shape.points.abs().max() == 1
    assert toy.drawing("#").points.tolist() == [[0, 0]]
    with pytest.raises(CourseError, match="empty"):
        toy.drawing(" ..\n")


def test_losses_are_the_courses_own():
    real, fake = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(toy.log_d(real, fake), losses.bce_d(real, fake))
    torch.testing.assert_close(toy.non_saturating_g(fake), losses.bce_g(fake))
    torch.testing.assert_close(toy.hinge_d(real, fake), losses.hinge_d(real, fake))
    torch.testing.assert_close(toy.minimax_g(fake), (1 - fake.sigmoid()).log().mean())


def test_gradient_penalty_of_a_linear_critic():
    critic = torch.nn.Linear(2, 1)
    critic.weight.data = torch.tensor([[3.0, 4.0]])
    points, mix = torch.randn(6, 2), torch.rand(6, 1)
    assert abs(toy.gradient_penalty(critic, points, points + 1, mix).item() - 16) < 1e-4


@pytest.mark.parametrize("loss", toy.LOSSES)
def test_training_is_decided_by_the_seed(loss):
    runs = [toy.ToyGAN(toy.ring(), loss, seed=seed, d_steps=2).train(3, every=2) for seed in (0, 0, 1)]
    first, again, other = ([f.fake.tolist() for f in run.frames] for run in runs)
    assert first == again != other
    assert [f.step for f in runs[0].frames] == [0, 2, 3]


def test_pull_goes_downhill_for_each_point_by_itself():
    gan = toy.ToyGAN(toy.ring()).train(20)
    frame = gan.frames[-1]

    def per_point(x):
        return torch.nn.functional.softplus(-gan.discriminator(x)[:, 0])

    x, pull = torch.tensor(frame.fake), torch.tensor(frame.pull)
    expected = -(pull.square().sum(1)) * 1e-2
    torch.testing.assert_close(per_point(x + 1e-2 * pull) - per_point(x), expected, atol=2e-4, rtol=0.1)


def test_a_ring_is_covered():
    frame = toy.ToyGAN(toy.ring()).train(1200).frames[-1]
    assert frame.modes >= 6 and frame.on_shape > 0.4


def test_unknown_loss_is_named():
    with pytest.raises(CourseError, match="'hinges'.*Did you mean 'hinge'"):
        toy.ToyGAN(toy.ring(), "hinges")


def test_a_stopped_step_leaves_both_nets_in_training(monkeypatch):
    gan = toy.ToyGAN(toy.ring())
    gan.step()
    assert all(p.requires_grad for p in gan.discriminator.parameters())

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(gan, "loss", gan.loss._replace(g=stop))
    with pytest.raises(KeyboardInterrupt):
        gan.step()
    assert all(p.requires_grad for p in gan.discriminator.parameters())
