"""Speed and growth, drawn from the committed results of `make bench`: ratios within one machine."""

import json

import numpy as np
from matplotlib.ticker import MaxNLocator

from vae_book.plots.style import COLORS, OTHER_COLORS, Panel, panel_size, svg_panel
from vae_book.plots.tables import Table
from vae_book.resources import ROOT

RESULTS = ROOT / "benchmarks" / "results"
OURS, FLOOR, OTHERS = COLORS["aevb"], "#8c8c8c", OTHER_COLORS[1]
BAR = 17  # CSS pixels
PRECISIONS = "", ", bfloat16"  # as the names of the ways to train end
WIDE = 20  # from shortest to longest, beyond which the axis is logarithmic


def benchmarks(machine: str) -> dict[str, dict]:
    """The results of one machine, a folder of RESULTS, by the name of the benchmark."""
    paths = sorted((RESULTS / machine).glob("*.json"))
    return {path.stem: json.loads(path.read_text()) for path in paths}


def relative(spreads: dict[str, dict], to: str) -> dict[str, dict[str, float]]:
    """Medians and quartiles of times in units of the median of ``to``."""
    unit = spreads[to]["median"]
    return {name: {k: v / unit for k, v in spread.items()} for name, spread in spreads.items()}


def as_times(paces: dict[str, dict]) -> dict[str, dict[str, float]]:
    """Seconds of one from medians and quartiles of how many there are in a second."""
    flipped = {"median": "median", "low": "high", "high": "low"}
    return {
        name: {k: 1 / pace[other] for k, other in flipped.items()} for name, pace in paces.items()
    }


def bars_panel(title: str, spreads: dict[str, dict], to: str) -> Panel:
    """Times in units of that of ``to``, the shortest on top; whiskers join the quartiles."""
    shown = dict(sorted(relative(spreads, to).items(), key=lambda item: item[1]["median"]))
    medians = [spread["median"] for spread in shown.values()]
    places = np.arange(len(shown))
    errors = [
        [spread["median"] - spread["low"] for spread in shown.values()],
        [spread["high"] - spread["median"] for spread in shown.values()],
    ]

    def draw(axes):
        axes.barh(places, medians, height=0.62, color=[_color(name) for name in shown])
        axes.errorbar(medians, places, xerr=errors, fmt="none", ecolor="#808080", elinewidth=1)
        for place, spread in zip(places, shown.values(), strict=True):
            axes.annotate(
                f"{spread['median']:.2f}",
                (spread["high"], place),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
            )
        axes.set_yticks(places, list(shown))
        high = max(spread["high"] for spread in shown.values())
        if high > WIDE * medians[0]:
            axes.set_xscale("log")
            axes.set_xlim(0.5 * medians[0], 6 * high)
        else:
            axes.set_xlim(0, 1.18 * high)
            axes.xaxis.set_major_locator(MaxNLocator(6, prune="upper"))  # its label would be cut
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)

    words = ", ".join(f"{name} {median:.2f}" for name, median in zip(shown, medians, strict=True))
    size = panel_size(2)[0], 26 + BAR * len(shown)
    return svg_panel(title, draw, f"Bars. {words}.", size=size, salt=to, numbers=words)


def _color(name: str) -> str:
    if "vae_core" in name:
        return COLORS["wake_sleep"] if "wake-sleep" in name else OURS
    return FLOOR if "alone" in name else OTHERS


def growth_panel(axis: dict) -> Panel:
    """Seconds against a size, both logarithmic, with the line of the fitted exponent."""
    sizes = np.array([float(size) for size in axis["seconds"]])
    medians, low, high = (
        np.array([spread[name] for spread in axis["seconds"].values()])
        for name in ("median", "low", "high")
    )
    exponent, last = axis["exponent"], axis["last_exponent"]
    middle = np.exp(np.log(sizes).mean()), np.exp(np.log(medians).mean())

    def draw(axes):
        axes.loglog(sizes, middle[1] * (sizes / middle[0]) ** exponent, color=FLOOR, linewidth=1)
        errors = [medians - low, high - medians]
        axes.errorbar(sizes, medians, yerr=errors, fmt="o", color=OURS, markersize=3.5)
        axes.set_ylim(10 ** np.floor(np.log10(low.min())), 10 ** np.ceil(np.log10(high.max())))
        axes.minorticks_off()

    numbers = f"exponent {exponent:.2f}, {last:.2f} at the end"
    alt = f"Seconds of {axis['title']}, both logarithmic: {numbers}."
    title = f"{axis['title']}<br>{numbers}"
    return svg_panel(title, draw, alt, size=panel_size(3), numbers=numbers)


def aims_table(found: dict[str, dict]) -> Table:
    """The aims of the package, what is reached, and what its floor alone would: ratios.

    What a machine has not measured has no row.
    """
    rows = _aims_of_steps(found["training"])
    for title, name, unit, peer, aim in [
        ("HMC's pace over", "hmc", "microseconds", "blackjax", "1.3"),
        ("importance sampling's over", "importance_sampling", "milliseconds", "pythae", "4"),
    ]:
        times = {way: spread["median"] for way, spread in found[name][unit].items()}
        for way in (way for way in times if way.startswith(peer)):
            fastest = times[way] / times["matrix products alone"]
            rows.append((f"{title} {way}", aim, times[way] / times["vae_core"], fastest))
    processes, dask = (s["median"] for s in found["sweeps"]["long"]["seconds"].values())
    rows.append(("Dask's wall time over two processes'", "at most 1.1", dask / processes, None))
    shown = [
        [what, aim, f"{measured:.2f}", "–" if fastest is None else f"{fastest:.2f}"]
        for what, aim, measured, fastest in rows
    ]
    return Table(["", "aim", "measured", "the floor alone"], shown, "Aims")


def _aims_of_steps(training: dict) -> list[tuple[str, str, float, float | None]]:
    """What is aimed at, how high, what is measured and what the floor alone would reach."""
    paces = {
        f"{n} latent": {name: spread["median"] for name, spread in m["samples_per_second"].items()}
        for n, m in training["latent_dim"].items()
    }
    ours, floor = "vae_core, AEVB, bfloat16", "matrix products alone, bfloat16"
    loop = "DataLoader and Adam"
    rows: list[tuple[str, str, float, float | None]] = []
    for n, pace in paces.items():
        rows.append((f"step in bfloat16, of its floor, {n}", "0.75", pace[ours] / pace[floor], 1))
    for n, pace in paces.items():
        fastest = pace[floor] / pace[loop]
        rows.append((f"its pace over {loop}, {n}", "5", pace[ours] / pace[loop], fastest))
    for precision in PRECISIONS:
        for n, pace in paces.items():
            if (cost := _wake_sleep_cost(pace, precision)) is not None:
                what = f"wake-sleep's cost over AEVB's{precision}, {n}"
                rows.append((what, "at most 1.35", cost, None))
    return rows


def _wake_sleep_cost(pace: dict[str, float], precision: str) -> float | None:
    """In units of a step of AEVB with the same products; None where it was not measured."""
    asleep = pace.get(f"vae_core, wake-sleep{precision}")
    return None if asleep is None else pace[f"vae_core, AEVB{precision}"] / asleep


def wake_sleep_table(training: dict) -> Table:
    """The cost of a step of wake-sleep over one of AEVB, float32 and bfloat16 side by side."""
    rows = []
    for n, measured in training["latent_dim"].items():
        pace = {name: spread["median"] for name, spread in measured["samples_per_second"].items()}
        costs = [_wake_sleep_cost(pace, precision) for precision in PRECISIONS]
        rows.append([f"{n} latent", *("–" if c is None else f"{c:.2f}" for c in costs)])
    return Table(["", "float32", "bfloat16"], rows, "Time of a wake-sleep step over one of AEVB")


def threads_table(training: dict) -> Table | None:
    """Wall time of a step on one thread and on two; None where that was not measured."""
    if "threads" not in training:
        return None
    times = as_times(training["threads"]["samples_per_second"])
    label = f"Time of a step on one thread and on two, {training['threads']['what']}"
    return ratio_table(times, "vae_core, AEVB, 1 thread", label)


def ratio_table(spreads: dict[str, dict], to: str, label: str) -> Table:
    """Each time in units of that of ``to``, with its quartiles."""
    rows = [
        [name, f"{s['median']:.2f}", f"{s['low']:.2f} to {s['high']:.2f}"]
        for name, s in relative(spreads, to).items()
    ]
    return Table(["", f"in units of: {to}", "quartiles"], rows, label)
