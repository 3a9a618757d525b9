"""Models of each shape behind a stand-in of the model server: pictures, tables, several inputs."""

import math

from stand_in import served, tensor, version

SHIRTS = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
COLUMNS = ["alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids"]
CULTIVARS = ["Barolo", "Grignolino", "Barbera"]


def brightness(inputs: list[dict]) -> list[dict]:
    """The brighter the picture, the later the class: logits."""
    (given,) = inputs
    mean = sum(given["data"]) / len(given["data"])
    return [tensor("logits", "FP32", 1, 10, data=[-((mean * 9 - at) ** 2) for at in range(10)])]


def first_column(inputs: list[dict]) -> list[dict]:
    """The first column, rounded, is the class: probabilities."""
    (given,) = inputs
    rows, columns = given["shape"]
    chosen = [int(given["data"][row * columns]) % 3 for row in range(rows)]
    return [tensor("probabilities", "FP32", rows, 3, data=[0.9 if at == one else 0.05 for one in chosen for at in range(3)])]


def both(inputs: list[dict]) -> list[dict] | tuple:
    """How many numbers each input has, and their sum; an input that is missing is an error."""
    found = {given["name"]: given for given in inputs}
    if missing := {"ids", "mask"} - set(found):
        return 400, {"error": f"the input `{min(missing)}` is missing"}
    return [
        tensor("counts", "INT64", 2, data=[math.prod(found[name]["shape"]) for name in ("ids", "mask")]),
        tensor("sum", "FP32", 1, 1, data=[sum(found["ids"]["data"])]),
    ]


def models() -> tuple[list[dict], dict]:
    """The versions in MLflow, and the server's answers."""
    versions = [version(1, model, accuracy="0.9", digest=f"sha256:{model}") for model in ("fashion", "photos", "wine", "text")]
    shirts = served("fashion", [tensor("image", "FP32", -1, 1, 28, 28)], [tensor("logits", "FP32", -1, 10)], brightness, SHIRTS)
    photos = served("photos", [tensor("pixels", "UINT8", -1, 3, -1, -1)], [tensor("logits", "FP32", -1, 10)], brightness)
    wine = served("wine", [tensor("x", "FP32", -1, 7, columns=COLUMNS)], [tensor("probabilities", "FP32", -1, 3)], first_column, CULTIVARS)
    inputs = [tensor("ids", "INT64", -1, 4), tensor("mask", "BOOL", -1, 4)]
    text = served("text", inputs, [tensor("counts", "INT64", 2), tensor("sum", "FP32", 1, 1)], both)
    return versions, {**shirts, **photos, **wine, **text}
