"""No option does nothing: in every family each one changes a net, a weight, a batch or a file, or is refused."""

from dataclasses import fields

import numpy as np
import pytest

from gan_helpers import generators, recipes
from gan_helpers.__main__ import main
from gan_helpers.errors import CourseError
from gan_helpers.losses import LOSSES
from gan_helpers.models import FAMILIES
from gan_helpers.options import Options, described, option
from gan_helpers.recipes import FIELDS, RECIPES, Recipe
from gan_helpers.training import Trainer

# Tried beside the option, which would otherwise do nothing and be refused.
COMPANY = {"r1_every": {"r1": 1.0}, "num_classes": {"labels": "conditional"}, "gp": {"net.d_norm": "none"}}
VALUES = {  # where one step away from the default is no value, or none that shows within two steps
    "augment": "brightness", "ema": 0.05, "adam_eps": 1e-3, "epochs": 3.0, "minutes": 1.0, "family": "fid",
    "name": "other", "about": "other", "data": "fashion", "decay": 1.0, "loss": "least-squares", "beta2": 0.5,
}  # fmt: skip
ELSEWHERE = {
    "data": "says what is loaded before there is a trainer (tests/test_runs.py)",
    "amp": "acts on CUDA, and on a CPU where a self-test likes bfloat16 (tests/test_precision.py)",
}


def base(family):
    """The smallest recipe of a family, with everything on that two steps can show."""
    labels = "" if "" in FAMILIES[family].LABELS else "conditional"
    size = min(FAMILIES[family].SIZES)
    small = dict(image_size=size, latent_dim=6, g_width=4, d_width=4, batch_size=4, g_lr=1e-3, d_lr=1e-3, ema=0.9)
    return Recipe("tiny", family=family, labels=labels, **small, steps=2)


def other(f, value):
    """A value that the option may have instead."""
    if VALUES.get(f.name, value) != value:
        return VALUES[f.name]
    if f.metadata["choices"]:
        return next(choice for choice in f.metadata["choices"] if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return value / 2 if value else f.metadata["high"] and min(0.25, f.metadata["high"])


def left(recipe):
    """All that two steps of a run leave: structure and weights of the nets, its length, and what is written of it."""
    classes = recipe.num_classes if recipe.labels else 1
    shape = (classes * 6, recipe.channels, recipe.image_size, recipe.image_size)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    trainer = Trainer(recipe, images, "cpu", labels=np.arange(len(images)) % classes)
    trainer.train_step(), trainer.train_step()
    nets = (trainer.generator, trainer.discriminator, trainer.ema)
    tensors = [(name, t.shape, t.double().sum().item()) for net in nets for name, t in net.state_dict().items()]
    return tensors, trainer.total_steps, trainer.recipe.minutes, recipe.name, recipe.about


def options_of(family):
    own = [("net." + f.name, f) for f in fields(FAMILIES[family])]
    return [(f.name, f) for f in fields(Recipe) if f.metadata] + own


@pytest.mark.parametrize("family", FAMILIES)
def test_every_option_of_every_family_does_something_or_is_refused(family):
    plain = base(family)
    before, idle = left(plain), []
    for name, f in options_of(family):
        assert len(f.metadata["about"]) > 5, f"{name} says what it does"
        if name in ELSEWHERE:  # where this test cannot see it
            continue
        try:
            after = left(plain.but(**{name: other(f, plain.flat()[name])}))
        except CourseError as error:
            assert any(word in str(error) for word in ("would do nothing", "must be one of", "BatchNorm in D")), error
            continue
        if after == before:
            idle.append(name)
    assert not idle


@pytest.mark.parametrize("name", COMPANY)
def test_what_is_refused_alone_acts_in_company(name):
    plain = base("small").but(**COMPANY[name])
    f = next(f for f in fields(Recipe) if f.name == name)
    value = 1 if name == "r1_every" else other(f, plain.flat()[name])  # the first step has R1 anyway, the second not
    assert left(plain.but(**{name: value})) != left(plain)


@pytest.mark.parametrize("loss", [name for name, loss in LOSSES.items() if not loss.d_targets])
@pytest.mark.parametrize("target", [{"real_target": 0.9}, {"fake_target": 0.1}, {"target_noise": 0.1}])
def test_a_loss_without_targets_refuses_them(loss, target):
    with pytest.raises(CourseError, match=f"would do nothing with the loss {loss}, which has no targets"):
        Recipe("x", loss=loss, **target)
    assert Recipe("x", **target).but(loss=loss).real_target == 1.0  # they go with the loss that had them


def test_what_a_family_lacks_is_refused_with_what_it_has(capsys):
    assert main(["train", "first-minute", "--set", "net.attention=true"]) == 1
    assert "Options: net.d_norm, net.slope." in capsys.readouterr().err
    assert main(["train", "first-minute", "--set", "d_norm=none"]) == 1
    assert "Did you mean 'net.d_norm'?" in capsys.readouterr().err
    with pytest.raises(CourseError, match="net.slope must lie between 0 and 1; got 2"):
        RECIPES["lin-cifar10"].but(net={"slope": 2})


def test_options_of_nets_are_changed_one_by_one_and_stay_within_a_family():
    recipe = RECIPES["genzoo-mnist"].but(net={"slope": 0.1})
    assert (recipe.net.slope, recipe.net.d_dropout) == (0.1, 0.5)
    assert recipe.but(**{"net.d_dropout": "0"}).net.slope == 0.1
    assert recipe.differs(RECIPES["genzoo-mnist"]) == {"net.slope": (0.1, 0.3)}
    assert recipe.but(family="fid", image_size=32).net == FAMILIES["fid"]()
    assert hash(recipe) and Recipe.from_json(recipe.to_json()) == recipe


def test_text_is_read_as_the_option_s_kind():
    recipe = RECIPES["first-minute"].but(flip="true", seed="7", ema="0.5", steps="3")
    assert (recipe.flip, recipe.seed, recipe.ema, recipe.steps, recipe.minutes) == (True, 7, 0.5, 3, None)
    wrong = {"flip": "yes", "seed": "1.5", "d_steps": True, "ema": "nan", "beta1": None, "steps": "1e400"}
    for name, value in wrong.items():
        with pytest.raises(CourseError, match=name):
            recipe.but(**{name: value})


# --- recipes of the time when all families' options stood side by side ----------------------------------------------

OLD = dict(name="old", steps=3, d_norm="batch", slope=0.2, d_dropout=0.0, attention=False, block="norm,act",
           learned_latent=False, r1_every=8, num_classes=10)  # fmt: skip
OLD_FAMILIES = ("auxiliary", "dcgan", "fid", "genzoo", "linear", "residual", "sagan", "small")  # later ones had no such


@pytest.mark.parametrize("family", OLD_FAMILIES)
def test_old_recipes_keep_what_their_family_had(family):
    import json

    odd = dict(d_norm="spectral", slope=0.3, d_dropout=0.25, attention=True, block="act", learned_latent=True)
    text = json.dumps(OLD | odd | dict(family=family, image_size=32, labels="conditional" if family == "sagan" else ""))
    text = text if family in ("genzoo", "auxiliary", "linear", "fid", "sagan") else text.replace("32", "64", 1)
    net = Recipe.from_json(text).net
    wanted = odd | {"order": "act"} | ({"d_norm": "none"} if family == "sagan" else {})
    assert all(getattr(net, f.name) == wanted[f.name] for f in fields(net))


def test_a_family_is_found_by_its_name_of_old():
    small = RECIPES["small-cifar10"]
    assert Recipe.from_json(small.to_json().replace('"family": "small"', '"family": "best"')) == small


def test_old_recipes_lose_what_did_nothing():
    import json

    text = json.dumps(OLD | dict(loss="hinge", real_target=0.9, target_noise=0.1, r1_every=4, num_classes=3))
    assert Recipe.from_json(text) == Recipe("old", loss="hinge", steps=3)


def test_every_shipped_generator_is_of_a_recipe_of_today():
    for name in generators.shipped():
        recipe = generators.load_generator(name).recipe
        assert Recipe.from_json(recipe.to_json()) == recipe and recipe.name in RECIPES


def test_what_options_say_of_themselves():
    rows = {row[0]: row for row in described(RECIPES["first-minute"])}
    assert rows["net.d_norm"] == ("net.d_norm", "spectral", "batch | spectral | none", "normalisation in D")
    assert rows["r1"][2] == "0 to 10000" and set(FIELDS) - {"name", "net"} <= set(rows)


def test_the_options_of_a_recipe_can_be_listed(capsys):
    assert main(["list", "lin-cifar10"]) == 0
    shown = capsys.readouterr().out
    assert "net.slope        0.1          of D's LeakyReLU (0 to 1)\n" in shown and "net.d_norm" not in shown
    assert "augment          ''           DiffAugment" in shown
    assert main(["list", "lin-cifar10", "--json"]) == 0
    assert Recipe.from_json(capsys.readouterr().out) == RECIPES["lin-cifar10"]
    assert main(["list", "lin-cifar"]) == 1 and "Did you mean 'lin-cifar10'?" in capsys.readouterr().err


def test_an_option_s_default_is_allowed():
    for options in [recipes.get("first-minute"), *(family() for family in FAMILIES.values())]:
        assert isinstance(options, Options)
    assert option(1, "a number").metadata["about"] == "a number"
