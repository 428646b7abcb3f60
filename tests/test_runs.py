"""What may happen to a run: stopped anywhere, on other data, on another machine, with a full disk, without a screen."""

import os
import signal
import stat

import numpy as np
import pytest
import torch

from gan_helpers import checkpoints, data, files, latent
from gan_helpers.recipes import Recipe
from gan_helpers.training import Interrupt, Trainer

TINY = Recipe("tiny", image_size=16, latent_dim=6, g_width=4, d_width=4, batch_size=8, steps=6, ema=0.9)
IMAGES = np.random.default_rng(0).integers(0, 256, (50, 3, 16, 16), dtype=np.uint8)
SET = data.ImageSet(IMAGES, "noise")
QUIET = {"device": "cpu", "progress": False}


def stop(*_):
    raise KeyboardInterrupt


def test_a_stopped_cell_leaves_both_nets_in_training(monkeypatch):
    trainer = Trainer(TINY, IMAGES, "cpu")
    trainer.generator.layers[1].eval()  # somebody's own choice
    modes = [module.training for module in trainer.generator.modules()]
    with pytest.raises(KeyboardInterrupt):
        latent.generate(trainer.generator, torch.randn(3, 6), each=stop)
    assert [module.training for module in trainer.generator.modules()] == modes
    first = next(trainer.discriminator.parameters()).requires_grad_(False)
    monkeypatch.setattr(trainer, "g_loss", stop)
    with pytest.raises(KeyboardInterrupt):
        trainer.train_step()
    assert [p.requires_grad for p in trainer.discriminator.parameters()] == [
        p is not first for p in trainer.discriminator.parameters()
    ]


def test_a_handler_that_is_not_pythons_is_left_alone(monkeypatch):
    """Under an embedding host `getsignal` is None, and nobody could put its handler back."""
    kept = signal.getsignal(signal.SIGTERM)
    real = signal.getsignal
    monkeypatch.setattr(signal, "getsignal", lambda s: None if s == signal.SIGTERM else real(s))
    with Interrupt() as interrupt:
        assert real(signal.SIGTERM) is kept and real(signal.SIGINT) == interrupt.ask
    assert real(signal.SIGTERM) is kept and real(signal.SIGINT) != interrupt.ask


def test_rates_change_in_place():
    """On CUDA a recorded step reads its rates from where they lay."""
    trainer = Trainer(TINY.but(decay=0.5), IMAGES, "cpu")
    group = trainer.g_optimizer.param_groups[0]
    group["lr"] = tensor = torch.tensor(1.0)
    trainer.step = 5  # of 6; 2/6 of the way down is left of 3/6
    trainer.set_learning_rates()
    assert group["lr"] is tensor and tensor.item() == pytest.approx(TINY.g_lr / 3)
    assert trainer.d_optimizer.param_groups[0]["lr"] == pytest.approx(TINY.d_lr / 3)


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
    checkpoints.write_atomically(tmp_path / "x.safetensors", {"a": torch.zeros(1)}, {})
    assert events == ["file", "move", "folder"] and len(list(tmp_path.iterdir())) == 2
