"""From canvas to 28x28."""

import base64
import io
import unittest

import numpy as np
from PIL import Image, ImageDraw

import digit


def drawn(*strokes: list[tuple[int, int]], width: int = 42, paper=(0, 0, 0, 0)) -> Image.Image:
    """A canvas as the page has it: 560x560, dark round strokes on transparent paper."""
    picture = Image.new("RGBA", (560, 560), paper)
    pen = ImageDraw.Draw(picture)
    for stroke in strokes:
        pen.line(stroke, fill=(20, 24, 29, 255), width=width, joint="curve")
    return picture


def url(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return digit.PNG_URL + base64.b64encode(buffer.getvalue()).decode()


def centre_of_mass(image: np.ndarray) -> tuple[float, float]:
    rows, columns = np.indices(image.shape) + 0.5
    return float((rows * image).sum() / image.sum()), float((columns * image).sum() / image.sum())


class CanvasToDigit(unittest.TestCase):
    def test_a_stroke_in_a_corner_becomes_centred_and_scaled(self):
        for corner in ((40, 40), (430, 40), (40, 430), (430, 430)):
            x, y = corner
            image = digit.from_picture(drawn([(x, y), (x + 60, y), (x + 20, y + 80)], width=12))
            self.assertEqual((image.shape, image.dtype), ((28, 28), np.float32))
            row, column = centre_of_mass(image)
            self.assertAlmostEqual(row, 14, delta=0.51)
            self.assertAlmostEqual(column, 14, delta=0.51)
            rows, columns = np.nonzero(image)
            self.assertEqual(max(np.ptp(rows), np.ptp(columns)) + 1, 20)

    def test_where_it_is_drawn_does_not_matter(self):
        shape = [(0, 0), (120, 0), (60, 200)]
        first, second = (digit.from_picture(drawn([(x + dx, y + dy) for x, y in shape])) for dx, dy in ((60, 60), (300, 250)))
        np.testing.assert_array_equal(first, second)

    def test_how_large_it_is_drawn_hardly_matters(self):
        small = digit.from_picture(drawn([(50, 50), (110, 50), (80, 150)], width=16))
        large = digit.from_picture(drawn([(50, 50), (230, 50), (140, 350)], width=48))
        self.assertLess(np.abs(small - large).mean(), 0.02)

    def test_the_aspect_ratio_is_kept(self):
        image = digit.from_picture(drawn([(280, 80), (280, 480)]))
        rows, columns = np.nonzero(image)
        self.assertEqual(np.ptp(rows) + 1, 20)
        self.assertLessEqual(np.ptp(columns) + 1, 4)

    def test_heavy_ink_at_one_end_stays_inside(self):
        picture = drawn([(20, 540), (540, 540)], width=4)
        ImageDraw.Draw(picture).ellipse((440, 440, 540, 540), fill=(0, 0, 0, 255))
        image = digit.from_picture(picture)
        rows, columns = np.nonzero(image > digit.FAINT)
        self.assertEqual(np.ptp(columns) + 1, 20)

    def test_a_dot_is_a_picture_too(self):
        image = digit.from_picture(drawn([(279, 279), (281, 281)]))
        self.assertTrue(np.isfinite(image).all())
        self.assertGreater(image.max(), 0.5)

    def test_ink_is_one_and_paper_is_nought(self):
        image = digit.from_picture(drawn([(100, 100), (400, 100), (250, 500)]))
        self.assertGreaterEqual(image.min(), 0)
        self.assertLessEqual(image.max(), 1)
        self.assertGreater(image.max(), 0.85)
        self.assertTrue((image[:2] == 0).all() and (image[:, :2] == 0).all())

    def test_white_paper_is_as_good_as_transparent(self):
        stroke = [(100, 100), (300, 400)]
        np.testing.assert_allclose(
            digit.from_picture(drawn(stroke)), digit.from_picture(drawn(stroke, paper=(255, 255, 255, 255))), atol=0.01
        )

    def test_nothing_drawn_is_nothing(self):
        self.assertIsNone(digit.from_data_url(None))
        self.assertIsNone(digit.from_data_url(""))
        self.assertIsNone(digit.from_data_url(url(drawn())))

    def test_a_data_url_is_read(self):
        picture = drawn([(100, 100), (300, 400)])
        np.testing.assert_array_equal(digit.from_data_url(url(picture)), digit.from_picture(picture))

    def test_what_is_no_png_is_refused_with_the_reason(self):
        for broken in ("data:text/html,hello", digit.PNG_URL + "%%%", digit.PNG_URL + base64.b64encode(b"not a png").decode()):
            with self.assertRaisesRegex(digit.NotAPicture, "the canvas sent"):
                digit.from_data_url(broken)

    def test_a_cut_off_png_is_refused(self):
        whole = base64.b64decode(url(drawn([(100, 100), (300, 400)])).removeprefix(digit.PNG_URL))
        with self.assertRaises(digit.NotAPicture):
            digit.from_data_url(digit.PNG_URL + base64.b64encode(whole[: len(whole) // 2]).decode())

    def test_what_the_model_sees_can_be_shown(self):
        image = digit.from_picture(drawn([(100, 100), (300, 400)]))
        shown = Image.open(io.BytesIO(base64.b64decode(digit.to_data_url(image).removeprefix(digit.PNG_URL))))
        self.assertEqual(shown.size, (28, 28))
        np.testing.assert_allclose(1 - np.asarray(shown) / 255, image, atol=0.003)


if __name__ == "__main__":
    unittest.main()
