"""From an uploaded file to a tensor."""

import base64
import io
import struct
import threading
import unittest
import warnings
import zlib

import numpy as np
from PIL import Image

import picture
from picture import CUT, PAD, STRETCH, NotAPicture, prepare
from signature import Tensor

GREY = Tensor("image", "FP32", (-1, 1, 8, 8))
COLOUR = Tensor("image", "FP32", (-1, 3, 8, 8))


def file(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def halves(mode: str = "RGB", size: tuple[int, int] = (80, 40), left="red", right="white") -> Image.Image:
    image = Image.new(mode, size, right)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    return image


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says that it has this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def shown(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))


class ToATensor(unittest.TestCase):
    def test_shape_type_and_range(self):
        for tensor in (GREY, COLOUR, Tensor("x", "UINT8", (1, 3, 5, 9))):
            made = prepare(file(halves()), tensor)
            self.assertEqual(made.values.shape, (1, *tensor.shape[1:]))
            self.assertEqual(made.values.dtype, np.uint8 if tensor.datatype == "UINT8" else np.float32)
            self.assertEqual(made.values.max(), 255 if tensor.datatype == "UINT8" else 1)

    def test_colours_are_channels_and_rows_are_rows(self):
        red_above_blue = Image.new("RGB", (8, 8), "blue")
        red_above_blue.paste("red", (0, 0, 8, 4))
        values = prepare(file(red_above_blue), COLOUR).values[0]
        self.assertEqual(values[:, 0, 0].tolist(), [1, 0, 0])
        self.assertEqual(values[:, 7, 0].tolist(), [0, 0, 1])

    def test_three_ways_to_fit(self):
        wide = file(halves(left="black"))
        cut, pad, stretch = (prepare(wide, GREY, fit).values[0, 0] for fit in (CUT, PAD, STRETCH))
        self.assertEqual((cut[0, 0], cut[0, 7], stretch[0, 0], stretch[7, 7]), (0, 1, 0, 1))
        # the borders above and below are white
        self.assertEqual(pad[:, 0].tolist(), [1, 1, 0, 0, 0, 0, 1, 1])

    def test_what_was_done_is_said(self):
        self.assertEqual(
            prepare(file(halves()), GREY, CUT, inverted=True).steps,
            ("80 × 40 pixels", "its middle scaled to 8 × 8", "made grey", "inverted", "numbers from 0 (black) to 1 (white)"),
        )
        self.assertEqual(prepare(file(halves()), COLOUR, PAD).steps[1], "with white borders scaled to 8 × 8")
        self.assertEqual(prepare(file(halves()), COLOUR, STRETCH).steps[1], "stretched to 8 × 8")
        self.assertEqual(prepare(file(halves(size=(40, 40))), COLOUR, CUT).steps[1], "scaled to 8 × 8")
        self.assertEqual(prepare(file(halves("L", (8, 8), 0, 255)), COLOUR).steps[1], "grey in all three colours")

    def test_what_the_model_sees_is_what_is_sent(self):
        made = prepare(file(halves()), GREY, inverted=True)
        np.testing.assert_array_equal(np.asarray(shown(made.seen), dtype=np.float32) / 255, made.values[0, 0])
        np.testing.assert_allclose(made.values, 1 - prepare(file(halves()), GREY).values, atol=1e-6)
        self.assertEqual(shown(made.original).size, (80, 40))

    def test_sides_of_any_size_follow_the_picture(self):
        for shape, size, expected in [
            ((-1, 3, -1, -1), (80, 40), (40, 80)),
            ((-1, 3, -1, -1), (4000, 100), (13, 512)),
            ((-1, 3, 32, -1), (80, 40), (32, 64)),
            ((-1, 3, -1, 32), (80, 40), (16, 32)),
            ((-1, 3, 32, -1), (3000, 2), (32, 512)),
        ]:
            self.assertEqual(prepare(file(halves(size=size)), Tensor("x", "FP32", shape)).values.shape[2:], expected, (shape, size))

    def test_thin_pictures_fit(self):
        tensors = GREY, Tensor("x", "FP32", (-1, 3, 1, 1)), Tensor("x", "FP32", (-1, 1, -1, -1)), Tensor("x", "FP32", (-1, 1, 4, 200))
        for size in ((1, 1), (5000, 1), (1, 5000), (3000, 2), (16_000, 1000), (3, 7)):
            for tensor in tensors:
                for fit in (CUT, PAD, STRETCH):
                    values = prepare(file(Image.new("L", size, 255)), tensor, fit).values
                    self.assertEqual((values.min(), values.ndim), (1, 4), (size, tensor, fit))

    def test_a_picture_that_is_read_in_strips_is_whole(self):
        rows = np.linspace(0, 255, 3999).astype(np.uint8)
        values = prepare(file(Image.fromarray(np.tile(rows[:, None], (1, 3001)))), GREY, STRETCH).values[0, 0]
        np.testing.assert_allclose(values, np.tile(((np.arange(8) + 0.5) / 8)[:, None], (1, 8)), atol=0.02)

    def test_a_large_photo_is_like_a_small_one(self):
        large, small = (prepare(file(halves(size=(side, side)), "JPEG", quality=95), COLOUR).values for side in (3000, 64))
        np.testing.assert_allclose(large, small, atol=0.06)


class KindsOfPictures(unittest.TestCase):
    def test_every_format_and_mode(self):
        for kind, modes in {
            "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
            "JPEG": ("L", "RGB", "CMYK", "YCbCr"),
            "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"),
            "GIF": ("L", "P", "RGB"),
            "WEBP": ("RGB", "RGBA"),
            "BMP": ("1", "L", "P", "RGB"),
            "AVIF": ("RGB", "RGBA"),
        }.items():
            for mode in modes:
                black_and_white = halves("L", left=0, right=255)
                if mode == "I;16":
                    image = Image.fromarray(np.asarray(black_and_white).astype(np.uint16) * 257)
                else:
                    image = black_and_white.convert(mode)
                for tensor in (GREY, COLOUR):
                    values = prepare(file(image, kind), tensor, STRETCH).values[0, 0]
                    np.testing.assert_allclose(values[:, [0, 7]], [[0, 1]] * 8, atol=0.02, err_msg=f"{kind} {mode}")

    def test_16_bits_are_scaled_and_not_cut_off(self):
        ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
        made = prepare(file(Image.fromarray(ramp)), GREY)
        np.testing.assert_allclose(made.values[0, 0], ramp / 65535, atol=0.004)
        self.assertIn("16 bits made 8", made.steps)

    def test_numbers_without_a_range_are_scaled(self):
        ramp = np.linspace(-3, 900, 64, dtype=np.float32).reshape(8, 8)
        ramp[0, 1] = np.nan
        made = prepare(file(Image.fromarray(ramp), "TIFF"), GREY)
        self.assertEqual((made.values.min(), made.values.max()), (0, 1))
        self.assertIn("its lowest number made black, its highest white", made.steps)
        for same in (7, np.nan, np.inf):
            self.assertEqual(prepare(file(Image.new("F", (8, 8), same), "TIFF"), GREY).values.max(), 0)
        whole = Image.fromarray(np.array([[-70_000, 70_000]], np.int32))
        self.assertEqual(prepare(file(whole, "TIFF"), GREY, STRETCH).values[0, 0, 0, [0, 7]].tolist(), [0, 1])

    def test_transparency_is_white_paper(self):
        clear = halves("RGBA", left=(0, 0, 0, 255), right=(0, 0, 0, 0))
        palette = halves("P", left=0, right=1)
        palette.putpalette([0, 0, 0, 0, 0, 0])
        for upload in (file(clear), file(clear, "WEBP"), file(clear.convert("LA")), file(palette, transparency=1), file(palette, "GIF", transparency=1)):
            made = prepare(upload, GREY, STRETCH)
            self.assertEqual((made.values[0, 0, 0, 0], made.values[0, 0, 0, 7]), (0, 1))
            self.assertIn("white where it is transparent", made.steps)

    def test_of_an_animation_the_first_picture_counts(self):
        frames = [Image.new("L", (8, 8), shade) for shade in (255, 0, 128)]
        for kind in ("GIF", "PNG", "WEBP", "TIFF", "AVIF"):
            made = prepare(file(frames[0], kind, save_all=True, append_images=frames[1:]), GREY)
            self.assertGreater(made.values.min(), 0.98, kind)
            self.assertIn("the first of its pictures", made.steps, kind)

    def test_a_photo_taken_sideways_is_turned(self):
        exif = Image.Exif()
        exif[0x0112] = 6  # turn clockwise: what was left is above
        for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
            made = prepare(file(halves(size=(2000, 1000), left="black"), kind, exif=exif), GREY, STRETCH)
            values = made.values[0, 0]
            self.assertLess(values[0].max(), 0.05, kind)
            self.assertGreater(values[7].min(), 0.95, kind)
            self.assertEqual(made.steps[0], "1000 × 2000 pixels")


class NoPictures(unittest.TestCase):
    def setUp(self):
        # Pillow also warns about what it can read all the same
        self.enterContext(warnings.catch_warnings(action="ignore"))

    def refused(self, upload: bytes, reason: str):
        with self.assertRaisesRegex(NotAPicture, reason):
            prepare(upload, GREY)

    def test_what_is_no_picture_is_refused(self):
        for upload in (b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", bytes(100)):
            self.refused(upload, "The file is not a picture; upload one of AVIF, BMP, GIF, JPEG")

    def test_a_small_file_of_many_pixels_is_refused_before_it_is_decoded(self):
        self.refused(png_that_claims(5000, 5000), "has 5000 × 5000 pixels, and at most 16 million are allowed")
        self.refused(png_that_claims(60_000, 60_000), "far too many pixels, and at most 16 million are allowed")
        self.refused(file(Image.new("1", (4001, 4000))), "has 4001 × 4000 pixels")
        self.refused(file(Image.new("1", (20_001, 1))), "and 20,000 on a side; make it smaller")

    def test_the_most_pixels_are_read(self):
        self.assertEqual(prepare(file(Image.new("1", (4000, 4000), 1)), GREY).values.min(), 1)

    def test_broken_files_are_refused_with_a_reason(self):
        whole = {kind: file(halves(size=(200, 100)), kind) for kind in picture.FORMATS}
        for kind, content in whole.items():
            for end in (len(content) // 2, len(content) // 8, 12):
                with self.subTest(kind=kind, end=end), self.assertRaises(NotAPicture):
                    prepare(content[:end], GREY)
        self.refused(png_that_claims(100, 100), "The picture cannot be read: ")

    def test_damaged_files_never_end_otherwise(self):
        random = np.random.default_rng(7)
        for kind in picture.FORMATS:
            content = np.frombuffer(file(halves(size=(60, 30)), kind), np.uint8)
            for _ in range(40):
                damaged = content.copy()
                damaged[random.integers(0, damaged.size, 6)] = random.integers(0, 256, 6)
                try:
                    self.assertEqual(prepare(damaged.tobytes(), GREY).values.shape, (1, 1, 8, 8))
                except NotAPicture:
                    pass

    def test_one_picture_is_decoded_at_a_time(self):
        with picture.DECODING:
            thread = threading.Thread(target=prepare, args=(file(halves()), GREY), daemon=True)
            thread.start()
            thread.join(0.2)
            self.assertTrue(thread.is_alive())
        thread.join(20)
        self.assertFalse(thread.is_alive())


if __name__ == "__main__":
    unittest.main()
