"""The peer of the benchmarks: PyTorch's DCGAN tutorial's order of operations and its way of reading data, our writing.

Each batch is decoded from image files by a DataLoader with two workers; D sees real and fake images in two passes with
two backward calls, keeps its gradients on while G learns, and nets end in a sigmoid before the loss.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


def loader(folder: Path, rows: list[int], image_size: int, batch_size: int, workers: int = 2) -> DataLoader:
    """Batches of images (N, 3, S, S) in [-1, 1] from the files of `folder`, in the order of `rows`."""
    steps = [transforms.Resize(image_size), transforms.CenterCrop(image_size), transforms.ToTensor()]
    normalise = transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    images = datasets.ImageFolder(str(folder), transforms.Compose([*steps, normalise]))
    return DataLoader(images, batch_size, sampler=rows, num_workers=workers, drop_last=True)


def train_step(
    generator: nn.Module, discriminator: nn.Module, g_opt, d_opt, real, z
) -> tuple[float, float, float, float]:
    """One D and one G update; returns d_loss, g_loss, D(x), D(G(z)), fetched with `.item()` as the tutorial does."""
    ones, zeros = torch.ones(len(real), dtype=real.dtype), torch.zeros(len(real), dtype=real.dtype)
    discriminator.zero_grad()
    output = discriminator(real).sigmoid()
    real_loss = F.binary_cross_entropy(output, ones)
    real_loss.backward()
    d_real = output.mean().item()
    fake = generator(z)
    output = discriminator(fake.detach()).sigmoid()
    fake_loss = F.binary_cross_entropy(output, zeros)
    fake_loss.backward()
    d_fake = output.mean().item()
    d_opt.step()
    generator.zero_grad()
    g_loss = F.binary_cross_entropy(discriminator(fake).sigmoid(), ones)
    g_loss.backward()
    g_opt.step()
    return (real_loss + fake_loss).item(), g_loss.item(), d_real, d_fake


def write_images(folder: Path, images) -> Path:
    """uint8 images (N, 3, S, S) as PNG files in a class folder, as ImageFolder wants them."""
    from PIL import Image

    (folder / "all").mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / "all" / f"{i:06d}.png")
    return folder
