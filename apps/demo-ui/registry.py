"""What the page reads from MLflow: models, versions, and the runs that made them.

Plain REST, because importing MLflow's own client takes longer than everything else on this page.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import requests

from access import Access

API = "/api/2.0/mlflow"
# Seconds to connect and to answer.
TIMEOUT = (3, 10)
PAGE = 100
# A registry with more pages than this is cut off: nobody chooses from so long a list.
MOST_PAGES = 50


class RegistryError(Exception):
    """MLflow did not answer, or answered with an error."""


@dataclass(frozen=True)
class Version:
    """A registered version and its tags, which describe how it was made."""

    model: str
    number: str
    run_id: str
    tags: dict[str, str] = field(hash=False)

    def tag(self, name: str) -> str | None:
        """The tag `slipway.<name>`; None if it is absent."""
        return self.tags.get(f"slipway.{name}") or None

    def figure(self, name: str) -> float | None:
        """The tag `slipway.<name>` as a number; None if it is absent or not a number."""
        try:
            return float(self.tags.get(f"slipway.{name}", ""))
        except ValueError:
            return None


@dataclass(frozen=True)
class Run:
    """The run that a version came from."""

    run_id: str
    experiment_id: str
    parameters: dict[str, str] = field(hash=False)


class Registry:
    """MLflow, as the page reaches it."""

    def __init__(self, access: Access):
        self.access = access

    def models(self) -> list[str]:
        """The registered models' names."""
        return sorted(model["name"] for model in self._pages("registered-models/search", "registered_models", {}))

    def versions(self, model: str) -> list[Version]:
        """A model's versions, the newest first."""
        quoted = model.replace("'", "''")
        found = self._pages("model-versions/search", "model_versions", {"filter": f"name='{quoted}'"})
        versions = [
            Version(
                model=model,
                number=str(version["version"]),
                run_id=version.get("run_id") or "",
                tags={tag["key"]: tag["value"] for tag in version.get("tags", [])},
            )
            for version in found
            if version.get("status", "READY") == "READY"
        ]
        return sorted(versions, key=lambda version: int(version.number), reverse=True)

    def run(self, run_id: str) -> Run:
        """A run's parameters."""
        run = self._get("runs/get", {"run_id": run_id})["run"]
        parameters = {item["key"]: item["value"] for item in run["data"].get("params", [])}
        return Run(run_id=run_id, experiment_id=run["info"]["experiment_id"], parameters=parameters)

    def _pages(self, path: str, key: str, query: dict) -> Iterator[dict]:
        token = None
        for _ in range(MOST_PAGES):
            answer = self._get(path, {**query, "max_results": PAGE, **({"page_token": token} if token else {})})
            yield from answer.get(key, [])
            token = answer.get("next_page_token")
            if not token:
                return

    def _get(self, path: str, query: dict) -> dict:
        address = self.access.address
        try:
            answer = self.access.request("GET", f"{API}/{path}", params=query, timeout=TIMEOUT)
            if answer.ok:
                return answer.json()
        except requests.exceptions.SSLError as error:
            raise RegistryError(f"MLflow's certificate at {address} is not accepted; MLFLOW_TRACKING_SERVER_CERT_PATH names its authority") from error
        except requests.ConnectionError as error:
            raise RegistryError(f"MLflow does not answer at {address}") from error
        except (requests.RequestException, OSError) as error:
            # its text could repeat a variable that holds a login
            raise RegistryError(f"MLflow at {address} cannot be asked ({type(error).__name__})") from error
        if answer.status_code == 401:
            raise RegistryError(self._refusal())
        raise RegistryError(f"MLflow at {address} answered {answer.status_code} to {path}: {answer.text[:200]}")

    def _refusal(self) -> str:
        if self.access.source:
            return f"MLflow at {self.access.address} does not accept the login of {self.access.source}"
        return (
            f"MLflow at {self.access.address} requires a login; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
            "or MLFLOW_TRACKING_TOKEN"
        )


def run_page(address: str, run: Run) -> str:
    """The URL of a run's page, for a browser that reaches MLflow at `address`."""
    return f"{address.rstrip('/')}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
