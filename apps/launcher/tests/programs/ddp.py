"""A plain program for torchrun: DistributedDataParallel on gloo, metrics and the model by MLflow."""

import argparse
import os

import mlflow
import numpy as np
import torch
import torch.distributed as dist
from mlflow.models import infer_signature
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def idx(path):
    with open(path, "rb") as file:
        header = int.from_bytes(file.read(4), "big")
        shape = [int.from_bytes(file.read(4), "big") for _ in range(header & 0xFF)]
        return np.frombuffer(file.read(), np.uint8).reshape(shape)


def split(name):
    folder = os.path.join(os.environ["SLIPWAY_DATA"], name)
    images = torch.tensor(idx(f"{folder}/images-idx3-ubyte")).float().unsqueeze(1) / 255
    return images, torch.tensor(idx(f"{folder}/labels-idx1-ubyte")).long()


class Net(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    def forward(self, images):
        return self.layers(images)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--epochs", type=int)
    arguments.add_argument("--hidden", type=int)
    arguments = arguments.parse_args()
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(7)
    model = DistributedDataParallel(Net(arguments.hidden))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images, labels = split("train")
    images, labels = images[rank::world], labels[rank::world]
    if rank == 0:
        mlflow.start_run()
    for epoch in range(1, arguments.epochs + 1):
        for at in range(0, len(images), 50):
            loss = nn.functional.cross_entropy(model(images[at:at + 50]), labels[at:at + 50])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if rank == 0:
            mlflow.log_metrics({"epoch": epoch, "loss": loss.item()}, step=epoch)
            print(f"epoch {epoch}: loss {loss.item():.3f}")
    if rank == 0:
        images, labels = split("test")
        model = model.module.eval()
        with torch.no_grad():
            logits = model(images)
        mlflow.log_metric("accuracy", (logits.argmax(1) == labels).float().mean().item())
        signature = infer_signature(images.numpy(), logits.numpy())
        mlflow.pytorch.log_model(model, name="model", signature=signature, serialization_format="pickle")
        mlflow.end_run()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
