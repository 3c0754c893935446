"""What a demonstration remembers in its data folder: its login, and how far each project's traffic was sent."""

import os
from pathlib import Path

import msgspec

FILE = "demo.json"


class Sent(msgspec.Struct):
    """Everything up to `until` (ms since 1970) was sent, drawn from that seed at that volume."""

    seed: int
    events_a_day: float
    until: int


class Ledger(msgspec.Struct):
    """`sent` is by the project's public id. The password opens generated data only."""

    email: str = ""
    password: str = ""
    sent: dict[str, Sent] = {}


def read(folder: Path) -> Ledger:
    """The ledger of a data folder, an empty one where there is none or it cannot be understood."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Ledger)
    except (OSError, msgspec.DecodeError):
        return Ledger()


def write(folder: Path, ledger: Ledger) -> None:
    """Replace the ledger, readable by its owner alone."""
    draft = folder / f"{FILE}.new"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(ledger))
    draft.replace(folder / FILE)
