"""Latent vectors and directions, by their properties."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gan_helpers import directions, latent, models, plots
from gan_helpers.data import ImageSet
from gan_helpers.errors import CourseError
from gan_helpers.models.dcgan import Discriminator, Generator
from gan_helpers.recipes import RECIPES

torch.manual_seed(0)
G = Generator(16, 3, 6, 4).eval()


def test_latents_do_not_depend_on_how_many_are_drawn():
    assert torch.equal(latent.draw_z(3, 10, seed=4), latent.draw_z(20, 10, seed=4)[:3])
    z = latent.draw_z(500, 20)
    assert abs(z.mean()) < 0.05 and abs(z.std() - 1) < 0.05


def test_slerp_ends_norms_and_parallel_case():
    a, b = torch.randn(5, 100, generator=torch.Generator().manual_seed(0)), torch.randn(5, 100)
    torch.testing.assert_close(latent.slerp(a, b, 0.0), a)
    torch.testing.assert_close(latent.slerp(a, b, 1.0), b)
    u, v = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    torch.testing.assert_close(latent.slerp(u, v, 0.3).norm(dim=1), torch.ones(5))
    torch.testing.assert_close(latent.slerp(a, 2 * a, 0.5), 1.5 * a)


def test_a_sample_does_not_depend_on_its_batch_mates():
    net = models.build_generator(RECIPES["first-minute"]).train()
    for _ in range(3):
        net(torch.randn(16, 64))
    z = latent.draw_z(40, 64)
    together, alone = latent.generate(net, z), torch.cat([latent.generate(net, row[None]) for row in z])
    assert (plots.to_uint8(together).int() - plots.to_uint8(alone).int()).abs().max() <= 1
    assert net.training


def test_plane_has_the_seeds_at_whole_numbers_and_no_jumps():
    at = {(x, y): latent.plane(x, y, 6, seed=7) for x in (0, 1, -3) for y in (0, 2)}
    for (x, y), z in at.items():
        assert torch.equal(z, latent.draw_z(1, 6, (7 + x + 100 * y) % 2**32))
    for x in (1.0, -1.0, 0.5):
        assert (latent.plane(x - 1e-6, 0.3, 6) - latent.plane(x + 1e-6, 0.3, 6)).abs().max() < 1e-4


def test_plane_is_normal_between_the_seeds_too():
    z = torch.cat([latent.plane(0.5, 0.25, 100, seed) for seed in range(0, 4000, 2)])
    assert abs(z.std() - 1) < 0.01  # independent ones, so many, would be off by 0.0016


def test_mixed_classes_lie_on_the_line_between_the_codes():
    class Coded(nn.Module):
        latent_dim, num_classes = 6, 3

        def __init__(self):
            super().__init__()
            self.code, self.noise = nn.Embedding(3, 6), nn.Dropout(0.9)

        def forward(self, z, y):
            return self.noise((z + self.code(y)).view(-1, 6, 1, 1))

    net, z = Coded().train(), latent.draw_z(4, 6)
    a, b = (latent.generate(net, z, torch.full((4,), k)) for k in (0, 2))
    for mix in (0.0, 0.25, 1.0):
        assert torch.allclose(latent.generate_class(net, z, 0, 2, mix), latent.lerp(a, b, mix), atol=1e-6)
    assert net.training and net.noise.training and not net.code._forward_hooks  # all as it was


def test_arithmetic_is_a_mean_at_the_length_of_a_typical_z():
    a, b = latent.draw_z(3, 100), latent.draw_z(2, 100, 1)
    assert torch.allclose(latent.arithmetic([a]).norm(), torch.tensor(10.0))
    assert torch.allclose(
        nn.functional.cosine_similarity(latent.arithmetic([a, b], [b])[0], a.mean(0), 0), torch.ones(())
    )
    assert latent.arithmetic([a], [a]).abs().max() == 0


def test_a_walk_goes_at_one_pace_on_each_leg_and_a_loop_has_no_seam():
    keys = nn.functional.normalize(latent.draw_z(3, 100))  # on one sphere, where an arc has one pace
    z = latent.walk(keys, 30)
    steps = (z.roll(-1, 0) - z).norm(dim=1).view(3, 10)  # the last leads from the last frame to the first
    assert torch.allclose(steps, steps[:, :1].expand(3, 10), atol=1e-5)
    assert torch.allclose(z[::10], keys) and torch.allclose(z.norm(dim=1), torch.ones(30))
    assert torch.allclose(latent.walk(keys, 7, latent.lerp, loop=False)[[0, 3, 6]], keys)
    with pytest.raises(CourseError, match="two keys"):
        latent.walk(keys[:1], 10)


def test_a_line_is_shorter_in_the_middle_than_an_arc():
    a, b = nn.functional.normalize(latent.draw_z(2, 100)).unbind()
    assert torch.allclose(latent.lerp(a, b, 0.5), (a + b) / 2) and (a + b).norm() < 2
    assert torch.allclose(latent.slerp(a, b, 0.5), nn.functional.normalize(a + b, dim=0))
    assert torch.allclose(latent.slerp(a, a, 0.3), a)  # no angle: the line
    assert latent.slerp(a, 0 * b, 0.5).isfinite().all()


def test_sweep_and_truncation():
    z, d = latent.draw_z(1, 6), torch.eye(6)[2]
    s = latent.sweep(z, d, 2, 5)
    assert torch.equal(s[2:3], z) and torch.allclose(s[:, 2] - z[0, 2], torch.tensor([-2.0, -1, 0, 1, 2]))
    assert latent.truncate(z, 0).abs().max() == 0 and torch.equal(latent.truncate(z, 1), z)


def test_principal_directions_stretch_most():
    found = directions.principal(G, 4)
    assert torch.allclose(found @ found.T, torch.eye(4), atol=1e-5)
    gain = (found @ directions.first_layer(G).T).norm(dim=1)
    assert (gain.diff() < 0).all()
    assert (nn.functional.normalize(latent.draw_z(50, 6)) @ directions.first_layer(G).T).norm(dim=1).max() <= gain[0]
    with pytest.raises(CourseError, match="no generator"):
        directions.principal(Discriminator(16, 3, 4))


def test_activation_pca_finds_the_one_direction_that_acts():
    class One(nn.Module):
        latent_dim = 6

        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 12))
            self.layers[0].weight.data = torch.randn(20, 1) * torch.tensor([[0, 0, 0, 1.0, 0, 0]])

        def forward(self, z):
            return self.layers(z).view(-1, 3, 2, 2)

    found = directions.activation_pca(One(), 1, 300)
    assert found[0, 3] > 0.95


def test_probe_and_attribute_directions():
    rng = np.random.default_rng(0)
    bright = rng.random(400) < 0.4
    images = np.clip(rng.normal(90 + 60 * bright[:, None, None, None], 20, (400, 3, 16, 16)), 0, 255).astype(np.uint8)
    known = ImageSet(images, "lamps", attributes={"bright": bright, "kind": np.arange(400)})
    probe = directions.Probe.fit(known)
    assert probe.names == ("bright",) and probe.accuracy["bright"] > 0.95
    assert directions.Probe.fit(known).weights.equal(probe.weights)

    class Lamp(nn.Module):
        latent_dim = 6

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, z):
            return (self.scale * 0.2 * z[:, 1, None, None, None]).expand(-1, 3, 16, 16)

    assert directions.attribute_directions(Lamp(), probe, 200)["bright"][1] > 0.99
    with pytest.raises(CourseError, match="it has: bright"):
        directions.Probe.fit(known, ("hat",))


def test_removed_directions_are_gone():
    a, b, c = latent.draw_z(3, 6)
    left = directions.remove(a, b, c)
    assert abs(left @ b) < 1e-5 and abs(left @ c) < 1e-5 and abs(left.norm() - 1) < 1e-5


def test_directions_file(tmp_path):
    path = directions.save_directions(tmp_path / "d.safetensors", {"older": torch.ones(6)})
    assert directions.load_directions(path, 6)["older"].equal(torch.ones(6))
    with pytest.raises(CourseError, match="no direction of 7"):
        directions.load_directions(path, 7)
    path.write_bytes(b"rubbish")
    with pytest.raises(CourseError, match="damaged or is no safetensors file"):
        directions.load_directions(path, 6)


def test_saved_directions_can_be_saved_again(tmp_path):
    directions.save_directions(tmp_path / "d.safetensors", {"a": torch.randn(4)})
    kept = directions.load_directions(tmp_path / "d.safetensors", 4)
    maps = Path("/proc/self/maps")
    assert not maps.exists() or "d.safetensors" not in maps.read_text()  # Windows would not replace a mapped file
    directions.save_directions(tmp_path / "d.safetensors", kept | {"b": torch.randn(4)})
