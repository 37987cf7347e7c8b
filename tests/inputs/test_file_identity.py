"""A file is recognised by its content, or quickly by path, size and time."""

import os

import numpy as np

from mri_saliency.inputs.file_identity import FileIdentity, sha256_of_array, sha256_of_file


def written(path, content):
    path.write_bytes(content)
    return path


def test_hashes_are_those_of_sha256sum(tmp_path):
    path = written(tmp_path / "file", b"abc")
    assert sha256_of_file(path).startswith("ba7816bf8f01cfea414140de5dae2223")
    assert sha256_of_array(np.frombuffer(b"abc", np.uint8)) == sha256_of_file(path)


def test_the_untouched_file_matches_without_being_read(tmp_path, monkeypatch):
    identity = FileIdentity.of(path := written(tmp_path / "a", b"abc"), "")
    monkeypatch.setattr("mri_saliency.inputs.file_identity.sha256_of_file", None)
    assert identity.matches(path)


def test_otherwise_the_content_decides_as_far_as_it_can_be_read(tmp_path):
    identity = FileIdentity.of(path := written(tmp_path / "a", b"abc"), "")
    assert identity.matches(written(tmp_path / "b", b"abc"))
    for content, is_same in ((b"abc", True), (b"abd", False)):
        os.utime(written(path, content), ns=(0, 0))
        assert identity.matches(path) == is_same
    path.unlink()
    assert identity.matches(path)
