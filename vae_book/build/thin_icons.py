"""The theme brings Font Awesome's script with two thousand icons, 1.5 MB on every page of the built
book. This leaves in it those that the site shows."""

import re

SCRIPT = "_static/scripts/fontawesome.js"
# name:[width,height,[other names],"unicode",path or paths]
ICON = re.compile(
    r'("[\w-]+"|[\w$]+):\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\],?'
)


def thin(site):
    """Takes what no page and no script of the site names out of the icons' script."""
    script = site / SCRIPT
    if not script.is_file():  # another theme
        return
    shown = names(site, script)

    def kept(icon):
        called = {icon[1].strip('"'), *re.findall(r'"([^"]+)"', icon[2])}
        return icon[0] if called & shown else ""

    script.write_text(ICON.sub(kept, script.read_text(encoding="utf-8")), encoding="utf-8")


def names(site, script):
    """`bars` for each `fa-bars` in the site."""
    files = [*site.rglob("*.html"), *site.glob("_static/**/*.js")]
    texts = (file.read_text(encoding="utf-8") for file in files if file != script)
    return {name for text in texts for name in re.findall(r"\bfa-([a-z0-9-]+)", text)}
