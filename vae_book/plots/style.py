"""The visual language of the book: colours, panels and how a figure is shown.

A figure is a legend and a grid of panels. Each panel is its own small SVG drawing (or a PNG for
pictures), so that five panels in a row on a desk become two in a row on a phone without shrinking
their text. Text and axes take the colour of the page around them: light and dark both read.
"""

import base64
import hashlib
import io
import re
from dataclasses import dataclass, field
from html import escape, unescape
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as MplFigure
from PIL import Image

from vae_book.words import counted
from vae_core.data.registry import DatasetSpec

COLORS = {
    "aevb": "#0072B2",
    "wake_sleep": "#D55E00",
    "mcem": "#009E73",
    "autoencoder": "#CC79A7",
}
NAMES = {
    "aevb": "AEVB",
    "wake_sleep": "Wake-sleep",
    "mcem": "Monte Carlo EM",
    "autoencoder": "Autoencoder",
}
NZ, NTRAIN = "<i>N</i><sub>z</sub>", "<i>N</i><sub>train</sub>"  # as headings of tables have them
OTHER_COLORS = "#B24A78", "#B8860B", "#5B4FC9", "#44AA99"
PALE = "66"  # opacity of the paper's own curves, two hexadecimal digits behind the colour
DASHES = {"train": "-", "test": (0, (4, 2))}
# Ten colours after Paul Tol's "muted", each of which shows on white and on black. The classes are
# labelled too.
CLASS_COLORS = (
    "#CC6677 #5B4FC9 #C9B04A #117733 #56B4E9 #B0356F #44AA99 #999933 #AA4499 #8c8c8c"
).split()

TALLEST = 1.5  # heights of a picture in widths of its column

_INK = "#010203"  # stands for the page's text colour until the drawing is written
_RC = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",  # comes with matplotlib, and is wider than what replaces it
    "font.size": 6.8,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _INK,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.5,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.minor.size": 0,
    "lines.linewidth": 1.3,
    "lines.solid_capstyle": "round",
    "axes.axisbelow": True,
}
_CSS = """
.vc-figure{margin:.5rem 0 1rem;text-align:left}
.vc-figure .vc-legend{display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;font-size:.85em}
.vc-figure .vc-legend svg{width:2em;height:.8em;margin-right:.4em;vertical-align:-.05em}
.vc-figure .vc-panels{display:grid;gap:.4rem .5rem;
 grid-template-columns:repeat(var(--vc-columns),minmax(0,1fr))}
.vc-figure .vc-title{font-size:.82em;margin:.35rem 0 .1rem;line-height:1.25}
.vc-figure .vc-axis{font-size:.78em;opacity:.85;grid-column:1/-1}
.vc-figure svg,.vc-figure img{display:block;width:100%;height:auto;color:inherit}
.vc-figure .vc-panel>svg{max-width:calc(1.25*var(--vc-width,100%))}
.vc-figure .vc-legend svg{display:inline-block}
.vc-figure img.vc-pixels{image-rendering:pixelated;background:none!important}
@media(max-width:44rem){.vc-figure .vc-panels{
 grid-template-columns:repeat(min(var(--vc-columns),var(--vc-narrow)),minmax(0,1fr))}}
"""


def color_of(algorithm: str) -> str:
    """The colour of an algorithm in every figure; one that is new gets the same spare each time."""
    spare = OTHER_COLORS[sum(algorithm.encode()) % len(OTHER_COLORS)]
    return COLORS.get(algorithm, spare)


def name_of(algorithm: str) -> str:
    """The name of an algorithm as readers see it: its own where it is not one of the book's."""
    return NAMES.get(algorithm, algorithm.replace("_", " "))


def data_title(spec: DatasetSpec) -> str:
    """The title of a data set as HTML; that of a file of one's own is the file's name."""
    return escape(spec.title)


@dataclass
class Panel:
    """One drawing of a figure: its title (HTML), its markup and the text that describes it.

    `numbers` are a few of the values that it shows, for the figure's text form.
    """

    title: str
    markup: str  # an <svg> or <img> element without its text alternative
    alt: str
    numbers: str = ""

    def html(self) -> str:
        """The panel as HTML, with its text alternative."""
        alt = escape(self.alt, quote=True)
        if self.markup.startswith("<svg"):
            markup = self.markup.replace("<svg", f'<svg role="img" aria-label="{alt}"', 1)
        else:
            markup = self.markup.replace("<img", f'<img alt="{alt}"', 1)
        return f'<div class="vc-panel"><div class="vc-title">{self.title}</div>{markup}</div>'


@dataclass
class Figure:
    """Panels under one legend, in rows of `columns` (of `narrow` on a phone).

    A string among the panels is a line of text across the whole width, such as an axis label.
    `data` is JSON by which a script of the page may make the figure live.
    """

    panels: list[Panel | str]
    columns: int
    legend: list[tuple[str, str, str]] = field(default_factory=list)  # (label, colour, split)
    narrow: int = 2
    data: str = ""

    @property
    def alt(self) -> str:
        """What the panels show, in words."""
        return " ".join(panel.alt for panel in self.panels if isinstance(panel, Panel))

    def _repr_html_(self) -> str:
        legend = "".join(
            f"<span>{_swatch(c, s)}{escape(label)}</span>" for label, c, s in self.legend
        )
        legend = f'<div class="vc-legend">{legend}</div>' if self.legend else ""
        cells = [
            panel.html() if isinstance(panel, Panel) else f'<div class="vc-axis">{panel}</div>'
            for panel in self.panels
        ]
        style = f"--vc-columns:{self.columns};--vc-narrow:{self.narrow}"
        inner = (
            f"<style>{_CSS}</style>{legend}"
            f'<div class="vc-panels" style="{style}">{"".join(cells)}</div>'
        )
        if self.data:
            inner += f'<script type="application/json">{self.data}</script>'
        return f'<div class="vc-figure" data-digest="{digest(inner)}">{inner}</div>'

    def __repr__(self) -> str:
        """The numbers behind the drawing, a line a panel, which a test of notebooks compares."""
        panels = [panel for panel in self.panels if isinstance(panel, Panel)]
        lines = [f"{plain(p.title)}: {p.numbers}" for p in panels if p.numbers]
        return "\n".join([f"Figure of {counted(len(panels), 'panel')}", *lines])

    def save(self, path: str | Path, width: int = 1000) -> None:
        """Write the figure as one SVG file that needs nothing else, for a README or a slide."""
        Path(path).write_text(_compose(self, width), encoding="utf-8")


def digest(html: str) -> str:
    """A short hash by which a test sees that a stored drawing is whole."""
    return hashlib.sha256(html.encode()).hexdigest()[:12]


def _swatch(color: str, split: str) -> str:
    dash = 'stroke-dasharray="7 4"' if split == "test" else ""
    shape = f'<path d="M1 6H29" stroke="{color}" stroke-width="3" {dash}/>'
    if split == "wide":
        shape = f'<path d="M1 6H29" stroke="{color}" stroke-width="8"/>'
    elif split == "diamond":
        shape = (
            f'<path d="M15 1L20 6L15 11L10 6Z" stroke="{color}" fill="none" stroke-width="1.5"/>'
        )
    return f'<svg viewBox="0 0 30 12" aria-hidden="true">{shape}</svg>'


def panel_size(columns: int, aspect: float = 0.8) -> tuple[int, int]:
    """CSS pixels of a panel that is one of `columns` in a row of the book's text."""
    width = min(420, 640 // columns)
    return width, round(width * aspect)


def svg_panel(title, draw, alt, *, size, salt="", numbers="", colors=None) -> Panel:
    """A panel drawn by `draw(axes)` on matplotlib axes of `size` CSS pixels.

    Rasterised parts keep `colors` colours, if a number is given, and are so much smaller.
    """
    with mpl.rc_context({**_RC, "svg.hashsalt": f"{title}{salt}"}):
        # dpi is that of the rasterised parts alone
        figure = MplFigure((size[0] / 96, size[1] / 96), dpi=200, layout="constrained")
        figure.get_layout_engine().set(w_pad=1 / 96, h_pad=1 / 96)
        draw(figure.subplots())
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    if colors is not None:
        pictures = re.compile('(?<=data:image/png;base64,)[^"]+')
        svg = pictures.sub(lambda data: _with_few_colors(data[0], colors), svg)
    return Panel(title, _clean_svg(svg, size[0]), alt, numbers)


def _with_few_colors(data: str, colors: int) -> str:
    """A PNG picture, in base64, with a palette."""
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    buffer = io.BytesIO()
    few = picture.quantize(colors, method=Image.Quantize.FASTOCTREE)  # the one that keeps alpha
    few.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _clean_svg(svg: str, width: int) -> str:
    """Keep the drawing alone: page colours for ink, no background, no prologue, no spare ids."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'<g id="patch_[12]">\s*<path [^>]*?style="fill: #ffffff[^>]*?/>\s*</g>', "", svg)
    svg = svg.replace(_INK, "currentColor").replace("'DejaVu Sans'", "'DejaVu Sans', sans-serif")
    # coordinates to a hundredth of a pixel; the text of labels stays as it is
    svg = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), svg)
    style = f'style="--vc-width:{width}px"'
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', rf"\1 {style}", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    used = set(re.findall(r"#([\w-]+)", svg))
    svg = re.sub(r' id="([\w-]+)"', lambda m: m[0] if m[1] in used else "", svg)
    return re.sub(r"\s*\n\s*", " ", svg).strip()


def png_panel(title: str, pixels: np.ndarray, alt: str, *, zoom: int = 1) -> Panel:
    """A panel that shows grey levels in [0, 1], (height, width), as a PNG picture.

    One that is taller than TALLEST leaves some of its column empty.
    """
    # 64 levels are below what an eye tells apart here and halve the file
    levels = np.round(np.clip(pixels, 0, 1) * 63).astype(np.uint8)
    image = Image.fromarray(levels, mode="L")
    image = image.point([round(level * 255 / 63) if level < 64 else 255 for level in range(256)])
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    height, width = pixels.shape
    share = TALLEST * width / height
    narrow = f'style="max-width:{share:.1%}" ' if share < 1 else ""
    markup = (
        f'<img class="vc-pixels dark-light" width="{width * zoom}" height="{height * zoom}" '
        f'{narrow}src="data:image/png;base64,{data}">'
    )
    numbers = f"{height} x {width} pixels, {pixels.mean():.2f} ± {pixels.std():.2f}"
    return Panel(title, markup, alt, numbers)


def _compose(figure: Figure, width: int) -> str:
    """One SVG document of the figure's legend and panels in rows."""
    cell, top = width / figure.columns, 30 if figure.legend else 4
    parts, column, x = [], 0, 10.0
    for label, color, split in figure.legend:
        swatch = _swatch(color, split).replace("<svg", '<svg width="30" height="12" y="6"')
        parts.append(f'<g transform="translate({x:.0f} 0)">{swatch}')
        parts.append(f'<text x="36" y="16">{escape(label)}</text></g>')
        x += 48 + 6.7 * len(label)  # of a letter in 13 px, on average
    for panel in [*figure.panels, ""]:
        if isinstance(panel, str):
            top, column = top + (cell * 1.0 if column else 0), 0
            parts.append(f'<text x="10" y="{top + 14:.0f}">{_as_svg(panel)}</text>')
            top += 22 if panel else 0
            continue
        if column == figure.columns:
            top, column = top + cell * 1.0, 0
        x = column * cell
        size = f'width="{cell - 8:.0f}" height="{cell - 22:.0f}"'
        place = f'<svg x="{x:.0f}" y="{top + 18:.0f}" {size}'
        parts.append(f'<text x="{x + 10:.0f}" y="{top + 13:.0f}">{_as_svg(panel.title)}</text>')
        parts.append(panel.markup.replace("<svg", place, 1))
        column += 1
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {top + 8:.0f}" color="#808080" fill="none" '
        f'font-family="sans-serif" font-size="13" role="img" '
        f'aria-label="{escape(figure.alt, quote=True)}">'
        f"<style>text{{fill:#808080}}</style>{''.join(parts)}</svg>\n"
    )


def plain(html: str) -> str:
    """The text of a piece of HTML, without its tags."""
    return unescape(re.sub(r"<[^>]*>", "", html))


def _as_svg(html: str) -> str:
    """The text of a piece of HTML for an SVG element, which knows no HTML."""
    return escape(plain(html), quote=False)
