"""From what was drawn on the canvas to the 28x28 picture that the models were trained on.

MNIST's own way (LeCun, Cortes, Burges): the ink is cut out, scaled to fit 20x20 with its aspect ratio kept, and placed in 28x28 so that
its centre of mass is in the middle. So it does not matter where on the canvas, or how large, a digit is drawn.
"""

import base64
import binascii
import io

import numpy as np
from PIL import Image, UnidentifiedImageError

SIDE = 28
INNER = 20
# Below this share of full ink, a pixel counts as paper, since antialiasing leaves faint edges.
FAINT = 0.05

PNG_URL = "data:image/png;base64,"


class NotAPicture(ValueError):
    """The canvas sent something that is not a PNG."""


def from_data_url(url: str | None) -> np.ndarray | None:
    """Converts a PNG data URL of the canvas to a 28x28 picture, float32, ink 1 on paper 0. Returns None if nothing is drawn."""
    if not url:
        return None
    if not url.startswith(PNG_URL):
        raise NotAPicture(f"the canvas sent {url[:24]!r} where a PNG data URL was expected")
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(url.removeprefix(PNG_URL), validate=True)))
        return from_picture(picture)
    except (binascii.Error, UnidentifiedImageError, OSError) as error:
        raise NotAPicture(f"the canvas sent a PNG that cannot be read: {error}") from error


def from_picture(picture: Image.Image) -> np.ndarray | None:
    """Converts a picture of any size with dark ink on light or transparent paper. Returns None if it has no ink.

    Its numbers are levels of 8 bits, n / 255, as those of the pictures that models are trained on: what is asked can be kept as a picture.
    """
    ink = _ink(picture)
    rows, columns = np.nonzero(ink > FAINT)
    if rows.size == 0:
        return None
    cut = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return np.round(_centred(_scaled(cut)) * 255) / np.float32(255)


def to_picture(image: np.ndarray) -> Image.Image:
    """The model's input as a grey picture of ink on paper."""
    return Image.fromarray((255 - np.clip(image, 0, 1) * 255).round().astype(np.uint8), mode="L")


def to_data_url(image: np.ndarray) -> str:
    """The model's input as a PNG data URL."""
    buffer = io.BytesIO()
    to_picture(image).save(buffer, format="PNG")
    return PNG_URL + base64.b64encode(buffer.getvalue()).decode()


def _ink(picture: Image.Image) -> np.ndarray:
    paper = Image.new("RGBA", picture.size, "white")
    grey = Image.alpha_composite(paper, picture.convert("RGBA")).convert("L")
    return 1 - np.asarray(grey, dtype=np.float32) / 255


def _scaled(ink: np.ndarray) -> np.ndarray:
    """Scales the ink to fit 20x20; a thin stroke keeps at least one pixel."""
    height, width = ink.shape
    scale = INNER / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(ink, mode="F").resize(size, Image.Resampling.BOX), dtype=np.float32)


def _centred(ink: np.ndarray) -> np.ndarray:
    """Places the ink in 28x28 by its centre of mass, or as close to that as possible without cutting it off."""
    top, left = (_offset(ink, axis) for axis in (0, 1))
    field = np.zeros((SIDE, SIDE), dtype=np.float32)
    field[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return np.clip(field, 0, 1)


def _offset(ink: np.ndarray, axis: int) -> int:
    mass = ink.sum(axis=1 - axis)
    centre = float((mass * (np.arange(mass.size) + 0.5)).sum() / mass.sum())
    return int(np.clip(round(SIDE / 2 - centre), 0, SIDE - mass.size))
