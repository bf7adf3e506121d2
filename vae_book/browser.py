"""Finds Chromium, by whatever name it is installed: `python vae_book/browser.py` prints the path.

The standard library alone, since .ci/run asks before anything is installed.
"""

import os
import shutil
import sys
from pathlib import Path

# without the rest of the browser pages load in two thirds of the time
NAMES = """chromium-headless-shell chromium chromium-browser
google-chrome google-chrome-stable chrome""".split()
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
HOMES = (".cache/ms-playwright", "Library/Caches/ms-playwright", "AppData/Local/ms-playwright")
BUILDS = (  # of Playwright's own browser, below `chromium-REVISION`
    "chrome-linux*/chrome",
    "chrome-mac*/*.app/Contents/MacOS/*",
    "chrome-win*/chrome.exe",
)
ADVICE = "install it (Debian: apt-get install chromium; elsewhere: playwright install chromium)"


def find_chromium() -> str | None:
    """The path of Chromium or Chrome on the PATH, else of Playwright's own; None without one."""
    on_path = (shutil.which(name) for name in (*NAMES, MAC))
    return next((found for found in on_path if found), None) or _of_playwright()


def _of_playwright() -> str | None:
    """The newest browser that `playwright install chromium` has put into its folder."""
    named = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    folders = [Path(named)] if named else [Path.home() / home for home in HOMES]
    found = [
        path
        for folder in folders
        for build in BUILDS
        for path in folder.glob(f"chromium-*/{build}")
        if os.access(path, os.X_OK)
    ]
    return str(max(found, key=lambda path: path.stat().st_mtime)) if found else None


if __name__ == "__main__":
    path = find_chromium()
    print(path or f"There is no Chromium: {ADVICE}", file=sys.stdout if path else sys.stderr)
    sys.exit(path is None)
