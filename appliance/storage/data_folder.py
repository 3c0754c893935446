"""The data folder belongs to one process at a time."""

import fcntl
import os
from pathlib import Path
from typing import IO

from appliance.errors import ConfigurationError, DataFolderLocked


def make_data_folder(folder: Path) -> None:
    """Make it where it is missing. Raises ConfigurationError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error


def lock_data_folder(folder: Path) -> IO[str]:
    """Hold the folder until the returned file is closed. Raises DataFolderLocked when another process has it,
    ConfigurationError when it is not there or cannot be used.

    A lock of the operating system goes with its process, however that ends; a file with a process id would not.
    """
    try:
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise DataFolderLocked(
            f"{folder.resolve()} is served by another process; stop it, or choose another APPLIANCE_DATA_DIR"
        ) from None
    return file


def _unusable(folder: Path, error: OSError) -> ConfigurationError:
    message = f"the data folder {folder.absolute()} cannot be used: {error.strerror}"
    if isinstance(error, PermissionError):
        message += f"; it has to belong to user {os.geteuid()}, whom this process runs as"
    return ConfigurationError(message)
