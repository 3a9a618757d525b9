"""The addresses and logins of the services. crates/mlflow has the same cases."""

import base64
import tempfile
import unittest
from pathlib import Path
from unittest.mock import patch

import requests

from access import Access, SettingsError, mlflow, service
from stand_in import StandIn

H = {"MLFLOW_TRACKING_URI": "http://h"}
FILE = "[mlflow]\nmlflow_tracking_username = bob\nmlflow_tracking_password = 5%%\n"


def sent(access: Access) -> str | None:
    """The login as text."""
    if access.authorization and access.authorization.startswith("Basic "):
        return base64.b64decode(access.authorization.removeprefix("Basic ")).decode()
    return access.authorization


class ReadsTheEnvironment(unittest.TestCase):
    def home(self, text: str) -> dict:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / ".mlflow").mkdir()
        (folder / ".mlflow/credentials").write_text(text)
        return {"HOME": str(folder)}

    def test_what_an_address_escapes_is_sent_unescaped(self):
        for address, login in [
            ("http://ann%40acme:p%40ss%2Fw@h:1/p", "ann@acme:p@ss/w"),
            ("http://ann:p@ss@h", "ann:p@ss"),
            ("http://ann:50%@h", "ann:50%"),
            ("http://j%C3%B6rg:gr%C3%BCn@h", "jörg:grün"),
            ("http://ann@h", "ann:"),
            ("http://h:5000", None),
        ]:
            found = service("X", address)
            self.assertEqual(sent(found), login)
            self.assertNotIn("@", found.address)
        self.assertEqual(service("X", " http://ann:x@H:5/p/?q#f\n").address, "http://H:5/p")

    def test_the_order_is_that_of_mlflows_client(self):
        ann = {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "p"}
        token = {"MLFLOW_TRACKING_TOKEN": "t"}
        user = {"MLFLOW_TRACKING_USERNAME": "ann"}
        file = self.home(FILE)
        for environment, login in [
            ({"MLFLOW_TRACKING_URI": "http://eve:x@h", **ann, **token}, "eve:x"),
            ({**H, **ann, **token, **file}, "ann:p"),
            ({**H, **user, **file}, "ann:5%"),
            ({**H, **token, **file}, "bob:5%"),
            ({**H, **user, **token}, "Bearer t"),
            ({**H, **self.home("[other]\n")}, None),
        ]:
            self.assertEqual(sent(mlflow(environment)), login)
        for environment, source in [(user, "~/.mlflow/credentials"), ({"MLFLOW_TRACKING_PASSWORD": "p"}, "MLFLOW_TRACKING_USERNAME and")]:
            self.assertTrue(mlflow({**H, **environment, **file}).source.startswith(source))

    def test_what_cannot_be_used_is_named_and_not_shown(self):
        for environment, part in [
            ({"MLFLOW_TRACKING_USERNAME": "marked"}, "MLFLOW_TRACKING_PASSWORD is not set"),
            ({"MLFLOW_TRACKING_PASSWORD": "marked"}, "MLFLOW_TRACKING_USERNAME is not set"),
            ({"MLFLOW_TRACKING_TOKEN": "marked\n"}, "MLFLOW_TRACKING_TOKEN holds"),
            ({"MLFLOW_TRACKING_AUTH": "kubernetes"}, "MLFLOW_TRACKING_AUTH is set"),
            ({"MLFLOW_TRACKING_INSECURE_TLS": "yes"}, "neither true nor false"),
            ({"MLFLOW_TRACKING_INSECURE_TLS": "1", "MLFLOW_TRACKING_SERVER_CERT_PATH": "/ca"}, "are both set"),
            ({"MLFLOW_TRACKING_URI": "http://ann:mar/ked@h"}, "`http://…@h`; give"),
            ({"MLFLOW_TRACKING_URI": "http://ann:5/marked@h"}, "must be percent-encoded"),
            ({"MLFLOW_TRACKING_URI": "http://ann:5?marked@h"}, "must be percent-encoded"),
            ({"MLFLOW_TRACKING_URI": "http://ann:5#marked@h"}, "must be percent-encoded"),
            ({"MLFLOW_TRACKING_URI": "ann:marked@h:5000"}, "`…@h:5000`"),
            ({"MLFLOW_TRACKING_URI": "sqlite:///x.db"}, "`sqlite:///x.db`"),
            (self.home("[mlflow]\nmarked\n"), "~/.mlflow/credentials cannot be read"),
        ]:
            with self.subTest(part), self.assertRaisesRegex(SettingsError, part) as raised:
                mlflow({**H, **environment})
            self.assertNotIn("marked", str(raised.exception))

    def test_certificates(self):
        self.assertIs(mlflow(H).verify, True)
        self.assertIs(mlflow({**H, "MLFLOW_TRACKING_INSECURE_TLS": "TRUE"}).verify, False)
        own = mlflow({**H, "MLFLOW_TRACKING_SERVER_CERT_PATH": "/ca", "MLFLOW_TRACKING_CLIENT_CERT_PATH": "/me"})
        self.assertEqual((own.verify, own.cert), ("/ca", "/me"))

    def test_a_login_is_not_shown(self):
        access = mlflow({"MLFLOW_TRACKING_URI": "http://ann:marked@h"})
        self.assertNotIn(access.authorization, repr(access))
        self.assertNotIn("marked", repr(access))


class Asks(unittest.TestCase):
    def test_no_login_comes_from_elsewhere(self):
        netrc = Path(self.enterContext(tempfile.TemporaryDirectory()), "netrc")
        netrc.write_text("machine 127.0.0.1 login ann password p\n")
        with StandIn({}) as stand_in, patch.dict("os.environ", {"NETRC": str(netrc)}):
            self.assertEqual(requests.get(stand_in.address, timeout=5).status_code, 404)
            Access(stand_in.address).request("GET", "/", timeout=5)
            self.assertEqual([each is None for each in stand_in.authorizations], [False, True])


if __name__ == "__main__":
    unittest.main()
