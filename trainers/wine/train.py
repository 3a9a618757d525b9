"""Trains a small network on a table, with DistributedDataParallel.

torchrun --nproc-per-node 2 train.py --data FOLDER --label target
"""

import argparse
import os
from pathlib import Path

import mlflow
import pandas as pd
import torch
import torch.distributed as dist
# DistributedDataParallel imports this, and its functions keep the process group that there is at that time. Imported before, the group is
# freed at the end; otherwise its threads are still there when Python exits, and often abort it (PyTorch 2.13).
import torch.distributed.nn.functional  # noqa: F401
from mlflow.models import infer_signature
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel


class Table(nn.Module):
    """Takes rows of numbers as they are in the table, returns a logit for each class."""

    def __init__(self, mean: torch.Tensor, deviation: torch.Tensor, hidden: int, classes: int):
        super().__init__()
        # part of the model, so that whoever asks it need not know them
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.layers = nn.Sequential(nn.Linear(len(mean), hidden), nn.ReLU(), nn.Linear(hidden, classes))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.layers((rows - self.mean) / self.deviation)


def load(path: Path, label: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows of a table, and the class of each."""
    table = pd.read_csv(path)
    classes = torch.tensor(table.pop(label).to_numpy(), dtype=torch.int64)
    return torch.tensor(table.to_numpy(), dtype=torch.float32), classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SLIPWAY_DATA"), help="a folder with train.csv, validation.csv, test.csv")
    parser.add_argument("--label", default="target", help="the column with the class, a number from 0")
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    if args.data is None:
        parser.error("--data is needed, or SLIPWAY_DATA in the environment")

    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(args.seed)
    (rows, classes), validation, test = (load(args.data / f"{part}.csv", args.label) for part in ("train", "validation", "test"))
    network = Table(rows.mean(0), rows.std(0).clamp_min(1e-6), args.hidden, int(classes.max()) + 1)
    model = DistributedDataParallel(network)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    # each worker has an equal part of the table, which is small enough to be one batch
    mine = len(rows) // size
    part = slice(rank * mine, (rank + 1) * mine)

    def accuracy(rows: torch.Tensor, classes: torch.Tensor) -> float:
        with torch.no_grad():
            return (network(rows).argmax(1) == classes).float().mean().item()

    if rank == 0:
        mlflow.start_run()
        mlflow.log_params({"lr": args.lr, "hidden": args.hidden, "epochs": args.epochs})
    for epoch in range(1, args.epochs + 1):
        loss = functional.cross_entropy(model(rows[part]), classes[part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if rank == 0 and (epoch % 10 == 0 or epoch == args.epochs):
            metrics = {"loss": loss.item(), "validation_accuracy": accuracy(*validation), "epoch": epoch}
            mlflow.log_metrics(metrics, step=epoch)
            print(f"epoch {epoch} of {args.epochs}: loss {metrics['loss']:.4f}", flush=True)

    if rank == 0:
        found = accuracy(*test)
        mlflow.log_metric("accuracy", found)
        # two rows, because a model that is exported with one takes no more than one
        example = rows[:2]
        with torch.no_grad():
            signature = infer_signature(example.numpy(), network(example).numpy())
        mlflow.pytorch.log_model(network, name="model", signature=signature, input_example=example.numpy())
        mlflow.end_run()
        print(f"accuracy {found:.4f}", flush=True)
    # Before the group: if the group ends together with the model, PyTorch 2.13 may wait for itself.
    del model
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
