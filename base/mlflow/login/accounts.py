"""Runs before MLflow starts, once its tables are migrated: writes the file that MLflow's login reads, and gives each account the
password that its Secret holds. So a new password takes effect with a restart, and no account needs a person to make it."""

import configparser
import os
from pathlib import Path

from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

# Who may do what. Everybody with an account may read; each of these types may also be written by the trainer.
ADMINISTRATOR, TRAINER, READER = "admin", "trainer", "reader"
WRITTEN = ["experiment", "registered_model"]
ROLE = "trainer"


def write_config(path: str, database: str) -> None:
    """The reader of this file takes `%` for the beginning of a reference."""
    config = configparser.ConfigParser(interpolation=None)
    config["mlflow"] = {
        "default_permission": "READ",
        "database_uri": database.replace("%", "%%"),
        "admin_username": ADMINISTRATOR,
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
    }
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        config.write(file)


def main() -> None:
    database = os.environ["MLFLOW_BACKEND_STORE_URI"]
    write_config(os.environ["MLFLOW_AUTH_CONFIG_PATH"], database)
    # reads that file when it is imported
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore()
    store.init_db(database)
    for name in [ADMINISTRATOR, TRAINER, READER]:
        password = Path(os.environ["ACCOUNTS"], name).read_text()
        if not store.has_user(name):
            store.create_user(name, password, is_admin=name == ADMINISTRATOR)
        elif not store.authenticate_user(name, password):
            store.update_user(name, password=password)
    trainer = store.get_user(TRAINER)
    if all(role.name != ROLE for role in store.list_user_roles(trainer.id)):
        role = store.create_role(ROLE, DEFAULT_WORKSPACE_NAME, "writes runs and models")
        for kind in WRITTEN:
            store.add_role_permission(role.id, kind, "*", "EDIT")
        store.assign_role_to_user(trainer.id, role.id)


main()
