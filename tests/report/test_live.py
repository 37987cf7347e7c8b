"""The page of a running run: written with the first map, then seldom; it says what is unfinished."""

import json

import pytest

from mri_saliency.errors import OutputError
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.output.folder import OutputFolder
from mri_saliency.report import live as live_report
from mri_saliency.report.live import LiveReport, write_live_report
from mri_saliency.run.outcome import Outcome
from mri_saliency.run.plan import MapFiles, Plan
from mri_saliency.runtime.ranks import Ranks

from ..made_cohort import made_record, pictured

SCANS = [Scan(f"sub-{i}", None, 0, "HC", i) for i in range(4)]


def write_status(folder, status):
    content = {
        "status": status,
        "started": "2026-11-26T00:17:42+00:00",
        "options": {"output_dir": "maps", "class_names": ["HC", "TLE"]},
        "checkpoint": {"network": "EfficientNetV2-S"},
    }
    folder.run_record.write_text(json.dumps(content))


class Clock:
    """Seconds that pass when a test says so, and a set time for each page."""

    def __init__(self, patch, page_s=0.0):
        self.now_s, self.page_s, self.n_pages = 0.0, page_s, 0
        write = live_report.write_live_report

        def timed(*args):
            write(*args)
            self.now_s += self.page_s
            self.n_pages += 1

        patch.setattr(live_report, "write_live_report", timed)
        patch.setattr(live_report.time, "monotonic", lambda: self.now_s)


@pytest.fixture
def folder(tmp_path):
    folder = OutputFolder(tmp_path)
    write_status(folder, "running")
    return folder


def live(folder, kept=(), ranks=None):
    """A live report of four scans' saliency, and its outcome."""
    outcome = Outcome(n_kept=len(kept), n_planned=4)
    plan = Plan({}, {}, MapFiles(folder, (2,), nifti=False, n_logits=1), tuple(kept))
    return LiveReport(plan, outcome, ranks or Ranks()), outcome


def finish(page, outcome, folder, index):
    """Write a scan's map, and tell the page."""
    record = made_record(f"sub-{index}", files=["attributions.npy"], sample_idx=index)
    folder.open_map("saliency", f"sub-{index}", replace=True)
    folder.array("saliency", f"sub-{index}").write_bytes(b"1")
    folder.write_record(record)
    outcome.n_written += 1
    page.update(SCANS[index], "saliency")


def text_of(folder):
    return " ".join(folder.report.read_text(encoding="utf-8").split())


def test_the_first_map_brings_the_page_and_then_every_30_seconds_at_most(folder, monkeypatch):
    clock, (page, outcome) = Clock(monkeypatch), live(folder)
    assert not folder.report.exists()
    finish(page, outcome, folder, 0)
    text = text_of(folder)
    assert "<strong>1 of 4 maps are done.</strong> The run is unfinished." in text
    assert 'data-id="sub-0"' in text and "begun 26 November 2026, 00:17 UTC+0" in text
    assert 'http-equiv="refresh" content="30"' in text and "location.reload()" in text
    clock.now_s = 29
    finish(page, outcome, folder, 1)
    assert clock.n_pages == 1 and text == text_of(folder)
    clock.now_s = 31
    finish(page, outcome, folder, 2)
    text = text_of(folder)
    assert "3 of 4 maps" in text and all(f'data-id="sub-{i}"' in text for i in range(3))


def test_a_page_that_takes_long_is_written_less_often(folder, monkeypatch):
    clock, (page, outcome) = Clock(monkeypatch, page_s=2.0), live(folder)
    finish(page, outcome, folder, 0)
    clock.now_s = 201.0  # a hundredth of the time would be exceeded
    finish(page, outcome, folder, 1)
    assert clock.n_pages == 1
    clock.now_s = 203.0
    finish(page, outcome, folder, 2)
    assert clock.n_pages == 2


def test_each_record_is_read_once_and_kept_maps_never(folder, monkeypatch):
    clock, kept = Clock(monkeypatch), pictured([made_record("sub-3", sample_idx=3)], folder.root)
    page, outcome = live(folder, kept)
    read, names = OutputFolder.read_record, []
    monkeypatch.setattr(OutputFolder, "read_record", lambda *args: names.append(args[1:]) or read(*args))
    for index in range(3):
        finish(page, outcome, folder, index)
        clock.now_s += 40
    assert names == [("saliency", f"sub-{index}") for index in range(3)]
    text = text_of(folder)
    assert "4 of 4 maps" in text and 'data-id="sub-3"' in text
    assert 'src="saliency/sub-3/sub-3_saliency_thumbnail.png"' in text


def test_failures_are_listed(folder):
    page, outcome = live(folder)
    outcome.add_failures(SCANS[1], ["saliency"], "the file is <damaged>")
    finish(page, outcome, folder, 0)
    text = text_of(folder)
    assert "2 of 4 maps are done, 1 of them failed." in text and "the file is &lt;damaged&gt;" in text


class TwoRanks(Ranks):
    def __init__(self, rank):
        super().__init__()
        self.rank, self.size = rank, 2


def test_the_main_rank_alone_writes_and_says_whose_maps_these_are(folder):
    page, outcome = live(folder, ranks=TwoRanks(1))
    finish(page, outcome, folder, 0)
    assert not folder.report.exists()
    page, outcome = live(folder, ranks=TwoRanks(0))
    finish(page, outcome, folder, 0)
    assert "those of the first of 2 processes" in text_of(folder)


def test_a_disk_that_cannot_be_written_to_raises(folder):
    page, outcome = live(folder)
    folder.report.mkdir()
    with pytest.raises(OutputError, match="report.html: cannot be written"):
        finish(page, outcome, folder, 0)


@pytest.mark.parametrize(
    ("status", "sentence", "reloads"),
    [
        ("checking", "They are being checked", True),
        ("describing", "then this page becomes the report", True),
        ("interrupted", "It was interrupted. The same command continues it", False),
    ],
)
def test_the_page_says_how_the_run_stands(folder, status, sentence, reloads):
    write_status(folder, status)
    write_live_report(folder, [made_record()], Outcome(n_written=1, n_planned=4))
    text = text_of(folder)
    assert sentence in text and ("location.reload()" in text) == reloads and "is unfinished" not in text


def test_what_was_chosen_outlives_a_reload(browser, folder):
    maps = [made_record(f"sub-{i}", method) for i in range(3) for method in ("saliency", "deep_lift")]
    write_live_report(folder, pictured(maps, folder.root, range(1, 7)), Outcome(n_written=6, n_planned=9))
    browser.get(folder.report.as_uri())
    browser.execute_script("""const fields = document.getElementById("controls").elements;
        fields.method.value = "saliency"; fields.own.click();""")
    strength = "button[data-key=strength]"
    for _ in range(2):  # the weakest first
        browser.find_element("css selector", strength).click()
    for _ in range(3):
        state = browser.execute_script("""const shown = [...document.querySelectorAll(".map:not([hidden])")];
            return [document.querySelector("[aria-sort]").ariaSort, shown.map(map => map.dataset.strength),
                    getComputedStyle(document.querySelector(".overlay")).opacity]""")
        assert state == ["ascending", ["0.217", "0.652", "1.09"], "1"]
        browser.refresh()


def test_without_maps_there_is_no_page(folder):
    write_live_report(folder, [], Outcome(n_planned=4))
    assert not folder.report.exists()
