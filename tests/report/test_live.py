"""The page of an unfinished run: the report with the sections that exist, and how far the run is."""

import numpy as np
import pytest

from mri_saliency.output.files import write_json, write_picture
from mri_saliency.output.folder import OutputFolder
from mri_saliency.report.report import write_unfinished
from mri_saliency.run.outcome import Failure, RunState

from ..made_cohort import made_record, pictured
from .pages import RUN, Page, wait_until

RECORDS = [made_record(f"sub-{i}", method) for i in range(3) for method in ("saliency", "deep_lift")]


@pytest.fixture
def folder(tmp_path):
    folder = OutputFolder(tmp_path)
    write_json(folder.run_record, {key: RUN[key] for key in RUN.keys() - {"ended", "counts"}})
    return folder


def page_of(folder, status="running", **changes):
    write_unfinished(folder, RECORDS, RunState(**{"status": status, "n_planned": 9, "n_done": 6} | changes))
    return Page(folder)


def test_the_page_has_what_exists_and_says_how_far_the_run_is(folder):
    for path in (folder.summary, folder.cluster_figure):  # of an earlier run
        write_picture(path, np.zeros((4, 4, 4), np.uint8))
    failure = Failure("sub-1", "saliency", "1.nii", "the file is <damaged>")
    page = page_of(folder, failures=(failure,))
    assert "6 of 9 maps are done, 1 of them failed. The run is unfinished." in page.text
    assert ["sub-1", "Saliency", "the file is <damaged>"] in page.rows
    assert {"scans", "technical"} <= page.ids and 'data-id="sub-2"' in page.source
    unmeasured = {"groups", "believe", "regions", "paper", "map-viewer"}
    assert not unmeasured & page.ids and "processes" not in page.text
    assert not any("summary.png" in url or "lateralisation" in url for url in page.urls if "sub-" not in url)


@pytest.mark.parametrize(
    ("status", "sentence", "reloads"),
    [("checking", "They are being checked", True), ("interrupted", "The same command continues it", False)],
)
def test_the_page_says_how_the_run_stands(folder, status, sentence, reloads):
    page = page_of(folder, status, n_ranks=2)
    assert "those of the first of 2 processes" in page.text
    assert sentence in page.text and ("data-reload-s" in page.source) == reloads


def test_without_maps_or_run_there_is_no_page(folder):
    write_unfinished(folder, [], RunState("running", 4, 0))
    folder.run_record.unlink()
    write_unfinished(folder, RECORDS, RunState("running", 4, 0))
    assert not folder.report.exists()


def test_it_is_loaded_again_where_it_was_unless_someone_looks_into_it(browser, folder):
    """A second page takes the place of the first, and the browser finds it."""
    pictured(RECORDS, folder.root)

    def save(n_done):
        page = page_of(folder, n_done=n_done).source.replace('data-reload-s="30"', 'data-reload-s="1"')
        folder.report.write_text(page)

    save(3)
    browser.get(folder.report.as_uri())
    browser.execute_script("scrollTo(0, 300)")
    save(6)
    wait_until(browser, lambda: browser.title.startswith("6 of 9 maps"))
    wait_until(browser, lambda: browser.execute_script("return scrollY") == 300)
    browser.execute_script("""const {method} = document.getElementById("controls").elements;
        method.value = ""; method.dispatchEvent(new Event("change", {bubbles: true}))""")
    save(7)
    browser.execute_async_script("setTimeout(arguments[0], 2500)")
    assert browser.title.startswith("6 of 9 maps")
