"""The lowest versions that ``pyproject.toml`` allows, as constraints for pip: `make lowest`."""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def lowest(text: str) -> list[str]:
    """name==version for each requirement name>=version of the package itself."""
    requirements = tomllib.loads(text)["project"]["dependencies"]
    found = [re.fullmatch(r"([\w-]+)[>=]=([\d.]+)", requirement) for requirement in requirements]
    unbounded = [r for r, match in zip(requirements, found, strict=True) if match is None]
    if unbounded:
        raise ValueError(f"no lowest version: {', '.join(unbounded)}")
    return [f"{match[1]}=={match[2]}" for match in found if match]


if __name__ == "__main__":
    print("\n".join(lowest(PROJECT.read_text())))
