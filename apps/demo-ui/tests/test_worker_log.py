"""Logs of workers, made fit to be read."""

import unittest

import worker_log
from worker_log import lines


class Lines(unittest.TestCase):
    def said(self, text: str) -> list[str]:
        return [line for _, line in lines(text)]

    def test_each_line_is_one(self):
        self.assertEqual(self.said("a\n\n  b\tc\nd"), ["a", "", "  b\tc", "d"])
        self.assertEqual(self.said("a\r\nb\r\n"), ["a", "b"])
        self.assertEqual(lines(""), [])

    def test_control_characters_are_gone(self):
        for text, expected in [
            ("\x1b[1;31mred\x1b[0m", "red"),
            ("\x1b]0;a title\x07b\x1b]8;;http://a\x1b\\link", "blink"),
            ("\x1b(Ba\x1b=b\x1b", "ab"),
            ("a\x00\x07\x08b\x7f\x9bc", "abc"),
            ("a\u202eb\u2066c\u200bd\ufeff", "abcd"),
            ("half \ud800 of one", "half ? of one"),
            ("\u2028a", "a"),
        ]:
            self.assertEqual(self.said(text), [expected])

    def test_of_what_was_written_over_the_last_stays(self):
        self.assertEqual(self.said("10 %\r50 %\r100 %\nnext"), ["100 %", "next"])

    def test_lines_of_json_become_sentences(self):
        line = '{"timestamp":"2026-01-02T03:04:05.678Z","level":"INFO","message":"step","step":10,"loss":0.5,"of":"a b","target":"slipway_trainer"}'
        self.assertEqual(lines(line), [("", "03:04:05  step  step=10  loss=0.5  of=a b")])
        self.assertEqual(lines('{"level":"ERROR","message":"a\\nb \\u001b[31mc"}'), [("error", "ERROR  a b c")])
        self.assertEqual(lines('{"level":"WARN","message":"a"}'), [("warning", "WARN  a")])

    def test_an_event_without_a_message_becomes_one_too(self):
        line = '{"timestamp":"2026-01-02T03:04:05.678Z","level":"INFO","event":"epoch","epoch":1,"validation_accuracy":0.9,"target":"slipway_trainer::run"}'
        self.assertEqual(lines(line), [("", "03:04:05  epoch  epoch=1  validation_accuracy=0.9")])
        self.assertEqual(lines('{"level":"WARN","event":"retry","message":"a"}'), [("warning", "WARN  a  event=retry")])
        nested = '{"timestamp":"2026-01-02T03:04:05Z","level":"ERROR","fields":{"message":"it ended","code":3},"target":"a"}'
        self.assertEqual(lines(nested), [("error", "03:04:05  ERROR  it ended  code=3")])

    def test_other_json_stays_as_it_is(self):
        for line in ("{", "{}", '{"message": 7}', '["message"]', '{"a": ' * 10_000):
            self.assertEqual(self.said(line), [line if len(line) <= worker_log.LONGEST else line[: worker_log.LONGEST - 1] + "…"])

    def test_markup_stays_text(self):
        self.assertEqual(self.said("</pre><script>a</script>"), ["</pre><script>a</script>"])


if __name__ == "__main__":
    unittest.main()
