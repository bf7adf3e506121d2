"""To wait for another process, though not for ever."""

import time


def wait_until(condition, seconds=300):
    """Until ``condition()`` is true, whose value this returns; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return value
