"""How the page reaches MLflow and the model server: addresses that can be shown, and logins that cannot.

MLflow's variables are those of MLflow's own client, in its order (mlflow/utils/credentials.py, rest_utils.py), as for all programs here:
user and password in the address; MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or what ~/.mlflow/credentials has in their place;
MLFLOW_TRACKING_TOKEN.
"""

import base64
import configparser
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import requests

# Ways to log in that need Python, or a signature over each request; the other programs have none of them.
UNSUPPORTED = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4")


class SettingsError(Exception):
    """A variable is missing or malformed. The message shows no part of a login."""


@dataclass(frozen=True)
class Access:
    """A service, and what lets the page in."""

    # Without a login and without a slash at the end.
    address: str
    # The header; None if no login is sent.
    authorization: str | None = field(default=None, repr=False)
    # Where the login comes from, for messages.
    source: str | None = None
    # As requests takes them: the server's authority, and the page's own certificate.
    verify: bool | str = True
    cert: str | None = None

    def request(self, method: str, path: str, **options) -> requests.Response:
        """Asks the service."""
        return requests.request(method, self.address + path, auth=self._sign, verify=self.verify, cert=self.cert, **options)

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # also without a login, because requests would then look for one in ~/.netrc
        if self.authorization:
            request.headers["Authorization"] = self.authorization
        return request


def service(variable: str, address: str) -> Access:
    """The service at an address, with the login that the address holds."""
    shown, login = _split(variable, address)
    return Access(shown, _basic(*login), variable) if login else Access(shown)


def mlflow(environment: Mapping[str, str]) -> Access:
    """MLflow, as its own variables say."""
    shown, login = _split("MLFLOW_TRACKING_URI", environment["MLFLOW_TRACKING_URI"])
    if login:
        authorization, source = _basic(*login), "MLFLOW_TRACKING_URI"
    else:
        authorization, source = _login(environment)
    return Access(shown, authorization, source, _verify(environment), environment.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None)


def _login(environment: Mapping[str, str]) -> tuple[str | None, str | None]:
    kept = _credentials_file(environment)
    user_variable, password_variable = environment.get("MLFLOW_TRACKING_USERNAME"), environment.get("MLFLOW_TRACKING_PASSWORD")
    user, password = user_variable or kept.get("mlflow_tracking_username"), password_variable or kept.get("mlflow_tracking_password")
    if user and password:
        # whoever has a refused login to mend looks where the password is
        return _basic(user, password), "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" if password_variable else "~/.mlflow/credentials"
    if token := environment.get("MLFLOW_TRACKING_TOKEN"):
        if not token.isprintable() or not token.isascii():
            raise SettingsError("MLFLOW_TRACKING_TOKEN holds a character that cannot be sent, such as a line break")
        return f"Bearer {token}", "MLFLOW_TRACKING_TOKEN"
    if user or password:
        missing, absent, given = ("PASSWORD", "password", "user") if user else ("USERNAME", "user", "password")
        raise SettingsError(
            f"MLFLOW_TRACKING_{missing} is not set, and ~/.mlflow/credentials has no {absent} either, but there is a {given}; "
            "give both, or neither"
        )
    return None, None


def _credentials_file(environment: Mapping[str, str]) -> Mapping[str, str]:
    if not environment.get("HOME"):
        return {}
    file = configparser.ConfigParser(interpolation=None)
    try:
        file.read(Path(environment["HOME"], ".mlflow", "credentials"))
    except (OSError, configparser.Error, UnicodeDecodeError) as error:
        # the parser's own message quotes the line
        raise SettingsError(f"~/.mlflow/credentials cannot be read ({type(error).__name__})") from None
    # `%` introduces a reference to another value, and stands for itself when doubled
    return {key: value.replace("%%", "%") for key, value in file["mlflow"].items()} if "mlflow" in file else {}


def _verify(environment: Mapping[str, str]) -> bool | str:
    for name in UNSUPPORTED:
        if environment.get(name, "").lower() not in ("", "false", "0"):
            raise SettingsError(
                f"{name} is set, and only MLflow's Python client supports it; unset it, and set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            )
    insecure = environment.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower()
    authority = environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH")
    if insecure not in ("", "true", "1", "false", "0"):
        raise SettingsError("MLFLOW_TRACKING_INSECURE_TLS is neither true nor false")
    if insecure in ("true", "1") and authority:
        raise SettingsError("MLFLOW_TRACKING_INSECURE_TLS and MLFLOW_TRACKING_SERVER_CERT_PATH are both set; unset one of them")
    return authority or insecure not in ("true", "1")


def _split(variable: str, address: str) -> tuple[str, tuple[str, str] | None]:
    """The address without its login, and the login."""
    address = address.strip()
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        # its message can hold a part of a password
        valid = False
    if not valid:
        raise SettingsError(f"{variable} is `{without_login(address)}`; give http:// or https://, and a host")
    # A password that is not escaped can end the host's name anywhere, so that its rest looks like a port, a path or a query.
    if "@" in parts.path + parts.query + parts.fragment:
        raise SettingsError(
            f"{variable} is `{without_login(address)}`; its password must be percent-encoded, `/` as %2F, `?` as %3F, `#` as %23 and `@` as %40"
        )
    shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")).rstrip("/")
    login = (unquote(parts.username or ""), unquote(parts.password or ""))
    return shown, login if any(login) else None


def without_login(address: str) -> str:
    """An address that need not be valid, for messages: what stands before its last `@`, and its query, become `…`."""
    scheme, separator, rest = address.partition("://")
    if not separator or not (scheme.isascii() and scheme.isalnum()):
        scheme, separator, rest = "", "", address
    before, at, host = rest.rpartition("@")
    rest = f"…@{host}" if at else rest
    cut = min((rest.index(sign) for sign in "?#" if sign in rest), default=None)
    return scheme + separator + (rest if cut is None else f"{rest[:cut]}?…")


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
