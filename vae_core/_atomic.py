"""Files and folders that are written whole or not at all.

Each is written under a temporary name, flushed, and then renamed.
"""

import errno
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_OF_THE_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR,
}  # fmt: skip


class StoreError(OSError):
    """A file could not be written: the disk is full, or writing is not permitted."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path; the file or folder written there then replaces ``path``.

    If the block raises, ``path`` stays as it was. What killed writers have left in the folder is
    removed. Files and folders get the modes 0644 and 0755.

    Raises:
        StoreError: no space, or no permission to write; one line that names ``path``.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_orphans(path.parent)
        temporary = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.tmp")
        try:
            yield temporary
            _publish(temporary, path)
        finally:
            _remove(temporary)
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        raise StoreError(f"{path} could not be written: {error}; what was there is kept") from error


@contextmanager
def locked(path: Path, remedy: str) -> Iterator[None]:
    """Holds the lock on what is being trained; says once if it has to wait for it.

    Raises:
        StoreError: the lock cannot be written; one line that names it, and the remedy.
    """
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process, which trains {path.stem}", file=sys.stderr)
        lock.acquire()
    except OSError as error:
        raise StoreError(f"{path} could not be written: {error}; {remedy}") from error
    try:
        yield
    finally:
        lock.release()


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all; raises StoreError."""
    with replacing(path) as temporary:
        temporary.write_text(text)


def remove_orphans(folder: Path) -> None:
    """Removes temporary files and folders of processes of this machine that have ended."""
    pattern = re.compile(rf"\..+\.{re.escape(platform.node())}\.(\d+)(\.0)?\.tmp")
    for path in folder.glob(".*.tmp"):
        match = pattern.fullmatch(path.name)
        if match and not _is_alive(int(match[1])):
            _remove(path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _publish(temporary: Path, path: Path) -> None:
    """Flushes ``temporary`` to the disk and renames it to ``path``, replacing what was there."""
    is_folder = temporary.is_dir()
    for member in [*temporary.rglob("*")] if is_folder else [temporary]:
        member.chmod(0o644)
        _flush(member)
    if is_folder:
        temporary.chmod(0o755)
        if path.exists():  # a folder cannot take the place of another in one step
            old = path.with_name(temporary.name.removesuffix("tmp") + "0.tmp")
            os.replace(path, old)
            os.replace(temporary, path)
            _remove(old)
            return
    os.replace(temporary, path)


def _flush(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
