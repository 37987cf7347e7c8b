"""Which HC scans are references, and who is compared with which."""

import gzip
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mri_saliency.attribution.references import load_references
from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import sha256_of_file
from mri_saliency.inputs.loading import load_in_groups
from mri_saliency.runtime.workers import Workers

from ..conftest import brain, save_scan
from .conftest import load, scan_of

# Subject, content, label. P has two sessions, T a copy of Q's scan, and R a session as a patient.
ROWS = list(zip("PPQRSTRU", (0, 1, 2, 3, 4, 2, 5, 6), 6 * [0] + 2 * [1], strict=True))

in_groups = partial(load_in_groups, load=load, workers=Workers(0), group_size=3)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    found = []
    for index, (subject, seed, label) in enumerate(ROWS):
        path = save_scan(folder / f"{index}_T1w.nii", brain(seed=seed))
        found.append(scan_of(path, subject, ("HC", "TLE")[label]))
    return found


@pytest.fixture(scope="module")
def hashes(scans):
    return [sha256_of_file(scan.path) for scan in scans]


def references_of(scans, n=50, seed=0):
    return load_references(scans, in_groups, n_references=n, seed=seed)


@pytest.fixture(scope="module")
def references(scans):
    return references_of(scans)


def test_all_healthy_scans_are_references_and_copies_count_once(references, scans, hashes):
    assert sorted(references.scan_ids) == sorted(hashes[:5])
    for index, scan_id in enumerate(references.scan_ids):
        scan = load(scans[hashes.index(scan_id)])
        np.testing.assert_array_equal(references.inputs[index].transpose(2, 0, 1), scan.network_input)
        assert references.inputs[index].flags.c_contiguous
        assert references.paths[index] == str(scan.context.scan.path)


def test_a_scan_its_copies_and_its_subjects_other_scans_are_left_out(references, hashes):
    def left_out(scan_id):
        kept = references.available(scan_id)
        return {hashes.index(left) for index, left in enumerate(references.scan_ids) if index not in kept}

    of_scans = [{0, 1}, {0, 1}, {2}, {3}, {4}, {2}, {3}, set()]
    assert [left_out(scan_id) for scan_id in hashes] == of_scans
    assert left_out("of no scan of the table") == set()


def test_a_scan_that_cannot_be_loaded_is_replaced_by_the_next(scans, hashes, tmp_path, capsys):
    damaged = tmp_path / "damaged_T1w.nii"
    damaged.write_bytes(scans[4].path.read_bytes()[:10_000])
    found = references_of([*scans[:4], replace(scans[4], path=damaged), *scans[5:]], 4)
    assert "left out of the references: " in capsys.readouterr().err
    assert sorted(found.scan_ids) == sorted(hashes[:4])


def test_some_are_drawn_by_the_seed_and_of_different_subjects(scans, hashes, tmp_path):
    n = 3
    found = {seed: references_of(scans, n, seed) for seed in range(4)}
    assert len({references.identity for references in found.values()}) > 1
    for references in found.values():
        subjects = {scans[hashes.index(scan_id)].subject for scan_id in references.scan_ids}
        assert len(references.inputs) == len(subjects) == n
    moved = [replace(scan, path=Path(shutil.copy(scan.path, tmp_path))) for scan in reversed(scans)]
    again = references_of(moved, n, 3)
    assert (again.scan_ids, again.identity) == (found[3].scan_ids, found[3].identity)


def test_the_identity_tells_scans_and_subjects_apart(scans, references):
    assert references.identity.startswith("5 HC scans ") and len(references.identity) == 11 + 64
    fewer = references_of(scans[1:])
    other_subject = references_of([replace(scans[0], subject="W"), *scans[1:]])
    assert len({references.identity, fewer.identity, other_subject.identity}) == 3


def test_a_scan_as_nii_and_as_nii_gz_is_one(scans, references, tmp_path):
    twins = []
    for index, scan in enumerate(scans[1:4]):
        path = tmp_path / f"{scan.path.name}.gz"
        path.write_bytes(gzip.compress(scan.path.read_bytes()))
        twins.append(replace(scan, path=path, subject=f"twin {index}"))
    found = references_of([*twins, *scans])
    assert len(found.inputs) == 5
    for scan, twin in zip(scans[1:4], twins, strict=True):
        left = [
            {scan_id for index, scan_id in enumerate(found.scan_ids) if index not in found.available(of)}
            for of in (sha256_of_file(scan.path), sha256_of_file(twin.path))
        ]
        assert left[0] == left[1] and left[0]


def test_one_subject_is_too_few(scans):
    with pytest.raises(UserError, match=r"two subjects at least.*found 2 readable.*\(P\)"):
        references_of(scans[:2])
    with pytest.raises(UserError, match="no readable HC scan"):
        references_of([replace(scan, label=1) for scan in scans])
