"""A run writes over nothing that others wrote, and over nothing that it reads."""

import pytest

from mri_saliency.errors import UserError
from mri_saliency.output.files import SUBFOLDERS, write_json, write_text
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.ownership import check_own

from ..made_cohort import RUN


@pytest.fixture
def folder(tmp_path):
    folder = OutputFolder(tmp_path / "maps")
    folder.create()
    return folder


@pytest.mark.parametrize(
    "name",
    [
        *(
            "dataset_description.json",
            "report.html",
            "run.json",
            "tables/failures.csv",
            "figures/group_clusters.png",
        ),
        *("saliency/notes.txt", "group_maps/a/b.nii", "saliency"),
    ],
)
@pytest.mark.parametrize(
    "text", ['{"mine": 1, "format": 3}', '{"tool": {"name": "other"}}', '{"tool": "x"}', "[]"]
)
def test_a_users_own_files_are_refused_by_name(folder, name, text):
    path = folder.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    for overwrite in (False, True):
        with pytest.raises(UserError, match=f"holds files .*{name.split('/')[0]}.*Choose another"):
            check_own(folder, overwrite=overwrite)


def test_folders_that_are_free_or_this_programs_are_not_refused(folder):
    check_own(OutputFolder(folder.root / "absent"))
    (folder.root / "saliency").mkdir()
    for name in ("README", "scan.nii", "tables/notes.csv", "figures/1.png"):
        write_text(folder.root / name, "mine")
    check_own(folder)
    for name in ("report.html", "saliency/a.npy"):
        (folder.root / name).write_text("made")
    write_json(folder.run_record, RUN)
    check_own(folder)
    write_json(folder.run_record, RUN | {"format": 1})
    with pytest.raises(UserError, match="another version of this program"):
        check_own(folder)
    check_own(folder, overwrite=True)


@pytest.mark.parametrize("name", ["saliency", "saliency/sub-A", "group_maps/saliency", *SUBFOLDERS])
def test_links_in_the_place_of_folders_are_refused(folder, tmp_path, name):
    write_json(folder.run_record, RUN)
    (tmp_path / "elsewhere").mkdir()
    (folder.root / name).parent.mkdir(exist_ok=True)
    (folder.root / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"links .*: {name}"):
        check_own(folder)


def test_what_the_run_reads_may_not_lie_where_it_writes(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder.root)
    root = folder.root
    check_own(folder, [root / "scans" / "a.nii", root / "val.csv", tmp_path / "saliency" / "a.nii"])
    for path in (root / "saliency" / "a.nii", tmp_path / "link" / "tables/failures.csv"):
        with pytest.raises(UserError, match=f"{path}: is to be read, and the run writes"):
            check_own(folder, [root / "a.nii", path])
