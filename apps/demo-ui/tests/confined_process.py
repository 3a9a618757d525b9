"""The page as a cluster runs it: as the user nobody, configured by environment variables, on a read-only root file system.

It needs mount namespaces: `make test-confined` runs it.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from stand_in import StandIn, answers_with, registry, version

PAGE = Path(__file__).parents[1]
SERVER = answers_with(7, "2")
NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
NOBODY = ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups"] if os.geteuid() == 0 else []
# Python and the page are in folders that only their owner may enter, so they are mounted elsewhere.
SCRIPT = 'mount --bind "$1" "$3/python" && mount --bind "$2" "$3/page" && mount -o remount,bind,ro / && cd "$3/page" && shift 3 && exec "$@"'


class Process(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.folder.chmod(0o755)
        for name in ("python", "page"):
            (self.folder / name).mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        mlflow = self.enterContext(StandIn(registry(version(1), version(2, accuracy="0.981"))))
        server = self.enterContext(StandIn(SERVER))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "PYTHONDONTWRITEBYTECODE": "1",
            "STREAMLIT_SERVER_PORT": str(self.port),
            "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
            "MLFLOW_TRACKING_URI": mlflow.address,
            "SLIPWAY_SERVER_URL": server.address,
        }
        command = [str(self.folder / "python/bin/python"), "-m", "streamlit", "run", "app.py"]
        script = ["sh", "-c", SCRIPT, "sh", sys.prefix, str(PAGE), str(self.folder)]
        self.log = self.enterContext(tempfile.TemporaryFile())
        self.process = subprocess.Popen([*NAMESPACE, *script, *NOBODY, *command], env=environment, stdout=self.log, stderr=self.log)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        self.open = build_opener(ProxyHandler({})).open

    def log_text(self) -> str:
        self.log.seek(0)
        return self.log.read().decode()

    def until_healthy(self):
        deadline = time.monotonic() + 60
        while True:
            self.assertIsNone(self.process.poll(), self.log_text())
            try:
                with self.open(f"http://127.0.0.1:{self.port}/_stcore/health", timeout=5) as answer:
                    self.assertEqual(answer.read(), b"ok")
                    return
            except OSError:
                self.assertLess(time.monotonic(), deadline, self.log_text())
                time.sleep(0.05)

    def seen(self, file: str) -> list[list[str]]:
        """A file of the process in /proc, as lines of words."""
        return [line.split() for line in Path(f"/proc/{self.process.pid}/{file}").read_text().splitlines()]

    def test_it_is_nobody_and_cannot_write(self):
        self.until_healthy()
        root = [words for words in self.seen("mountinfo") if words[4] == "/"][-1]
        self.assertIn("ro", root[5].split(","))
        user = next(words[1] for words in self.seen("status") if words[0] == "Uid:")
        self.assertNotEqual(user, "0")

    def test_it_serves_a_session_and_ends_when_it_is_asked_to(self):
        self.until_healthy()
        with self.open(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
            self.assertIn(b"<html", answer.read())
        with connect(f"ws://127.0.0.1:{self.port}/_stcore/stream", subprotocols=["streamlit"], max_size=None, proxy=None) as session:
            ask = BackMsg()
            ask.rerun_script.query_string = ""
            session.send(ask.SerializeToString())
            texts = []
            while True:
                message = ForwardMsg.FromString(session.recv(timeout=30))
                texts.append(str(message))
                if message.WhichOneof("type") == "script_finished":
                    break
            page = "".join(texts)
            self.assertEqual(message.script_finished, ForwardMsg.FINISHED_SUCCESSFULLY, page)
            self.assertIn("Version 2", page)
            self.assertNotIn("Traceback", page)
            # with the session open, as a browser leaves it
            asked = time.monotonic()
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=20)
            self.assertLess(time.monotonic() - asked, 15)
        self.assertNotIn("Traceback", self.log_text())
        self.assertNotIn("Read-only file system", self.log_text())


if __name__ == "__main__":
    unittest.main()
