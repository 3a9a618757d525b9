"""A dataset's parts as HTML."""

import re
import unittest
from dataclasses import replace

import dataset_facts
import distribution
import evidence_tables
import prose
from accuracies import accuracies
from dataset_card import card
from evidence import ClassShare
from noun import ROWS
from stand_in_monitor import HOSTILE, SCRIPT
from test_watched import known
from watched import watched


class Facts(unittest.TestCase):
    def test_a_card_has_the_answers_and_where_they_lead(self):
        html = card(known("digits"))
        self.assertIn('data-dataset="digits" data-state="retrain"', html)
        for part in ("<b>350</b>", "sharpness above 0.117", "98.2 % → 69.0 %, measured", "retrain pull request", "Evidence 4.4 × 10¹²", "at most once in 5 years", "mnist version 3"):
            self.assertIn(part, html)
        self.assertIn('<a href="https://github.com/acme/digits/pull/7" target="_blank" rel="noopener noreferrer">Pull request #7</a>', html)
        self.assertIn('style="width: 100.0%"', html)

    def test_the_meter_is_logarithmic(self):
        one = known("fashion")
        for capital, width in ((0.0, 0), (1e-6, 0), (1e-3, 50), (0.999, 100), (1e300, 100), (-1.0, 0)):
            change = replace(one.evidence.change, capital=capital)
            html = card(replace(one, evidence=replace(one.evidence, change=change)))
            self.assertAlmostEqual(float(re.search(r"width: ([\d.]+)%", html)[1]), width, delta=0.05)

    def test_an_alarm_beyond_all_numbers_fills_the_meter(self):
        one = known("digits")
        change = replace(one.evidence.change, capital=None)
        html = card(replace(one, evidence=replace(one.evidence, change=change)))
        self.assertIn('style="width: 100.0%"', html)
        self.assertIn("Evidence beyond all numbers", html)
        html = card(replace(one, evidence=replace(one.evidence, change=replace(change, alarm=None))))
        self.assertNotIn('role="img"', html)

    def test_a_card_has_the_requests(self):
        self.assertNotIn("The requests", card(known("digits")))
        html = card(known("mail"))
        self.assertIn('data-dataset="mail" data-state="issue"', html)
        data, requests = html.split('data-testid="requests"')
        self.assertIn('data-testid="data" data-state="nothing to do"', data)
        self.assertTrue(requests.startswith(' data-state="issue"'))
        for part in ("Have they changed?", "after 300 sampled rows · mean above 0.264", "by an estimate: accuracy 91.1 % → 78.2 %", "an issue", "Evidence 61", "700 rows in 4 hours", "requests to mnist version 3"):
            self.assertIn(part, requests)
        self.assertIn('<a href="https://github.com/acme/digits/issues/31" target="_blank" rel="noopener noreferrer">Issue #31</a>', requests)
        self.assertNotIn("new item", requests)
        self.assertNotIn("issues/31", data)

    def test_one_that_is_known_by_its_requests_alone(self):
        html = card(known("asked"))
        self.assertIn('data-dataset="asked" data-state="nothing to do"', html)
        self.assertIn("The monitor has not looked at the data yet", html)
        self.assertIn("96 rows in 1 hour", html)
        self.assertIn("The monitor has not looked at them yet.", card(watched("a", {"enabled": True, "requests": {}})))

    def test_requests_that_fail_say_so_themselves(self):
        data, requests = card(known("notes")).split('data-testid="requests"')
        self.assertNotIn("access denied", data)
        self.assertIn("<b>They could not be looked at.</b> Listing s3://requests/mnist/3/: access denied", requests)
        self.assertIn("What is shown is of the last look.", requests)
        off = card(watched("a", {"enabled": False, "requests": {"failure": "access denied"}}))
        self.assertNotIn("access denied", off)

    def test_facts_about_requests(self):
        html = dataset_facts.requests_facts(known("mail").requests)
        for name, value in (("Sampled", "700 rows in 4 hours"), ("Left out", "12"), ("Next hour judged", "in a few seconds|in about .*?")):
            self.assertRegex(html, f"<dt>{name}</dt><dd>({value})</dd>")
        self.assertIn("none is published", dataset_facts.requests_facts(known("asked").requests))
        self.assertEqual(dataset_facts.requests_facts(watched("a", {"requests": {}}).requests), "")
        self.assertIn("The alarm came after 300 sampled rows", evidence_tables.hours(known("mail").requests.evidence))
        self.assertIn(">96 rows in 1 hour were looked at.<", evidence_tables.hours(known("asked").requests.evidence))

    def test_accuracies_on_requests_are_estimates(self):
        loss = known("mail").requests.evidence.loss
        html = accuracies(loss, alarm=True, noun=ROWS)
        self.assertIn("On the requests, estimated without labels", html)
        self.assertIn("On the 600 sampled rows from the hour of the alarm on, 12.9 points are lost", html)
        self.assertIn("On the 600 newest sampled rows", accuracies(loss, alarm=False, noun=ROWS))
        self.assertNotIn("new item", html)

    def test_sentences_end_once(self):
        for text, expected in (("a", "A."), ("a.", "A."), ("a?", "A?"), ("a!", "A!"), ("a…", "A…"), ("", ".")):
            self.assertEqual(prose.sentence(text), expected)

    def test_a_pull_request_of_a_bare_repository_has_no_page(self):
        one = replace(known("digits"), opened="/srv/forge.git (refs/pull/12/head)")
        self.assertIn("Pull request #12 · <code>slipway report 12</code> shows it", card(one, forge=True))
        self.assertNotIn("<a ", card(one, forge=True))
        self.assertNotIn("slipway report", card(one))

    def test_what_is_off_or_fails_or_was_not_looked_at_says_so(self):
        off = card(known("signs"))
        self.assertIn("switched off (<code>enabled: false</code>)", off)
        self.assertIn("<code>slipway drift signs</code>", off)
        self.assertIn('data-testid="data" data-state="switched off"', off)
        self.assertIn("it would have opened an issue", off)
        failing = card(known("plates"))
        self.assertIn("access denied; let the monitor&#x27;s user read it. The monitor tries again by itself.", failing)
        self.assertNotIn("of the last look", failing)
        self.assertNotIn("Has it changed?", failing)
        self.assertIn("has not looked at it yet", card(watched("a", {"enabled": True})))
        self.assertNotIn("has not looked at it yet", card(watched("a", {"enabled": False})))

    def test_code_in_sentences_is_marked(self):
        def why(text: str) -> str:
            html = card(watched("a", {"enabled": True, "decision": {"action": "nothing", "why": text}}))
            return re.search(r'<p class="why">(.*?)</p>', html)[1]

        self.assertEqual(why("see `a<b` and `c`"), "See <code>a&lt;b</code> and <code>c</code>.")
        self.assertEqual(why("see `a` and `c"), "See <code>a</code> and `c.")
        self.assertEqual(why("`"), "`.")

    def test_windows_are_counted_in_sentences(self):
        self.assertIn("100 of 120 new items are in 2 windows. 20 wait for their window, which closes", evidence_tables.windows(known("fashion").evidence))
        self.assertIn("The alarm came after 50 new items", evidence_tables.windows(known("numbers").evidence))
        self.assertIn("Of 30 nobody knows when they arrived", evidence_tables.windows(known("numbers").evidence))

    def test_tables_have_what_is_known(self):
        evidence = known("digits").evidence
        streams = evidence_tables.streams(evidence.change.streams)
        self.assertIn("width: 86%", streams)
        self.assertEqual(streams.count("<tr>"), 20)
        self.assertIn("0.0724 (3.1 × 10⁻¹²)", evidence_tables.comparisons(evidence.change.comparisons))
        self.assertIn("<bdi title=\"s3://landing/digits/1/img_07919.png\">1/img_07919.png</bdi>", evidence_tables.loudest(evidence.loudest))
        self.assertEqual(evidence_tables.streams(()), "")

    def test_accuracies_have_their_intervals(self):
        html = accuracies(known("digits").evidence.loss, alarm=True)
        self.assertEqual(html.count('class="range"'), 3)
        self.assertIn("69.0 % (62.5 to 75.5), of 200", html)
        self.assertIn("<span>60 %</span><span>100 %</span>", html)
        self.assertIn("On the 200 new items from the window of the alarm on, 29.2 points are lost, of which 22.7 are certain. It matters from 2.0", html)
        gained = accuracies(replace(known("fashion").evidence.loss, loss=-0.01), alarm=False)
        self.assertIn("On the 120 newest items, nothing is lost.", gained)
        nothing = watched("a", {"evidence": {"loss": {}}}).evidence.loss
        self.assertNotIn("range", accuracies(nothing, alarm=False).partition("</style><div")[2])

    def test_hostile_texts_stay_texts(self):
        one = known("zz-hostile")
        evidence = one.evidence
        parts = [
            card(one, forge=True),
            dataset_facts.facts(one),
            evidence_tables.windows(evidence),
            evidence_tables.streams(evidence.change.streams),
            evidence_tables.comparisons(evidence.change.comparisons),
            evidence_tables.loudest(evidence.loudest),
            dataset_facts.unknown(evidence.unknown),
            dataset_facts.aside(evidence.quality.first),
            dataset_facts.requests_facts(one.requests),
            evidence_tables.hours(one.requests.evidence),
            evidence_tables.streams(one.requests.evidence.change.streams),
        ]
        for part in parts:
            self.assertNotIn("<img", part)
            self.assertNotIn("<script", part)
            self.assertNotIn(f'href="{SCRIPT}', part)
            self.assertLess(len(part), 60_000)
        self.assertIn("&lt;img src=x", parts[0])
        self.assertIn(HOSTILE[:4].replace("<", "&lt;"), parts[5])


class Distribution(unittest.TestCase):
    def test_a_bar_and_a_mark_for_each_class(self):
        data, spec = distribution.chart(known("digits").evidence.classes)
        self.assertEqual((data["class"], data["new"][7]), (list("0123456789"), 0.28))
        self.assertEqual([layer["mark"]["type"] for layer in spec["layer"]], ["bar", "tick"])

    def test_of_many_classes_those_that_differ_most(self):
        classes = tuple(ClassShare(f"class {at}", 0.01, 0.01 + (0.02 if at in (3, 77) else 0)) for at in range(90))
        names = distribution.chart(classes)[0]["class"]
        self.assertEqual(len(names), distribution.MOST)
        self.assertTrue({"class 3", "class 77"} <= set(names))

    def test_classes_that_are_cut_alike_stay_apart(self):
        names = distribution.chart(tuple(ClassShare("x" * 100 + str(at), 0.5, 0.5) for at in range(2)))[0]["class"]
        self.assertEqual((len(set(names)), max(map(len, names)) <= distribution.LONGEST), (2, True))


if __name__ == "__main__":
    unittest.main()
