"""Figures do not depend on the settings of matplotlib's user, and write names as they are."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from mri_saliency.cohort.summary import cohort_figure
from mri_saliency.maps import style
from mri_saliency.maps.comparison import MeanAgreement
from mri_saliency.maps.figures import slice_figures
from mri_saliency.maps.image import map_to_nifti
from mri_saliency.maps.sheet import TextStyle
from mri_saliency.output.files import write_figure, write_picture
from mri_saliency.wording import ClassNames

from ..made_cohort import sided_regions
from .views import GRID, made_up_map

USERS_SETTINGS = """
text.usetex: True
text.color: white
figure.facecolor: black
savefig.dpi: 300
image.lut: 16
font.family: serif
font.stretch: condensed
font.size: 30
axes.formatter.use_mathtext: True
axes.prop_cycle: cycler('color', ['k'])
"""
NAMES = ClassNames("_HC $a^2$ \\bad{x}$", "TLE 100% & Ωμέγα #1 $")


def draw_all(folder):
    """Write a figure of each kind, with odd names of classes and regions; return the charts."""
    regions = sided_regions()
    regions["class"] = np.where(regions["diagnosis"] == "HC", "HC", "TLE")
    table = regions.assign(abs_mean=1e-5, confidence=0.9, brain_share=0.7, brain_share_null=0.6)
    agreement = MeanAgreement(*2 * [pd.DataFrame([[0.4]], ["saliency"], ["saliency"])])
    profiles = {("saliency", name): np.full(9, 1 / 9) for name in ("HC", "TLE")}
    charts = {
        "cohort": cohort_figure(table, profiles, agreement, {"saliency": 0.5}, NAMES),
    }
    for name, figure in charts.items():
        write_figure(folder / f"{name}.png", figure)
    values = np.linspace(-1, 1, 112**2, dtype=np.float32).reshape(1, 112, 112)
    write_picture(folder / "slice.png", next(slice_figures(made_up_map(values=values))))
    map_to_nifti(np.ones((9, 128, 128), np.float32), GRID, "saliency")
    return charts


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The figures' folder, and the charts; the user's settings are given back."""
    folder = tmp_path_factory.mktemp("drawn")
    with matplotlib.rc_context({"text.color": "white", "font.size": 30.0}):
        before = dict(matplotlib.rcParams)
        charts = draw_all(folder)
        assert dict(matplotlib.rcParams) == before
    return folder, charts


def test_figures_do_not_depend_on_the_users_settings(drawn, tmp_path):
    (tmp_path / "matplotlibrc").write_text(USERS_SETTINGS)
    code = f"from tests.maps.test_style import *; draw_all(Path({str(tmp_path)!r}))"
    settings = os.environ | {"MATPLOTLIBRC": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=settings, cwd=Path(__file__).parents[2], check=True)
    for path in drawn[0].iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_names_are_written_as_they_are(drawn):
    cohort = drawn[1]["cohort"]
    for panel in (2, 3):
        legend = cohort.axes[panel].get_legend()
        assert [text.get_text() for text in legend.get_texts()][:2] == list(NAMES)
    texts = cohort.findobj(matplotlib.text.Text)
    assert texts and not any(text.get_parse_math() for text in texts)


def test_letters_that_the_figures_font_lacks_come_from_another(tmp_path, capsys):
    symbol, nowhere = "\ue000", "\U000f1234"  # STIXNonUnicode, which comes with matplotlib, has the first
    assert Path(style.font_path("Ωμέγα Я")).stem == "DejaVuSans"
    assert TextStyle(12).font(f"a {symbol}").getname()[0] == "STIXNonUnicode" and not capsys.readouterr().err
    figure = matplotlib.figure.Figure()
    figure.text(0.5, 0.5, nowhere)
    write_figure(tmp_path / "a.png", figure)
    assert f"no font has {nowhere}" in capsys.readouterr().err
