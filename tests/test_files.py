"""Files that appear whole or not at all, whatever happens to the machine or reads them meanwhile."""

import os
import stat

import pytest
import torch

from gan_helpers import files
from gan_helpers.errors import CourseError
from gan_helpers.tensors import save_tensors


@pytest.mark.skipif(os.name == "nt", reason="Windows opens no folder")
def test_files_and_their_folder_are_forced_to_the_disk_in_order(tmp_path, monkeypatch):
    """A power cut must not leave a file's name without its bytes, nor a folder without its newest checkpoint."""
    events, fsync, replace = [], os.fsync, os.replace

    def forced(fd):
        events.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", forced)
    monkeypatch.setattr(os, "replace", lambda a, b: events.append("move") or replace(a, b))
    files.save_text(tmp_path / "x.txt", "here")
    assert events == ["file", "move", "folder"]
    events.clear()
    save_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(1)}, {})
    assert events == ["file", "move", "folder"] and len(list(tmp_path.iterdir())) == 2


def test_a_file_that_is_read_elsewhere_is_put_in_place_a_moment_later(tmp_path, monkeypatch):
    real, refused = os.replace, []

    def replace(a, b):
        if len(refused) < 2:
            refused.append(b)
            raise PermissionError(13, "in use")
        real(a, b)

    monkeypatch.setattr(os, "replace", replace)
    files.save_atomically(tmp_path / "x.txt", lambda part: part.write_text("here"))
    assert (tmp_path / "x.txt").read_text() == "here" and len(refused) == 2
    refused[:] = []
    monkeypatch.setattr(os, "replace", lambda a, b: (_ for _ in ()).throw(PermissionError(13, "in use")))
    with pytest.raises(CourseError, match="in use"):
        files.save_atomically(tmp_path / "x.txt", lambda part: part.write_text("there"))
    assert (tmp_path / "x.txt").read_text() == "here" and len(list(tmp_path.iterdir())) == 1
