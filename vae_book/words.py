"""Numbers in words, with the noun in the right form."""


def counted(n: int, noun: str) -> str:
    """ "1 panel", "2 panels"."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def in_words(seconds: float) -> str:
    """A duration to one figure or two: `40 seconds`, `1 minute`, `3 hours`, `2 days`."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if seconds >= size:
            return counted(round(seconds / size), unit)
    return "a second"
