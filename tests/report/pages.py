"""Findings of a made-up run, its page, and what a reader finds there."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd

from mri_saliency import __version__
from mri_saliency.checks.verdicts import Verdict
from mri_saliency.output.files import write_picture
from mri_saliency.output.folder import FORMAT, OutputFolder
from mri_saliency.output.program import source_hash
from mri_saliency.report.findings import Findings
from mri_saliency.report.report import write_report
from mri_saliency.wording import DEFAULT_CLASS_NAMES

from ..made_cohort import HOSTILE, REPORT_METHODS

RUN = {
    "format": FORMAT,
    "tool": {"name": "mri-saliency-maps", "version": __version__, "source": source_hash()},
    "status": "describing",
    "command_line": f"generate {HOSTILE}",
    "options": {
        **{"output_dir": "maps", "csv_path": "val.csv", "baseline": "zero", "class_names": ["HC", "TLE"]},
        **{"max_samples": 50, "methods": ["integrated_gradients"], "target": 0, "first_slice": 10},
    },
    "settings": {"n_steps": 50, "seed": 0},
    "checkpoint": {"network": "EfficientNetV2-L", "path": "best.pth", "sha256": "0" * 64, "n_logits": 1},
    "skipped_rows": [],
    "device": {"name": "cuda:0", "hardware": "NVIDIA H100"},
    "versions": {"python": "3.11.7", "torch": "2.6", "captum": "0.9", "numpy": "2.0"},
    "started": "2026-11-26T00:17:42+00:00",
    "ended": "2026-11-26T00:18:42+00:00",
    "counts": {"maps": 4, "kept": 0, "failures": 0},
    "earlier_runs": [],
}
ANSWERS = {
    "finds the evidence": Verdict(False, "not ahead of |scan - baseline|."),
    "same with another seed": Verdict(None, "draws nothing"),
}


CLUSTER = {"method": "saliency", "contrast": "TLE_minus_HC", "peak_x": -27.4, "peak_y": -30.0}
CLUSTER |= {"peak_z": -12.1, "region": "Hip", "volume_mm3": 815.4, "peak_effect": 1.75, "peak_t": 6.04}
CLUSTER |= {"p": 0.004}


def findings_of(root, records, **changes):
    """Findings of these records; what `changes` does not give was not measured."""
    folder = OutputFolder(root, changes.pop("class_names", DEFAULT_CLASS_NAMES))
    return Findings(folder, **{"run": RUN, "records": records} | changes)


def save_page(root, records, *, embed=False, **changes):
    """Write a report into a folder; returns it as a reader sees it."""
    findings = findings_of(root, records, **changes)
    if not findings.folder.summary.exists():
        write_picture(findings.folder.summary, np.full((60, 200, 4), 120, np.uint8))
    write_report(findings, embed=embed)
    return Page(findings.folder)


class Page(HTMLParser):
    """A page's words, the rows of its tables, its addresses and the names of its parts."""

    def __init__(self, folder):
        super().__init__()
        self.source = folder.report.read_text(encoding="utf-8")
        self.rows, self.urls, self.ids, self.classes = [], set(), set(), []
        self._words, self._is_code, self._is_in_cell = [], False, False
        self.feed(self.source)
        self.text = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.urls |= {found[name] for name in ("href", "src") if name in found}
        self.ids |= {found["id"]} if "id" in found else set()
        self.classes += (found.get("class") or "").split()
        self._is_code = tag in ("script", "style")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._is_in_cell = True

    def handle_endtag(self, tag):
        self._is_code = False
        self._is_in_cell &= tag not in ("td", "th")

    def handle_data(self, data):
        if not self._is_code:
            self._words.append(data)
        if self._is_in_cell:
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())

    def rows_of(self, *names):
        """The rows that begin with one of these cells."""
        return [row for row in self.rows if row[0] in names]


def wait_until(browser, condition):
    """Wait until a function of nothing returns something true; returns that."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 10, 0.05).until(lambda _: condition())


def region_table(**densities):
    """Rows of region_statistics.csv, with diagnoses, of one scan: two methods and some regions' densities."""
    densities = densities or {"Hippocampus <L>": 2.5, "outside the brain": 0.1}
    rows = [
        {"subject_id": "sub-001", "subject": "1", "method": method, "region": region, "diagnosis": "left"}
        | {"mass": 1.0, "share": 0.5, "density": density, "asymmetry": -0.25, "density_null": 1.75}
        | dict.fromkeys(("density_z", "asymmetry_z"), np.nan)
        for method in REPORT_METHODS
        for region, density in densities.items()
    ]
    return pd.DataFrame(rows)
