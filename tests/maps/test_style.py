"""Figures do not depend on the settings of matplotlib's user, and write names as they are."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mri_saliency.checks.figure import check_figure
from mri_saliency.cohort.summary import cohort_figure
from mri_saliency.groups.figures import contrast_figure
from mri_saliency.maps import style
from mri_saliency.maps.comparison import NULL, MeanAgreement
from mri_saliency.maps.figures import slice_figures
from mri_saliency.maps.image import map_to_nifti
from mri_saliency.output.files import write_figure, write_picture
from mri_saliency.regions.figures import lateralisation_figure, region_figure
from mri_saliency.regions.lateralisation import lateralisation_table
from mri_saliency.wording import ClassNames

from ..made_cohort import SIDED_PAIRS, checks_table, sided_regions
from .views import GRID, layer, made_up_map, made_up_view

USERS_SETTINGS = """
text.usetex: True
text.color: white
figure.facecolor: black
savefig.facecolor: red
savefig.bbox: tight
savefig.dpi: 300
savefig.transparent: True
image.lut: 16
image.origin: lower
font.family: serif
font.stretch: condensed
font.size: 30
axes.grid: True
axes.formatter.use_mathtext: True
axes.prop_cycle: cycler('color', ['k'])
lines.linewidth: 9
"""
NAMES = ClassNames("_HC $a^2$ \\bad{x}$", "TLE 100% & Ωμέγα #1 $")


def draw_all(folder, names=NAMES):
    """Draw a figure of each kind; `names` are those of the classes and of a region."""
    regions = sided_regions().replace(
        {"Left insula": f"Left {names.hc}", "Right insula": f"Right {names.hc}"}
    )
    pairs = lateralisation_table(regions, [(f"Left {names.hc}", f"Right {names.hc}"), SIDED_PAIRS[1]])
    table = regions.assign(
        **{"class": np.where(regions["diagnosis"] == "HC", "HC", "TLE")},
        **{"abs_mean": 1e-5 * np.arange(1, len(regions) + 1), "confidence": 0.9},
        **{"brain_share": 0.7, "brain_share_null": 0.6},
    )
    agreement = MeanAgreement(*2 * [pd.DataFrame([[1.0], [0.4]], ["saliency", NULL], ["saliency"])])
    profiles = {("saliency", name): np.full(9, 1 / 9) for name in ("HC", "TLE")}
    charts = {
        "cohort": cohort_figure(table, profiles, agreement, {"saliency": 0.5}, names),
        "regions": region_figure(regions, {"saliency": regions["region"].unique()}, names),
        "sides": lateralisation_figure(pairs, names),
        "checks": check_figure(checks_table(), ["smooth_grad"]),
    }
    for name, figure in charts.items():
        write_figure(folder / f"{name}.png", figure)
    values = np.random.default_rng(0).standard_normal((1, 112, 112)).astype(np.float32)
    write_picture(folder / "slice.png", next(slice_figures(made_up_map(values=values))))
    contrast = contrast_figure(made_up_view(1), layer(values), values, values > 2, threshold=2.0)
    write_picture(folder / "contrast.png", contrast)
    return charts


def test_figures_do_not_depend_on_the_users_settings(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "matplotlibrc").write_text(USERS_SETTINGS)
    code = f"from tests.maps.test_style import *; draw_all(Path({str(tmp_path / 'users')!r}))"
    surroundings = {"MATPLOTLIBRC": str(tmp_path / "users")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | surroundings, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0
    draw_all(tmp_path / "own")
    for path in (tmp_path / "own").iterdir():
        assert path.read_bytes() == (tmp_path / "users" / path.name).read_bytes(), path.name


def test_names_are_written_as_they_are(tmp_path):
    charts = draw_all(tmp_path)
    for panel in (2, 3):
        legend = charts["cohort"].axes[panel].get_legend()
        assert [text.get_text() for text in legend.get_texts()][:2] == list(NAMES)
    labels = [text.get_text() for text in charts["regions"].axes[0].get_yticklabels()]
    assert f"Left {NAMES.hc}" in labels
    texts = charts["cohort"].findobj(matplotlib.text.Text)
    assert not any(text.get_parse_math() for text in texts)


def test_the_users_settings_are_given_back(tmp_path):
    with matplotlib.rc_context({"text.color": "white", "font.size": 30.0}):
        before = dict(matplotlib.rcParams)
        draw_all(tmp_path, ClassNames())
        map_to_nifti(np.ones((9, 128, 128), np.float32), GRID, "saliency")
        assert dict(matplotlib.rcParams) == before


def test_letters_that_the_figures_font_lacks_come_from_another(tmp_path, capsys):
    symbol, nowhere = "\ue000", "\U000f1234"  # STIXNonUnicode, which comes with matplotlib, has the first
    assert style.font_families("Ωμέγα Я") == ["DejaVu Sans"]
    assert style.font_families(f"a {symbol}")[1:] == ["STIXNonUnicode"]
    assert "STIX" in style.pillow_font(symbol, 12, False).getname()[0] and not capsys.readouterr().err
    figure = Figure()
    figure.text(0.5, 0.5, nowhere)
    write_figure(tmp_path / "a.png", figure)
    assert f"no installed font has {nowhere}" in capsys.readouterr().err
