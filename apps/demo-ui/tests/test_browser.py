"""The forms, the reports, the trainings and the datasets in a real browser, against stand-ins. Drawing is tested with the real services, in tests/loop."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from models import models
from stand_in import StandIn, registry
from stand_in_manager import TOKEN, Manager
from stand_in_monitor import Monitor
from test_pull_requests import Forge

PAGE = Path(__file__).parents[1]
SCRIPTS = PAGE.parents[1] / "tests/browser"
# Charts as `slipway report` makes them: a test of crates/report keeps them so.
CHARTS = (PAGE.parents[1] / "crates/report/tests/it/charts.md").read_text()
CELLS = " | ".join(f"`a_rather_long_name_{at}`" for at in range(9))
REPORT = f"""### Slipway: 1 trial finished

<details><summary><code>mnist</code> in <code>local</code></summary>

| {CELLS} | the cell at the end |
|{"---|" * 10}
| {CELLS} | <code>a&#124;b</code> |

{CHARTS}

<details><summary><code>&#43; TrainJob training/a</code></summary>

```diff
+added: line
```
</details>

</details>
"""
HOSTILE = """<script>document.title = "hostile"</script> <img src=x onerror="document.title = 'hostile'">

<details><summary>a hostile fold <svg onload="document.title = 'hostile'"></svg></summary>

<iframe srcdoc="<script>parent.document.title = 'hostile'</script>"></iframe> <form><input></form>
</details>
"""


class Browser(unittest.TestCase):
    def test_models_that_are_not_drawn(self):
        versions, answers = models()
        kept = [(429, {"error": "there is too much feedback at the moment"}), (201, {"stored": "s3://landing/x.png", "new": True})]
        feedback = {
            ("GET", "/v2"): {"extensions": ["feedback"]},
            ("POST", "/v2/models/fashion/versions/1/feedback"): lambda *_: kept.pop(0),
        }
        self.passes("forms.mjs", registry(*versions), answers | feedback)

    def test_reports_of_pull_requests(self):
        forge = Forge()
        self.addCleanup(forge.close)
        forge.opens(1, "merged", [REPORT])
        forge.opens(2, "open", [HOSTILE])
        self.passes("reports.mjs", registry(), {}, SLIPWAY_FORGE=forge.path)

    def test_trainings(self):
        # they do not begin again meanwhile
        manager = self.enterContext(Manager(seconds=600))
        self.passes("trainings.mjs", registry(), {}, TOKEN, SLIPWAY_MANAGER_URL=manager.address)

    def test_datasets(self):
        monitor = self.enterContext(Monitor())
        self.passes("datasets.mjs", registry(), {}, SLIPWAY_MONITOR_URL=monitor.address)

    def passes(self, script: str, versions: dict, answers: dict, *arguments: str, **variables: str) -> None:
        """Runs a script of tests/browser against the page before stand-ins."""
        mlflow, server = self.enterContext(StandIn(versions)), self.enterContext(StandIn(answers))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "PYTHONDONTWRITEBYTECODE": "1",
            "STREAMLIT_SERVER_PORT": str(port),
            "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
            "MLFLOW_TRACKING_URI": mlflow.address,
            "SLIPWAY_SERVER_URL": server.address,
            **variables,
        }
        log = self.enterContext(tempfile.TemporaryFile())
        page = subprocess.Popen([sys.executable, "-m", "streamlit", "run", "app.py"], cwd=PAGE, env=environment, stdout=log, stderr=log)
        self.addCleanup(page.wait)
        self.addCleanup(page.kill)
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while not healthy(url):
            self.assertIsNone(page.poll(), text(log))
            self.assertLess(time.monotonic(), deadline, text(log))
            time.sleep(0.05)
        done = subprocess.run(["node", SCRIPTS / script, url, *arguments], capture_output=True, text=True, timeout=240, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + text(log))
        self.assertNotIn("Traceback", text(log))


def healthy(url: str) -> bool:
    try:
        with build_opener(ProxyHandler({})).open(f"{url}/_stcore/health", timeout=5) as answer:
            return answer.read() == b"ok"
    except OSError:
        return False


def text(log) -> str:
    log.seek(0)
    return log.read().decode()


if __name__ == "__main__":
    unittest.main()
