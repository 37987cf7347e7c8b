"""Groups of maps are compared where that can be done; images, figures and clusters agree."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mri_saliency.cohort.common_space import CommonSpace
from mri_saliency.groups.comparison import ComparisonSettings, compare_groups
from mri_saliency.groups.method_maps import MethodMaps
from mri_saliency.inputs.atlas import Atlas
from mri_saliency.inputs.grid import Grid
from mri_saliency.inputs.preprocessing import pad
from mri_saliency.maps.image import to_scan_grid
from mri_saliency.methods import METHODS
from mri_saliency.output.folder import OutputFolder
from mri_saliency.statistics.sign_flips import N_FLIPS

from ..conftest import AFFINE, REAL_SHAPE
from ..made_cohort import made_record

GRID = Grid(REAL_SHAPE, AFFINE, 4, 10, 8)
SHAPE = (8, 112, 112)
DIAGNOSES = ["HC"] * 8 + ["left"] * 6 + ["right"] * 5
FOCUS = (slice(2, 6), slice(20, 30), slice(40, 50))  # on the left; x mm < 0
METHOD = "integrated_gradients"
PLAIN = ComparisonSettings(smooth_mm=6.0)


def made_maps(root):
    """Finished maps of noise; in the patients' the focus, on their side, is stronger."""
    folder = OutputFolder(root)
    generator = np.random.default_rng(0)
    scans = []
    for index, diagnosis in enumerate(DIAGNOSES):
        label = int(diagnosis != "HC")
        record = made_record(f"s{index}", METHOD, diagnosis=diagnosis, true_label=label, subject=f"p{index}")
        values = generator.standard_normal(SHAPE).astype(np.float32) * generator.uniform(0.5, 2)
        if label:
            values[FOCUS] *= 4
        path = folder.array(METHOD, record.subject_id)
        path.parent.mkdir(parents=True)
        np.save(path, pad(values[:, ::-1] if diagnosis == "right" else values))
        scans.append(record.statistics)
    folder.open_groups(METHOD)
    axes = np.ogrid[-1:1:8j, -1:1:112j, -1:1:112j]
    brain = axes[1] ** 2 + axes[2] ** 2 + 0 * axes[0] < 0.7
    mirrored = {scan.subject_id: False for scan in scans}
    space = CommonSpace(GRID, mirrored, np.zeros(SHAPE, np.float32), brain)
    return MethodMaps(folder, METHODS[METHOD], scans, space, (4,))


def image(maps, name):
    return nib.load(maps.folder.group_map(METHOD, f"{name}.nii.gz"))


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    return made_maps(tmp_path_factory.mktemp("maps"))


@pytest.fixture(scope="module")
def found(maps):
    labels = np.zeros(REAL_SHAPE, np.int32)
    labels[:56, 10:18] = 1
    atlas = Atlas(labels, AFFINE, {1: "Left Side"}, "atlas")
    return compare_groups(maps, replace(PLAIN, atlas=atlas))


def test_each_contrast_is_found_on_its_side_and_nowhere_else(maps, found):
    near = np.zeros(SHAPE, np.float32)
    near[:, 16:34, 36:54] = 1
    expected = {"left_minus_HC": near, "right_minus_HC": near[:, ::-1], "aligned_minus_HC": near}
    for name, region in expected.items():
        p = 10 ** -image(maps, f"{name}_neg_log10_p_fwe").get_fdata()
        inside = to_scan_grid(region, GRID, nearest=True) > 0
        assert (p[inside] < 0.0500001).mean() > 0.2 and (p[~inside] > 0.05).all(), name
        ratio = image(maps, f"{name}_ratio").get_fdata()
        assert 2.5 < ratio.max() < 6 and np.abs(np.log(ratio[~inside])).max() < np.log(2.5)
        assert image(maps, f"{name}_t").get_fdata()[ratio == ratio.max()].min() > 5
        [row] = [row for row in found.contrasts if row.contrast == name]
        assert row.smallest_p == pytest.approx(p.min()) and 0 < row.significant_share < 0.1
    counts = [(row.contrast, row.n_patients, row.n_controls) for row in found.contrasts]
    assert counts == [("left_minus_HC", 6, 8), ("right_minus_HC", 5, 8), ("aligned_minus_HC", 11, 8)]
    figures = found.figures[METHOD]
    assert len(figures) == 3 and "magnitude, TLE, focus on the left, minus HC" in figures
    assert all(np.asarray(Image.open(path)).std() > 10 for path in figures.values())


def test_nothing_was_tested_outside_the_brain_and_images_say_what_they_hold(maps, found):
    for name, value in (("neg_log10_p_fwe", 0), ("t", 0), ("ratio", 1)):
        values = image(maps, f"left_minus_HC_{name}").get_fdata()
        assert values[0, 0, 0] == values[56, 12, 2] == value
        assert name == "t" or not np.signbit(values).any()
    header = image(maps, "left_minus_HC_t").header
    assert header.get_intent()[:2] == ("t test", (5,))  # of six patients
    window = image(maps, "left_minus_HC_neg_log10_p_fwe").header
    assert window["cal_min"] == pytest.approx(1.301, abs=1e-3)
    assert 2 < window["cal_max"] <= np.log10(N_FLIPS + 1) + 1e-3


def test_clusters_have_peaks_in_the_focus(found):
    rows = pd.DataFrame(found.clusters)
    first = rows.groupby("contrast").first().loc[["left_minus_HC", "aligned_minus_HC", "right_minus_HC"]]
    assert (first["peak_x"] * [-1, -1, 1] > 35).all()
    assert first["region"].tolist() == ["Left Side", "Left Side", ""]
    assert (rows["p"] <= 0.05).all() and (rows["volume_mm3"] > 0).all()


def test_sessions_count_as_one_subject(maps):
    scans = [replace(scan, subject=f"{scan.diagnosis}{index % 4}") for index, scan in enumerate(maps.scans)]
    found = compare_groups(replace(maps, scans=scans), PLAIN)
    [few] = found.limitations
    assert not found.contrasts and "found controls 4" in few.sentence
    scans[0] = replace(scans[0], subject="left1")
    disputed = compare_groups(replace(maps, scans=scans), PLAIN).limitations[0]
    assert "1 subject with scans of more than one diagnosis was left out" in disputed.sentence
    assert disputed.detail == "left1"


def test_what_cannot_be_tested_has_a_reason(maps, tmp_path):
    toward = [replace(scan, target=scan.true_label) for scan in maps.scans]
    mixed = compare_groups(replace(maps, scans=toward), PLAIN)
    [several] = mixed.limitations
    assert not mixed.contrasts and "explained different classes" in several.sentence
    nowhere = compare_groups(replace(maps, space=replace(maps.space, brain=None)), PLAIN)
    assert not nowhere.contrasts and not nowhere.limitations
    maps = made_maps(tmp_path)
    zero = maps.folder.array(METHOD, "s0")
    np.save(zero, np.zeros_like(np.load(zero)))
    without = compare_groups(maps, PLAIN)
    assert without.contrasts[0].n_controls == 7
    assert "map with zeros in half of the brain was left out" in without.limitations[0].sentence


def test_covariates_are_looked_up_by_scan(tmp_path):
    maps = made_maps(tmp_path)
    age = pd.DataFrame({"age": np.arange(18.0) % 5}, index=[f"s{i}" for i in range(1, 19)])
    found = compare_groups(maps, replace(PLAIN, covariates=age))
    assert found.contrasts[0].n_controls == 7
    assert "map of scans without covariates was left out" in found.limitations[0].sentence
    together = age.assign(site=[0.0] * 7 + [1.0] * 11)
    refused = compare_groups(maps, replace(PLAIN, covariates=together))
    assert not refused.contrasts and "the covariates and the diagnosis go together" in str(
        refused.limitations
    )
