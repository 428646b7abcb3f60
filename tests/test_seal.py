"""The ranking by eye that notebook 04 seals and notebook 05 opens."""

import json

import pytest

from gan_helpers.course.ranking import LOOKED, blind, seal, unseal
from gan_helpers.errors import CourseError
from gan_helpers.recipes import RECIPES

NAMES = ["conv-cifar10", "lin-cifar10", "genzoo-cifar10", "dcgan-fid-cifar10"]


def test_letters_are_shuffled_and_always_the_same():
    letters = blind(NAMES)
    assert letters == blind(reversed(NAMES)) and sorted(letters) == list("ABCD")
    assert sorted(letters.values()) == sorted(NAMES) != list(letters.values())


def test_sealed_then_opened(tmp_path, capsys):
    path, letters = tmp_path / "exports" / "ranking.json", blind(NAMES)
    seal("", letters, path)
    assert not path.exists() and "Nothing is sealed" in capsys.readouterr().out
    seal("c, a, d, b", letters, path)
    digest = json.loads(path.read_text())["digest"]
    assert f"Sealed: {digest}" in capsys.readouterr().out
    seal("ABCD", letters, path)  # a second thought
    assert f"{digest}, and it stays" in capsys.readouterr().out
    names, whose = unseal(path)
    assert names == [letters[k] for k in "CADB"] and digest in whose


@pytest.mark.parametrize("ranking", ["ABC", "ABCC", "ABCDE"])
def test_each_letter_once(tmp_path, ranking):
    with pytest.raises(CourseError, match="each of ABCD once"):
        seal(ranking, blind(NAMES), tmp_path / "ranking.json")


@pytest.mark.parametrize(
    "change", [lambda text: text.replace("CADB", "ABCD"), lambda text: text[:-9], lambda text: "[]"]
)
def test_a_changed_file_is_noticed(tmp_path, change):
    path = tmp_path / "ranking.json"
    seal("CADB", blind(NAMES), path)
    path.write_text(change(path.read_text()))
    with pytest.raises(CourseError, match="seal is broken"):
        unseal(path)


def test_without_a_seal_the_authors_own(tmp_path):
    names, whose = unseal(tmp_path / "ranking.json")
    assert tuple(names) == LOOKED and "authors" in whose
    assert len(set(LOOKED)) == len(LOOKED) and set(LOOKED) <= set(RECIPES)
