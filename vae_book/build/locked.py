"""`python locked.py FILE COMMAND ...` becomes the command once no other process holds the file.

For `make`, which two terminals may start in one clone; the standard library alone, since nothing
is installed by then. The lock goes with the command's processes, however they end.
"""

import fcntl
import os
import sys


def main(file: str, *command: str) -> None:
    """Waits for the lock, with a word, then runs the command in place of this process."""
    lock = os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another installation in this clone is running; this one waits for it.", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    os.set_inheritable(lock, True)
    os.execvp(command[0], command)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
