"""The data folder belongs to one process at a time."""

import fcntl
from pathlib import Path
from typing import IO

from appliance.errors import DataFolderLocked


def lock_data_folder(folder: Path) -> IO[str]:
    """Hold the folder until the returned file is closed. Raises DataFolderLocked when another process has it.

    A lock of the operating system goes with its process, however that ends; a file with a process id would not.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = (folder / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise DataFolderLocked(
            f"{folder.resolve()} is served by another process; stop it, or choose another APPLIANCE_DATA_DIR"
        ) from None
    return file
