"""Trains a small convolutional network on images in IDX files, with DistributedDataParallel.

torchrun --nproc-per-node 2 train.py --data FOLDER --epochs 3
"""

import argparse
import os
import tempfile
from pathlib import Path

import mlflow
import numpy as np
import torch
import torch.distributed as dist
# DistributedDataParallel imports this, and its functions keep the process group that there is at that time. Imported before, the group is
# freed at the end; otherwise its threads are still there when Python exits, and often abort it (PyTorch 2.13).
import torch.distributed.nn.functional  # noqa: F401
from mlflow.models import infer_signature
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler
from torch.utils.tensorboard import SummaryWriter


class Cnn(nn.Module):
    """Takes images with values from 0 to 1, returns a logit for each class."""

    def __init__(self, hidden: int, classes: int, size: tuple[int, int]):
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 32, 3, padding=1)
        self.hidden = nn.Linear(32 * (size[0] // 4) * (size[1] // 4), hidden)
        self.logits = nn.Linear(hidden, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(functional.relu(self.first(images)), 2)
        x = functional.max_pool2d(functional.relu(self.second(x)), 2)
        return self.logits(functional.relu(self.hidden(x.flatten(1))))


def idx(path: Path) -> np.ndarray:
    """Reads unsigned bytes. http://yann.lecun.com/exdb/mnist/ describes the format."""
    content = path.read_bytes()
    dimensions = content[3]
    shape = np.frombuffer(content, dtype=">i4", count=dimensions, offset=4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def load(folder: Path) -> TensorDataset:
    """The images and labels of one part of the data."""
    images = torch.from_numpy(idx(folder / "images-idx3-ubyte").astype(np.float32) / 255).unsqueeze(1)
    labels = torch.from_numpy(idx(folder / "labels-idx1-ubyte").astype(np.int64))
    return TensorDataset(images, labels)


def accuracy(model: nn.Module, data: TensorDataset) -> float:
    """The share of right answers. Each worker answers its part, and all get the result."""
    rank, size = dist.get_rank(), dist.get_world_size()
    images, labels = data[rank::size]
    model.eval()
    with torch.no_grad():
        right = sum((model(i).argmax(1) == l).sum() for i, l in zip(images.split(512), labels.split(512)))
    counts = torch.tensor([float(right), float(len(labels))])
    dist.all_reduce(counts)
    return (counts[0] / counts[1]).item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SLIPWAY_DATA"), help="a folder with train, validation and test")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64, help="images of one worker")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    if args.data is None:
        parser.error("--data is needed, or SLIPWAY_DATA in the environment")

    dist.init_process_group("gloo")
    first = dist.get_rank() == 0
    torch.manual_seed(args.seed)
    train, validation, test = (load(args.data / part) for part in ("train", "validation", "test"))
    images, labels = train.tensors
    network = Cnn(args.hidden, int(labels.max()) + 1, tuple(images.shape[2:]))
    model = DistributedDataParallel(network)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    sampler = DistributedSampler(train, seed=args.seed)
    loader = DataLoader(train, batch_size=args.batch_size, sampler=sampler)

    # one worker keeps the books; MLflow's autologging takes what TensorBoard is given
    writer = None
    if first:
        mlflow.pytorch.autolog(log_every_n_step=1)
        mlflow.start_run()
        mlflow.log_params({"lr": args.lr, "hidden": args.hidden, "epochs": args.epochs, "batch_size": args.batch_size})
        writer = SummaryWriter(tempfile.mkdtemp())

    for epoch in range(1, args.epochs + 1):
        sampler.set_epoch(epoch)
        model.train()
        total = 0.0
        for batch, target in loader:
            loss = functional.cross_entropy(model(batch), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        found = accuracy(network, validation)
        if writer:
            writer.add_scalar("loss", total / len(loader), epoch)
            writer.add_scalar("validation_accuracy", found, epoch)
            writer.add_scalar("epoch", epoch, epoch)
            writer.flush()
            print(f"epoch {epoch} of {args.epochs}: loss {total / len(loader):.4f}, validation accuracy {found:.4f}", flush=True)

    found = accuracy(network, test)
    if writer:
        writer.close()
        mlflow.log_metric("accuracy", found)
        # two images, because a model that is exported with one takes no more than one
        example = images[:2]
        with torch.no_grad():
            signature = infer_signature(example.numpy(), network.eval()(example).numpy())
        mlflow.pytorch.log_model(network, name="model", signature=signature, input_example=example.numpy())
        mlflow.end_run()
        print(f"accuracy {found:.4f}", flush=True)
    # Before the group: if the group ends together with the model, PyTorch 2.13 may wait for itself.
    del model
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
