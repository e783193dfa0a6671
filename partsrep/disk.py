"""Files that are there, and files that appear whole or not at all."""

import os
from pathlib import Path


def existing(path: str | os.PathLike) -> Path:
    """The path of a file, or the error that says what is there instead."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file.")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    return path


def write_whole(path: str | os.PathLike, content: bytes, what: str = "file") -> None:
    """Write a file that replaces an older one at once; stopped half-way, it leaves the older one.

    Raises
    ------
    IsADirectoryError, FileNotFoundError
        If `path` is a folder, or its own folder is missing: `what` cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"The {what} cannot be written to {path}: that is a folder.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"The {what} cannot be written to {path}: there is no folder {path.parent}; make it."
        )
    # Beside the file, for only within one file system is a move all or nothing.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or a machine that fails now leaves an empty file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
