"""Trains a small network on images in IDX files, as one of the processes that torchrun or slipway-launch starts.

To try it without Slipway, with an MLflow at this address:
SLIPWAY_DATA=… MLFLOW_TRACKING_URI=http://127.0.0.1:5000 torchrun --nproc-per-node 2 train.py
"""

import argparse
import os
import struct
from pathlib import Path

import mlflow
import numpy as np
import torch
import torch.distributed as dist
# DistributedDataParallel imports this, and its functions keep the process group that there is at that time. Imported before, the group is
# freed at the end; otherwise its threads are still there when Python exits, and often abort it (PyTorch 2.13).
import torch.distributed.nn.functional  # noqa: F401
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset


def read_idx(path: Path) -> np.ndarray:
    """Reads a file of unsigned bytes in the IDX format: http://yann.lecun.com/exdb/mnist."""
    data = path.read_bytes()
    kind, dimensions = data[2], data[3]
    if kind != 8:
        raise SystemExit(f"{path} holds numbers of kind {kind}, not unsigned bytes")
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def split(folder: Path) -> TensorDataset:
    """The images of a split as numbers from 0 to 1, [count, 1, height, width], with their labels."""
    images = torch.from_numpy(read_idx(folder / "images-idx3-ubyte").astype(np.float32) / 255).unsqueeze(1)
    labels = torch.from_numpy(read_idx(folder / "labels-idx1-ubyte").astype(np.int64))
    return TensorDataset(images, labels)


def network(height: int, width: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (height // 4) * (width // 4), classes),
    )


def accuracy(model: nn.Module, data: TensorDataset, device: torch.device) -> float:
    """The share of images that the model classifies correctly, from 0 to 1."""
    model.eval()
    right = 0
    with torch.inference_mode():
        for images, labels in DataLoader(data, batch_size=1000):
            right += (model(images.to(device)).argmax(1).cpu() == labels).sum().item()
    model.train()
    return right / len(data)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--epochs", type=int, default=3)
    arguments.add_argument("--batch-size", type=int, default=64, help="images a step, over all processes")
    arguments.add_argument("--learning-rate", type=float, default=0.001)
    arguments.add_argument("--seed", type=int, default=7)
    options = arguments.parse_args()

    on_gpu = torch.cuda.is_available()
    dist.init_process_group("nccl" if on_gpu else "gloo")
    rank, processes = dist.get_rank(), dist.get_world_size()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if on_gpu else torch.device("cpu")
    torch.manual_seed(options.seed)

    data = Path(os.environ["SLIPWAY_DATA"])
    train, validation, test = (split(data / name) for name in ("train", "validation", "test"))
    images, labels = train.tensors
    classes = int(labels.max()) + 1
    model = network(images.shape[2], images.shape[3], classes).to(device)
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.Adam(parallel.parameters(), lr=options.learning_rate)
    sampler = DistributedSampler(train, seed=options.seed)
    batches = DataLoader(train, batch_size=options.batch_size // processes, sampler=sampler, drop_last=True)

    # The process of rank 0 has a run, which slipway-launch made: MLFLOW_RUN_ID names it.
    if rank == 0:
        mlflow.start_run()
        mlflow.log_params(vars(options))
    for epoch in range(options.epochs):
        sampler.set_epoch(epoch)
        for images, labels in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(parallel(images.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
        if rank == 0:
            metrics = {"epoch": epoch + 1, "loss": loss.item(), "validation_accuracy": accuracy(model, validation, device)}
            mlflow.log_metrics(metrics, step=epoch + 1)
    if rank == 0:
        # The gate of the experiment looks at this one.
        mlflow.log_metric("accuracy", accuracy(model, test, device), step=options.epochs)
        model.eval()
        # two images, because a model that is exported with one takes no more than one
        example = test.tensors[0][:2].numpy()
        mlflow.pytorch.log_model(model.cpu(), name="model", input_example=example)
        mlflow.end_run()
    # Before the group: if the group ends together with the model, PyTorch 2.13 may wait for itself.
    del parallel
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
