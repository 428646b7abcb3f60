"""Weights in 8 bits: how near they come, what reads them, and what is refused."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from gan_helpers import checkpoints, generators, latent, models, plots, recipes
from gan_helpers.errors import CourseError
from gan_helpers.tensors import SCALE, from_8_bits, to_8_bits


@pytest.mark.parametrize("shape", [(5, 7), (6, 3, 4, 4), (1, 1)])
def test_rows_come_back_within_half_a_scale(shape):
    rows = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    rows *= torch.logspace(-6, 3, shape[0]).view(-1, *[1] * (len(shape) - 1))
    rows[0] = 0
    packed = to_8_bits({"weight": rows, "vector": rows.flatten()[:3], "count": torch.tensor(7)})
    assert packed["weight"].dtype == torch.int8 and packed[SCALE + "weight"].shape == shape[:1]
    found = from_8_bits(packed)
    off = (found["weight"] - rows).flatten(1).abs()
    assert (off <= packed[SCALE + "weight"][:, None] / 2 * 1.0001).all() and (found["weight"][0] == 0).all()
    assert torch.equal(found["weight"].half().float(), found["weight"])  # so an exported page draws the same
    assert torch.equal(found["vector"], rows.flatten()[:3]) and found["count"] == 7
    assert found.keys() == {"weight", "vector", "count"}


def test_scales_keep_most_of_the_range():
    rows = torch.randn(400, 50, generator=torch.Generator().manual_seed(0))
    assert to_8_bits({"w": rows})["w"].abs().amax(1).min() >= 112  # of 127: rounding a scale up costs a ninth at most


@pytest.fixture
def exported(tmp_path):
    recipe = recipes.get("small-cifar10").but(g_width=8)
    net = models.build_generator(recipe)
    tensors = {"generator." + name: tensor for name, tensor in net.state_dict().items()}
    names = '["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]'
    path = tmp_path / "small.safetensors"
    save_file(to_8_bits(tensors), path, {"format": "1", "recipe": recipe.to_json(), "classes": names})
    return net.eval(), path


def test_a_generator_in_8_bits_draws_nearly_the_same(exported):
    net, path = exported
    z = latent.draw_z(16, net.latent_dim)
    draw = [plots.to_uint8(latent.generate(g, z)).int() for g in (net, generators.load_generator(path))]
    assert 0 < (draw[0] - draw[1]).abs().float().mean() < 2  # grey levels
    assert all(tensor.dtype != torch.int8 for tensor in checkpoints.read(path)[2].values())


@pytest.mark.parametrize("harm", ["missing", "short", "infinite"])
def test_damaged_scales_are_refused_and_named(exported, harm):
    path = exported[1]
    header, tensors = checkpoints.read_header(path)[1], load_file(path)
    name = next(key for key in tensors if key.startswith(SCALE))
    scale = tensors.pop(name)
    if harm != "missing":
        tensors[name] = scale[:-1] if harm == "short" else scale * torch.inf
    save_file(tensors, path, header)
    with pytest.raises(CourseError, match=f"{path.name}.*{name.removeprefix(SCALE)}"):
        generators.load_generator(path)
