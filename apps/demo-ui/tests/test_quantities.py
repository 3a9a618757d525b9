"""Numbers, durations and prices in words."""

import unittest
from datetime import UTC, datetime, timedelta, timezone

import quantities
from trial import Cost


class Quantities(unittest.TestCase):
    def says(self, function, *pairs):
        for given, expected in pairs:
            self.assertEqual(function(given), expected, given)

    def test_numbers(self):
        self.says(
            quantities.number,
            (0, "0"),
            (0.98123456, "0.9812"),
            (3054.4, "3054"),
            (123456.7, "123\u202f457"),
            (1e-7, "1e-07"),
            (42.0, "42"),
            (-1234567, "-1\u202f234\u202f567"),
            (1e300, "1.000e+300"),
        )

    def test_values_of_parameters(self):
        self.says(quantities.value, (True, "true"), (0.003, "0.003"), (3, "3"), ("adam", "adam"), (1e-5, "1e-05"), (2**70, str(2**70)))

    def test_durations(self):
        self.says(
            quantities.duration,
            (-1, "0.0 s"),
            (0.04, "0.0 s"),
            (9.96, "10.0 s"),
            (42, "42 s"),
            (59.7, "1 min 00 s"),
            (185, "3 min 05 s"),
            (3600 * 2 + 60 * 13, "2 h 13 min"),
            (86400 * 3 + 3600 * 4, "3 d 4 h"),
        )

    def test_remaining_times_are_about(self):
        self.says(
            quantities.remaining,
            (0, "a few seconds left"),
            (7, "about 5 s left"),
            (23, "about 25 s left"),
            (44, "about 40 s left"),
            (100, "about 2 min left"),
            (3600, "about 60 min left"),
            (6000, "about 2 h left"),
            (86400 * 4, "about 4 days left"),
        )

    def test_how_long_ago(self):
        now = datetime(2026, 1, 10, tzinfo=UTC)
        for seconds, expected in ((-90, "just now"), (2, "just now"), (30, "30 s ago"), (61, "1 min ago"), (7300, "2 h ago"), (90000, "1 day ago"), (180000, "2 days ago")):
            self.assertEqual(quantities.ago(now - timedelta(seconds=seconds), now), expected)

    def test_what_is_not_nothing_is_never_nothing(self):
        self.says(quantities.price, (Cost(0, "USD"), "0.00 USD"), (Cost(0.001, "EUR"), "< 0.01 EUR"), (Cost(1234.5, ""), "1\u202f234.50"))
        self.says(quantities.hours, (0, "0.00"), (0.004, "< 0.01"), (0.07, "0.07"), (12.345, "12.35"), (12345.6, "12\u202f346"))

    def test_small_and_large_numbers(self):
        self.says(
            quantities.measured,
            (0, "0"),
            (0.0314159, "0.0314"),
            (1.31, "1.31"),
            (1234.5, "1230"),
            (4.3e-5, "4.3 × 10⁻⁵"),
            (-4.4e12, "-4.4 × 10¹²"),
            (1e308, "1.0 × 10³⁰⁸"),
        )

    def test_shares(self):
        self.assertEqual((quantities.percent(0.9825), quantities.points(-0.0433), quantities.points(0.2925)), ("98.2 %", "−4.3", "29.2"))

    def test_what_will_be(self):
        now = datetime(2026, 1, 10, 9, 5, tzinfo=UTC)
        for seconds, expected in ((-90, "in a few seconds"), (44, "in about 40 s"), (5 * 3600, "in about 5 h")):
            self.assertEqual(quantities.ahead(now + timedelta(seconds=seconds), now), expected)
        self.assertEqual(quantities.clock(now), "10 Jan, 09:05 UTC")
        self.assertEqual(quantities.clock(now, timezone(timedelta(hours=-10))), "9 Jan, 23:05")

    def test_nouns(self):
        self.assertEqual([quantities.plural(count, "worker") for count in (0, 1, 2)], ["0 workers", "1 worker", "2 workers"])


if __name__ == "__main__":
    unittest.main()
