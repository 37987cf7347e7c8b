"""An atlas's table of names, in the layouts that atlases come with."""

import pytest

from mri_saliency.errors import UserError
from mri_saliency.inputs.atlas import read_atlas
from mri_saliency.inputs.atlas_names import read_names

from ..made_cohort import save_atlas, save_names


@pytest.mark.parametrize(
    "text",
    [
        "ROIid;ROIabbr;ROIname;ROIbaseid\n1;lS;Left Side;1\n2;rS;Right Side;1\n",  # CAT12
        "index,name,color\n0,Background,#000000\n1,Left Side,#123456\n2,Right Side,#654321\n",  # nilearn
        '1,"Left Side"\n2,Right Side\n',
        "\ufeffname\tindex\nLeft Side\t1\nRight Side\t2\n",
    ],
)
def test_layouts_of_names(tmp_path, text):
    path = save_names(tmp_path / "names.csv", text)
    listed = read_names(path)
    listed.pop(0, None)
    assert listed == {1: "Left Side", 2: "Right Side"}
    atlas = read_atlas(save_atlas(tmp_path / "a.nii.gz"), path)
    assert atlas.names == {1: "Left Side", 2: "Right Side", 7: "label 7"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label\n1\n", "expected a column of labels"),
        ("", "expected a column"),
        ("index,name\nx,A\n", "a row has no whole number"),
        ("1,Other\n2,Area, left\n", "line 2 has 3 cells, and the header 2"),
        ("1\n2\n", "a row has no whole number for its label, or no name"),
    ],
)
def test_tables_that_name_nothing(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_names(save_names(tmp_path / "n.csv", text))


def test_a_table_that_cannot_be_read(tmp_path):
    (tmp_path / "n.csv").write_bytes(b"\xff\xfe\x00name")
    for name in ("n.csv", "absent.csv"):
        with pytest.raises(UserError, match="cannot be read as a table of names"):
            read_names(tmp_path / name)
