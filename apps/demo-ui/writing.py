"""What lets a person write: on one machine a token in a file; otherwise the person's own GitHub token, which only this browser's session keeps."""

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

FILE = "SLIPWAY_MANAGER_TOKEN_FILE"
KEY = "token"


class TokenError(Exception):
    """There is no token that can be sent. The message shows no part of one."""


def field(environment: Mapping[str, str]) -> None:
    """Asks for the token, and says what it is for, unless a file has one."""
    if environment.get(FILE):
        return
    st.text_input("Your GitHub token", type="password", key=KEY, autocomplete="new-password", persist_state="session")
    st.caption(
        "The pull request is opened in your name, and GitHub decides whether you may. A fine-grained token with **Contents** and "
        "**Pull requests** of this repository, each to read and write, is enough. This page keeps it until you close it or load it again, "
        "sends it to the training manager with this request, and stores it nowhere."
    )


def token(environment: Mapping[str, str]) -> str:
    """The token, read anew each time: a file may have another one by now."""
    if file := environment.get(FILE):
        try:
            found = Path(file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise TokenError(f"The token of {FILE} cannot be read ({type(error).__name__})") from None
        missing = f"The file of {FILE} is empty"
    else:
        found, missing = str(st.session_state.get(KEY) or "").strip(), "Give your GitHub token first"
    if not found:
        raise TokenError(missing)
    if not found.isascii() or not found.isprintable() or " " in found:
        raise TokenError("The token holds a character that cannot be sent, such as a line break")
    return found
