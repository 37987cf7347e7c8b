"""A bad scan costs itself alone, and a hostile one nothing else."""

import json
import os
import pickle

import numpy as np
import pandas as pd

import generate_saliency_maps as script
from mri_saliency.run import map_writer

from ..conftest import DIAGNOSIS_COLUMN, brain, save_scan
from .outputs import ONE_METHOD, file_names, run


def test_a_bad_scan_costs_only_itself(maps_only, run_folder, capsys):
    save_scan(run_folder.scans[1], brain((60, 15, 60)))
    assert script.main(run_folder.options(*ONE_METHOD, "--no_nifti")) == 1
    failures = pd.read_csv(run_folder.output / "tables/failures.csv")
    assert failures["subject_id"].tolist() == ["sub-B"] and "coronal slices" in failures["reason"][0]
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv")
    assert table["subject_id"].tolist() == ["sub-A", "12"]
    assert not list((run_folder.output / "saliency").rglob("*.nii.gz"))
    assert "failed: sub-B" in capsys.readouterr().err


def test_a_defect_in_drawing_costs_one_map_and_keeps_its_traceback(
    maps_only, run_folder, monkeypatch, capsys
):
    summary_figure = map_writer.summary_figure

    def defect(shown):
        if shown.view.title.startswith("sub-B"):
            raise ZeroDivisionError("a defect")
        return summary_figure(shown)

    monkeypatch.setattr(map_writer, "summary_figure", defect)
    assert run(run_folder) == 1
    assert len(pd.read_csv(run_folder.output / "tables/failures.csv")) == 2
    assert "Traceback" in capsys.readouterr().err


def test_unusual_grids_are_pointed_out(maps_only, run_folder, capsys):
    save_scan(run_folder.scans[0], brain(seed=1), np.diag([1.6, 1.5, 1.5, 1.0]))
    assert script.main(run_folder.options(*ONE_METHOD, "--no_nifti")) == 0
    error = capsys.readouterr().err
    assert error.count("voxels of 1.6 x 1.5 x 1.5 mm, not 1.5 mm") == 1
    assert error.count("The network may see something else than in training") == 1
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv").set_index("subject_id")
    assert table.loc["sub-A", "input_warning"] == "voxels of 1.6 x 1.5 x 1.5 mm, not 1.5 mm"
    assert table["input_warning"].isna().tolist() == [False, True, True]
    record = json.loads((run_folder.output / "run.json").read_text())
    assert record["input_warnings"] == {"voxels of 1.6 x 1.5 x 1.5 mm, not 1.5 mm": 1}
    assert record["skipped_rows"][0]["value"] == "other"


# --- hostile input ---


class Attack:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_hostile_files_and_names_reach_nothing_outside_the_folder(maps_only, run_folder):
    root = run_folder.output.parent
    marker = root / "attacked"
    hostile = root / "hostile"
    names = ["=cmd|'!A0'_a.npy", "x" * 240 + ".npy", "..\\..\\b.npy", "new\nline_c.npy", "..npy", "-e_f.npy"]
    rows = []
    for index, name in enumerate(names):
        path = save_scan(hostile / str(index) / name, brain(seed=index))
        rows.append({"file": str(path), DIAGNOSIS_COLUMN: "left"})
    attack = hostile / "attack.pkl"
    attack.write_bytes(pickle.dumps({"image": Attack(marker), "label": 1}))
    up = "../" * 30
    rows += [{"file": name, DIAGNOSIS_COLUMN: "HC"} for name in (str(attack), f"{up}etc/passwd", "/dev/zero")]
    pd.DataFrame(rows).to_csv(run_folder.table, index=False)
    outside = file_names(root)
    assert script.main(run_folder.options(*ONE_METHOD, "--no_nifti")) == 1
    made = file_names(root) - outside
    assert made and all(name.startswith("maps/") for name in made)
    assert not marker.exists()
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv")
    assert len(table) == len(names)
    assert table["subject_id"].str.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}").all()
    failures = pd.read_csv(run_folder.output / "tables/failures.csv")
    assert len(failures) == 3 and failures["reason"].str.contains("could run code|unknown kind|no such").all()
