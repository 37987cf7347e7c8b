"""Null maps are compared as maps are, at the peaks of the maps' clusters."""

from collections import ChainMap
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest

from mri_saliency.groups import null_effects
from mri_saliency.groups.comparison import compare_groups
from mri_saliency.groups.null_effects import compare_null_maps, read_nulls
from mri_saliency.inputs.preprocessing import unpad

from ..made_cohort import made_record
from .test_comparison import DIAGNOSES, METHOD, PLAIN, image, made_maps


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    return made_maps(tmp_path_factory.mktemp("maps"))


@pytest.fixture(scope="module")
def compared(maps):
    return compare_groups(maps, PLAIN)


def add_nulls(found, nulls, monkeypatch):
    """Give scans these null maps (one of None cannot be read), and compare them."""
    monkeypatch.setattr(null_effects, "read_null_map", lambda folder, record: nulls[record.subject_id])
    records = [made_record(name, METHOD) for name in nulls]
    common = SimpleNamespace(mirrored=dict.fromkeys(nulls, False))
    places = [peaks.place for peaks in found.peaks]
    read = read_nulls(None, common, found.peaks[0].space, places, [[record] for record in records])
    compare_null_maps(found.peaks, ChainMap(*read))


def nulls_of(maps):
    return {f"s{i}": unpad(np.load(maps.folder.array(METHOD, f"s{i}"))) for i in range(len(DIAGNOSES))}


def test_the_null_maps_effect_is_that_of_the_same_test_of_null_maps(maps, compared, tmp_path, monkeypatch):
    """What is compared as maps in another folder, and as null maps here, has one ratio at each peak."""
    other = made_maps(tmp_path)
    for index in range(len(DIAGNOSES)):
        path = other.folder.array(METHOD, f"s{index}")
        values = np.load(path)
        if DIAGNOSES[index] != "HC":  # another effect, which is no mirror image of itself
            np.save(path, values * np.linspace(1, 3, values.shape[1], dtype=np.float32)[:, None])
    as_maps = compare_groups(other, PLAIN)
    found = deepcopy(compared)
    add_nulls(found, nulls_of(other), monkeypatch)
    assert {peaks.contrast.name for peaks in found.peaks} == {row.contrast for row in as_maps.contrasts}
    for peaks in found.peaks:
        ratio = image(other, f"{peaks.contrast.name}_ratio")
        for row in peaks.rows:
            place = np.linalg.solve(ratio.affine, [row["peak_x"], row["peak_y"], row["peak_z"], 1])
            found_there = ratio.get_fdata()[tuple(np.rint(place[:3]).astype(int))]
            assert found_there == pytest.approx(row["effect_null"], rel=0.02)
            assert row["peak_effect_low"] < row["peak_effect"] < row["peak_effect_high"]


def test_an_effect_of_the_anatomy_does_not_exceed_the_null_maps(maps, compared, monkeypatch):
    nulls = nulls_of(maps)
    found = deepcopy(compared)
    add_nulls(found, nulls, monkeypatch)
    for row in found.clusters:
        assert row["effect_null"] == pytest.approx(row["peak_effect"], rel=1e-5)
        assert row["exceeds_null"] is False
    found = deepcopy(compared)
    noise = np.random.default_rng(1)
    add_nulls(found, {name: noise.random(values.shape) for name, values in nulls.items()}, monkeypatch)
    assert all(row["exceeds_null"] is True and 0.7 < row["effect_null"] < 1.4 for row in found.clusters)


def test_subjects_without_null_map_are_left_out_and_too_few_leave_none(maps, compared, monkeypatch):
    nulls = nulls_of(maps)
    found = deepcopy(compared)
    add_nulls(found, nulls | {"s0": None}, monkeypatch)
    [left] = [peaks for peaks in found.peaks if peaks.contrast.name == "left_minus_HC"]
    assert np.isnan(left.nulls[0]).all() and np.isfinite(left.nulls[1:14]).all()
    assert left.rows[0]["exceeds_null"] is False
    found = deepcopy(compared)
    add_nulls(found, nulls | dict.fromkeys(("s0", "s1", "s2", "s3"), None), monkeypatch)
    assert all(row["exceeds_null"] is None and np.isnan(row["effect_null"]) for row in found.clusters)
