"""Numbers in words, with the noun in the right form."""


def counted(n: int, noun: str) -> str:
    """ "1 panel", "2 panels"."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def in_words(seconds: float) -> str:
    """A duration, rounded by a fifth at most: `48 seconds`, `23 minutes`, `1.9 hours`."""
    if seconds < 119.5:
        return counted(max(1, round(seconds)), "second")
    if seconds < 99 * 60:
        return counted(round(seconds / 60), "minute")
    return f"{seconds / 3600:,.1f} hours"
