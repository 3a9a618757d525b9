"""MLflow's own basic authentication, which also takes a token in place of a user and a password.

MLflow itself knows no tokens; a proxy or such a function checks them (https://mlflow.org/docs/latest/self-hosting/security/custom/).
"""

import os

from flask import request
from mlflow.server.auth import authenticate_request_basic_auth
from werkzeug.datastructures import Authorization


def authenticate():
    given = request.authorization
    if given is not None and given.type == "bearer" and given.token == os.environ["TOKEN"]:
        user, password = os.environ["MLFLOW_AUTH_ADMIN_USERNAME"], os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"]
        return Authorization("basic", {"username": user, "password": password})
    return authenticate_request_basic_auth()
