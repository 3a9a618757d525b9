"""From an uploaded picture to the tensor that a model takes: `[1, channels, height, width]`, numbers from 0 to 1, or bytes."""

import base64
import io
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from signature import ANY_SIDE, Tensor

# Pillow reads more formats, some of them by other programs.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
# Endings of files, for the browser's dialog.
ENDINGS = ("avif", "bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp")
# A decoded pixel has four bytes, so a picture takes at most 64 MB; a small file can claim any size.
MOST_PIXELS = 16_000_000
MOST_ON_A_SIDE = 20_000
# What the picture may have after it was made small, so that it can be copied.
ENOUGH_PIXELS = 4_000_000
ALLOWED = f"at most {MOST_PIXELS // 1_000_000} million are allowed, and {MOST_ON_A_SIDE:,} on a side"
# Pictures are decoded one at a time, so that several people do not need the memory of several pictures.
DECODING = threading.Lock()
# Pixels that are converted at once.
STRIP = 1_000_000
# Pixels on a side of the pictures that a browser shows.
SHOWN = 320

CUT, PAD, STRETCH = "Cut to shape", "Add borders", "Stretch"
FITS = (CUT, PAD, STRETCH)


class NotAPicture(ValueError):
    """The upload is not a picture that can be used. The message says why."""


@dataclass(frozen=True)
class Picture:
    """A picture as the model sees it."""

    # `[1, channels, height, width]`; the tensor's own datatype.
    values: np.ndarray = field(repr=False)
    # PNG data URLs for a browser: the upload, made small, and what the model sees.
    original: str = field(repr=False)
    seen: str = field(repr=False)
    # What was done, in order, each a part of a sentence.
    steps: tuple[str, ...]


def prepare(upload: bytes, tensor: Tensor, fit: str = CUT, inverted: bool = False) -> Picture:
    """Makes an uploaded file fit the tensor."""
    channels = tensor.shape[1]
    with DECODING:
        image, size, steps = _decoded(upload, tensor)
    width, height = _size(image.size, tensor)
    original = _data_url(image)
    if image.size != (width, height):
        image, done = _fitted(image, (width, height), fit)
        steps.append(f"{done} {width} × {height}")
    if image.mode != (mode := "L" if channels == 1 else "RGB"):
        steps.append("made grey" if channels == 1 else "grey in all three colours")
        image = image.convert(mode)
    if inverted:
        image = ImageOps.invert(image)
        steps.append("inverted")
    pixels = np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)[np.newaxis]
    if tensor.datatype == "UINT8":
        steps.append("numbers from 0 (black) to 255 (white)")
    else:
        pixels = pixels.astype(np.float32) / 255
        steps.append("numbers from 0 (black) to 1 (white)")
    return Picture(pixels, original, _data_url(image), (f"{size[0]} × {size[1]} pixels", *steps))


def _decoded(upload: bytes, tensor: Tensor) -> tuple[Image.Image, tuple[int, int], list[str]]:
    """The picture in L or RGB, upright and not much larger than needed; its own size; what was done."""
    try:
        image = Image.open(io.BytesIO(upload), formats=FORMATS)
        if image.width * image.height > MOST_PIXELS or max(image.size) > MOST_ON_A_SIDE:
            raise NotAPicture(f"The picture has {image.width} × {image.height} pixels, and {ALLOWED}; make it smaller")
        size, steps = image.size, []
        if getattr(image, "is_animated", False):
            steps.append("the first of its pictures")
        # a JPEG can be decoded at half, a quarter or an eighth of its size
        image.draft(None, (2 * _wanted(tensor.shape[3]), 2 * _wanted(tensor.shape[2])))
        image.load()
        upright = ImageOps.exif_transpose(_smaller(image, tensor, steps))
        size = size if (upright.width >= upright.height) == (size[0] >= size[1]) else size[::-1]
    except NotAPicture:
        raise
    except UnidentifiedImageError:
        raise NotAPicture(f"The file is not a picture; upload one of {', '.join(FORMATS)}") from None
    except Image.DecompressionBombError:
        raise NotAPicture(f"The picture has far too many pixels, and {ALLOWED}; make it smaller") from None
    except Exception as error:
        # what Pillow raises for a broken file depends on the format, and on where the file is broken
        raise NotAPicture(f"The picture cannot be read: {str(error) or type(error).__name__}") from error
    if upright.mode == "RGBA":
        steps.append("white where it is transparent")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright).convert("RGB")
    return upright, size, steps


def _smaller(image: Image.Image, tensor: Tensor, steps: list[str]) -> Image.Image:
    """The picture in L, RGB or RGBA. One of many pixels comes at a fraction of its size, if possible twice as large as needed, so that scaling it
    is fast. It is converted in strips, because a copy of all of it would need its memory again."""
    enough = min(image.width // (2 * _wanted(tensor.shape[3])), image.height // (2 * _wanted(tensor.shape[2])))
    factor = max(1, enough, math.isqrt(image.width * image.height // ENOUGH_PIXELS))
    rows = factor * max(1, STRIP // (image.width * factor))
    converted = _conversion(image, rows, steps)
    small, below = None, 0
    for strip in _strips(image, rows):
        part = converted(strip)
        part = part.reduce(factor) if factor > 1 else part
        if small is None:
            small = Image.new(part.mode, (part.width, -(-image.height // factor)))
        small.paste(part, (0, below))
        below += part.height
    # says which side is up
    small.info = image.info
    return small


def _strips(image: Image.Image, rows: int) -> Iterator[Image.Image]:
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _conversion(image: Image.Image, rows: int, steps: list[str]) -> Callable[[Image.Image], Image.Image]:
    """How a strip of the picture becomes L, RGB or RGBA."""
    if image.mode.startswith("I;16"):
        # Pillow would cut off everything above 255
        steps.append("16 bits made 8")
        return lambda strip: Image.fromarray((np.asarray(strip).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        steps.append("its lowest number made black, its highest white")
        low, high = _range(image, rows)
        scale = 255 / (high - low) if high > low else 0
        return lambda strip: Image.fromarray(
            ((np.nan_to_num(np.asarray(strip, np.float64), nan=low, posinf=high, neginf=low) - low) * scale).round().astype(np.uint8)
        )
    if image.has_transparency_data:
        return lambda strip: strip.convert("RGBA")
    mode = "L" if image.mode in ("1", "L") else "RGB"
    return lambda strip: strip.convert(mode)


def _range(image: Image.Image, rows: int) -> tuple[float, float]:
    """The lowest and the highest of the finite numbers."""
    low, high = np.inf, -np.inf
    for strip in _strips(image, rows):
        numbers = np.asarray(strip, np.float64)
        finite = np.isfinite(numbers)
        low = min(low, numbers.min(where=finite, initial=np.inf))
        high = max(high, numbers.max(where=finite, initial=-np.inf))
    return (float(low), float(high)) if low <= high else (0.0, 0.0)


def _wanted(side: int) -> int:
    """The pixels on a side that are needed, for the model and to be shown."""
    return max(side, SHOWN) if side != -1 else ANY_SIDE


def _size(own: tuple[int, int], tensor: Tensor) -> tuple[int, int]:
    """Width and height for the model. A side of any size follows from the picture's own."""
    _, _, height, width = tensor.shape
    if width == -1 and height == -1:
        scale = min(1, ANY_SIDE / max(own))
        return max(1, round(own[0] * scale)), max(1, round(own[1] * scale))
    if width == -1:
        width = min(ANY_SIDE, max(1, round(own[0] * height / own[1])))
    if height == -1:
        height = min(ANY_SIDE, max(1, round(own[1] * width / own[0])))
    return width, height


def _fitted(image: Image.Image, size: tuple[int, int], fit: str) -> tuple[Image.Image, str]:
    """The picture in a size, and how. Bilinear with antialiasing, as torchvision's Resize does it by default."""
    bilinear = Image.Resampling.BILINEAR
    # one pixel more or less is the same shape
    same = abs(image.width * size[1] - image.height * size[0]) <= max(image.width, image.height, *size)
    if same or fit == STRETCH:
        return image.resize(size, bilinear), "scaled to" if same else "stretched to"
    if fit == PAD:
        scale = min(size[0] / image.width, size[1] / image.height)
        inner = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), bilinear)
        padded = Image.new(image.mode, size, "white")
        padded.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
        return padded, "with white borders scaled to"
    return ImageOps.fit(image, size, bilinear), "its middle scaled to"


def _data_url(image: Image.Image) -> str:
    small = image.copy()
    small.thumbnail((SHOWN, SHOWN))
    buffer = io.BytesIO()
    small.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
