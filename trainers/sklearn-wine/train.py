"""Trains a logistic regression of scikit-learn on a table. It is one process; more workers would train the same model again.

python train.py --data FOLDER --label target
"""

import argparse
import os
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def load(path: Path, label: str) -> tuple[pd.DataFrame, pd.Series]:
    """The rows of a table, and the class of each."""
    table = pd.read_csv(path)
    classes = table.pop(label)
    return table, classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SLIPWAY_DATA"), help="a folder with train.csv, validation.csv, test.csv")
    parser.add_argument("--label", default="target", help="the column with the class")
    parser.add_argument("--strength", type=float, default=1.0, help="the inverse of the regularisation")
    args = parser.parse_args()
    if args.data is None:
        parser.error("--data is needed, or SLIPWAY_DATA in the environment")

    train, validation, test = (load(args.data / f"{part}.csv", args.label) for part in ("train", "validation", "test"))
    with mlflow.start_run():
        mlflow.log_param("strength", args.strength)
        model = make_pipeline(StandardScaler(), LogisticRegression(C=args.strength)).fit(*train)
        mlflow.log_metrics({"validation_accuracy": model.score(*validation), "accuracy": model.score(*test)})
        rows = train[0].head()
        mlflow.sklearn.log_model(model, name="model", signature=infer_signature(rows, model.predict(rows)))
    print(f"accuracy {model.score(*test):.4f}", flush=True)


if __name__ == "__main__":
    main()
