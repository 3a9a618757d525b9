"""A model that only MLflow can run, logged in the way that the first argument says."""

import sys

import mlflow
import numpy as np
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

inputs = np.array([[0.0], [1.0], [2.0], [3.0]])
model = LogisticRegression().fit(inputs, [0, 0, 1, 1])
signature = infer_signature(inputs, model.predict(inputs))
way = sys.argv[1]
with mlflow.start_run():
    mlflow.log_metric("accuracy", model.score(inputs, [0, 0, 1, 1]))
    if way == "twice":
        mlflow.sklearn.log_model(model, name="first", signature=signature)
        mlflow.sklearn.log_model(model, name="second", signature=signature)
    elif way == "itself":
        mlflow.sklearn.log_model(model, name="model", signature=signature, registered_model_name="fashion")
    elif way == "unsigned":
        mlflow.sklearn.log_model(model, name="model")
