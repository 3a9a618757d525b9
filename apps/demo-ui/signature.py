"""What a version takes and gives, as the model server describes it, and the form that asks for it."""

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

# The protocol's datatypes as numpy has them, little-endian, as tensors are sent in binary form.
NUMPY = {
    "BOOL": "?",
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}
FLOATS = ("FP16", "BF16", "FP32", "FP64")
# Nobody fills in a form with more columns than this.
MOST_COLUMNS = 50
# The most pixels on a side of a picture; and if the model takes any size, so that the server takes the request.
LONGEST_SIDE = 1024
ANY_SIDE = 512


class SignatureError(Exception):
    """The server's description of a version is not what the protocol says."""


class Form(Enum):
    """How a person gives the input."""

    DRAWING = "drawing"
    PICTURE = "picture"
    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True)
class Tensor:
    """A tensor by its name, datatype and shape; -1 is a dimension of any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    # The names of the entries along the last dimension; empty if they have none.
    columns: tuple[str, ...] = ()

    def smallest(self) -> list[int]:
        """The shape with 1 for each dimension of any size."""
        return [max(size, 1) for size in self.shape]

    def __str__(self) -> str:
        return f"{self.datatype} [{', '.join('any' if size == -1 else str(size) for size in self.shape)}]"


@dataclass(frozen=True)
class Signature:
    """What a version takes and gives."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    # The names of the classes by their index; empty if they have none.
    labels: tuple[str, ...] = ()

    @property
    def form(self) -> Form:
        """The form for this input: the first that fits."""
        if len(self.inputs) != 1 or not self.inputs[0].shape or self.inputs[0].shape[0] not in (-1, 1):
            return Form.JSON
        (tensor,) = self.inputs
        match tensor.shape[1:]:
            # Digits and letters can be drawn; a shirt is better uploaded.
            case (1, 28, 28) if tensor.datatype == "FP32" and all(len(label) <= 1 for label in self.labels):
                return Form.DRAWING
            case (1 | 3, height, width) if tensor.datatype in ("FP16", "FP32", "FP64", "UINT8") and _is_side(height) and _is_side(width):
                return Form.PICTURE
            case (columns,) if tensor.datatype in NUMPY and tensor.datatype != "BOOL" and 1 <= columns <= MOST_COLUMNS:
                return Form.TABLE
        return Form.JSON

    @property
    def thing(self) -> str:
        """What is drawn."""
        return "digit" if all(label.isdigit() for label in self.labels) else "character"


def parse(metadata: dict) -> Signature:
    """A version's metadata in the protocol's form, to which the server adds `labels`, and `columns` of a tensor."""
    return Signature(
        inputs=_tensors(metadata, "inputs"), outputs=_tensors(metadata, "outputs"), labels=_names(metadata, "labels", "the model")
    )


def _is_side(size: int) -> bool:
    return size == -1 or 1 <= size <= LONGEST_SIDE


def plain(text: str) -> str:
    """A text that can be sent to a browser: half of a surrogate pair, which JSON can hold, becomes `?`."""
    return text.encode("utf-8", "replace").decode()


def count(shape: tuple[int, ...] | list[int]) -> int:
    """The numbers in a tensor of this shape."""
    return math.prod(shape)


def array(tensor: Tensor, values) -> np.ndarray:
    """Values with the tensor's type."""
    return np.asarray(values).astype(NUMPY[tensor.datatype])


def _tensors(metadata: dict, member: str) -> tuple[Tensor, ...]:
    found = metadata.get(member)
    if not isinstance(found, list) or not found:
        raise SignatureError(f"The server's description of the model has no {member}")
    return tuple(_tensor(each, f"{member}[{at}]") for at, each in enumerate(found))


def _tensor(found: object, where: str) -> Tensor:
    match found:
        case {"name": str(name), "datatype": str(datatype), "shape": list(shape)} if all(type(size) is int and size >= -1 for size in shape):
            columns = _names(found, "columns", where)
            if columns and (not shape or len(columns) != shape[-1]):
                raise SignatureError(f"The server's description of the model has {len(columns)} columns for {where}, whose shape is {shape}")
            return Tensor(plain(name), plain(datatype), tuple(shape), columns)
    raise SignatureError(f"The server's description of the model has no name, datatype and shape for {where}")


def _names(found: dict, member: str, where: str) -> tuple[str, ...]:
    names = found.get(member) or []
    if not isinstance(names, list):
        raise SignatureError(f"The server's description of {where} has {member} that are not a list")
    return tuple(plain(str(name)) for name in names)
