"""Runs before MLflow starts, once its tables are migrated: writes the file that MLflow's login reads, and gives each account the
password that its Secret holds. So a new password takes effect with a restart, and no account needs a person to make it."""

import configparser
import os
from pathlib import Path

from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

# Who may do what. Everybody with an account may read. What else an account may write: the manager keeps with a run the logs
# of its job and which pull request was to put its version into service. Runs belong to an experiment; it registers nothing.
ADMINISTRATOR, TRAINER, MANAGER, READER = "admin", "trainer", "manager", "reader"
WRITTEN = {TRAINER: ["experiment", "registered_model"], MANAGER: ["experiment"]}


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
    for name in [ADMINISTRATOR, TRAINER, MANAGER, READER]:
        password = Path(os.environ["ACCOUNTS"], name).read_text()
        if not store.has_user(name):
            store.create_user(name, password, is_admin=name == ADMINISTRATOR)
        elif not store.authenticate_user(name, password):
            store.update_user(name, password=password)
    for name, kinds in WRITTEN.items():
        user = store.get_user(name)
        # a role is called as the account that it is for
        if all(role.name != name for role in store.list_user_roles(user.id)):
            role = store.create_role(name, DEFAULT_WORKSPACE_NAME, f"may write: {', '.join(kinds)}")
            for kind in kinds:
                store.add_role_permission(role.id, kind, "*", "EDIT")
            store.assign_role_to_user(user.id, role.id)


main()
