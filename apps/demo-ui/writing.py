"""Opening a pull request for a person: the token, and what came of it.

On one machine the token is in a file; otherwise it is the person's own GitHub token, which only this browser's session keeps.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st

from manager import ManagerError, Proposal
from trial_facts import is_web
from verbatim import verbatim

FILE = "SLIPWAY_MANAGER_TOKEN_FILE"
# The repository of the loop on one machine, whose pull requests have no page.
FORGE = "SLIPWAY_FORGE"
KEY = "token"
LONGEST = 600


class TokenError(Exception):
    """There is no token that can be sent. The message shows no part of one."""


def field(environment: Mapping[str, str], place: str) -> None:
    """Asks for the token, and says what it is for, unless a file has one. It is the same token in each place that asks."""
    if environment.get(FILE):
        return
    key = f"{KEY} of {place}"
    if st.session_state.get(key) != (known := st.session_state.get(KEY, "")):
        # only then: it would replace what a person is writing
        st.session_state[key] = known
    st.text_input("Your GitHub token", type="password", key=key, autocomplete="new-password", on_change=_keep, args=(key,))
    st.caption(
        "The pull request is opened in your name, and GitHub decides whether you may. A fine-grained token with **Contents** and "
        "**Pull requests** of this repository, each to read and write, is enough. This page keeps it until you close it or load it again, "
        "sends it to the training manager with this request, and stores it nowhere."
    )


def _keep(key: str) -> None:
    st.session_state[KEY] = st.session_state[key]


def ask(environment: Mapping[str, str], open: Callable[[str], Proposal]) -> Proposal | Exception:
    """What `open` gives with the person's token, or why there is no pull request."""
    try:
        found = token(environment)
        with st.spinner("Opening the pull request …"):
            return open(found)
    except (TokenError, ManagerError) as error:
        return error


def opened(proposal: Proposal, then: str, environment: Mapping[str, str]) -> None:
    """Shows a pull request, and `then`, what its merge does."""
    was = "is open already" if proposal.existed else "is open"
    st.success(f"Pull request #{proposal.number} {was}: {verbatim(proposal.title, LONGEST)}. {then}")
    if is_web(proposal.url):
        st.link_button(f"Pull request #{proposal.number}", proposal.url)
    elif environment.get(FORGE):
        st.caption(f"`slipway merge {proposal.number}` merges it.")


def why_not(error: Exception) -> str:
    """Why there is no pull request, in words for whoever asked for it."""
    if not isinstance(error, ManagerError):
        return str(error)
    own = error.detail or error.title
    match error.status:
        case 0:
            return f"{error}. If it was only late, the pull request may be there: ask again later, and you get that one instead of a second one"
        case 401:
            return f"The training manager does not accept this token: {own}" if own else "The training manager does not accept this token"
        case 403 if own:
            return f"That is not allowed: {own}"
        case 404 | 409 if own:
            return f"{error.title}: {own}" if error.title and error.title != own else own
        case _ if error.passing and own:
            return f"The training manager cannot do that now: {own}. Try again in a moment"
    return str(error)


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
