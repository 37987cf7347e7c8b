"""The report says what the tables say, keeps hostile names inert, and works in a browser."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mri_saliency import outputs, report

METHODS = ("integrated_gradients", "saliency")
HOSTILE = '<script>document.title="run"</script>'


def statistics(n=6):
    """Scan 1 is HC and wrong, all others right; the last has a hostile name."""
    rows = []
    for i in range(n):
        label = i % 2
        for method in METHODS:
            rows.append(
                {
                    "subject_id": HOSTILE if i == n - 1 else f"sub-{i:03}",
                    "method": method,
                    "true_label": label,
                    "diagnosis": ("HC", ("left", "right")[i // 2 % 2])[label],
                    "prediction": 0.8 if i == 0 else (0.1 + 0.01 * i, 0.9 - 0.01 * i)[label],
                    "confidence": 0.8 if i == 0 else 0.9 - 0.01 * i,
                    "completeness_verdict": (None if method == "saliency" else ("ok", "check")[i == 2]),
                    "completeness_error": None if method == "saliency" else 0.123,
                    "brain_share": 0.7,
                }
            )
    return pd.DataFrame(rows)


def page_of(folder, table, **changes):
    picture = folder / "a b" / "summary#1.png"
    if not picture.exists():
        picture.parent.mkdir()
        Image.fromarray(np.full((60, 200, 3), 120, np.uint8)).save(picture)
    pairs = zip(table["subject_id"], table["method"], strict=True)
    content = {
        "run": {
            "command_line": f"generate {HOSTILE}",
            "options": {"output_dir": str(folder), "csv_path": "val.csv", "baseline": "zero"},
            "settings": {"n_steps": 50},
            "checkpoint": {"network": "EfficientNetV2-S", "path": "best_model.pth", "sha256": "0" * 64},
            "device": {"name": "cpu", "hardware": "cpu"},
            "tool": {"name": "mri-saliency-maps", "version": "1"},
            "versions": {"python": "3"},
            "started": "2026-01-01",  # and no "ended": a run that was killed
        },
        "statistics": table,
        "alarms": ["something"],
        "figures": {"summary": picture},
        "group_figures": {method: {"HC": picture} for method in METHODS},
        "summaries": dict.fromkeys(pairs, picture),
        "agreement": pd.DataFrame(),
    } | changes
    text = report.render(report.Report(**content), lambda path: outputs.relative_url(path, folder))
    (folder / "report.html").write_text(text, encoding="utf-8")
    return text


def test_classification_against_counts_and_pairs():
    table = statistics(40)
    found = report.classification(table)
    assert found["confusion"] == {"HC": {"HC": 19, "TLE": 1}, "TLE": {"HC": 0, "TLE": 20}}
    assert (found["accuracy"], found["sensitivity"], found["specificity"]) == (39 / 40, 1.0, 19 / 20)
    scans = table.drop_duplicates("subject_id")
    hc, tle = (scans.loc[scans["true_label"] == label, "prediction"].to_numpy() for label in (0, 1))
    pairs = (tle[:, None] > hc).mean() + (tle[:, None] == hc).mean() / 2
    assert found["auc"] == pytest.approx(pairs)
    x, y = np.array(found["roc"]).T
    assert (np.diff(x) * (y[1:] + y[:-1]) / 2).sum() == pytest.approx(pairs)
    only_hc = report.classification(table[table["true_label"] == 0])
    assert only_hc["auc"] is only_hc["sensitivity"] is None and only_hc["roc"] == []


def test_names_cannot_become_markup_and_paths_become_urls(tmp_path):
    page = page_of(tmp_path, statistics())
    assert "<script>document.title" not in page and "&lt;script&gt;document.title" in page
    assert 'src="a%20b/summary%231.png"' in page
    assert "http:" not in page.replace("http://www.w3.org", "") and "https:" not in page


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("no chromium and chromedriver here (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={profile}")
    options.add_argument("--window-size=1300,900")
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


def shown(browser):
    """Names of the scans in the table, as they stand."""
    script = (
        "return [...document.querySelectorAll('#subjects tbody tr:not([hidden])')].map(r => r.dataset.id)"
    )
    return browser.execute_script(script)


def choose(browser, name, value):
    script = """const control = document.getElementById("controls").elements[arguments[0]];
        control.value = arguments[1]; control.dispatchEvent(new Event("input", {bubbles: true}))"""
    browser.execute_script(script, name, value)


def test_the_table_sorts_and_filters_in_a_browser(browser, tmp_path):
    page_of(tmp_path, statistics())
    browser.get((tmp_path / "report.html").as_uri())
    assert browser.title.startswith("Saliency report")  # the hostile name did not run
    assert shown(browser)[0] == "sub-000" and len(shown(browser)) == 6  # the wrong one first
    browser.find_element("css selector", "button[data-key=id]").click()
    assert shown(browser)[-1] == "sub-004"
    browser.find_element("css selector", "button[data-key=id]").click()
    assert shown(browser)[0] == "sub-004"
    browser.find_element("css selector", "button[data-key=probability]").click()
    assert shown(browser)[0] == "sub-002"
    choose(browser, "correct", "false")
    assert shown(browser) == ["sub-000"]
    choose(browser, "correct", "")
    choose(browser, "diagnosis", "right")
    assert shown(browser) == ["sub-003"]
    choose(browser, "diagnosis", "")
    choose(browser, "verdict", "check")
    assert shown(browser) == ["sub-002"]
    choose(browser, "verdict", "")
    choose(browser, "method", "saliency")
    maps = browser.find_elements("css selector", "#subjects .map")
    assert sum(one.is_displayed() for one in maps) == 6
    choose(browser, "search", "00")
    assert len(shown(browser)) == 5


def test_the_viewer_opens_and_steps_by_keyboard(browser, tmp_path):
    from selenium.webdriver.common.keys import Keys

    page_of(tmp_path, statistics())
    browser.get((tmp_path / "report.html").as_uri())
    first = browser.find_element("css selector", "#subjects .map")
    first.send_keys(Keys.ENTER)
    viewer = browser.find_element("id", "viewer")
    assert viewer.is_displayed() and "sub-000, integrated_gradients" in viewer.text
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert "sub-000, saliency" in viewer.text
    width = browser.execute_script("return document.querySelector('#viewer img').naturalWidth")
    assert width == 200  # the picture is found
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not viewer.is_displayed()
    browser.find_element("tag name", "body").send_keys("/")
    assert browser.switch_to.active_element.get_attribute("name") == "search"


def test_a_cohort_of_480_scans_opens_with_lazy_pictures(browser, tmp_path):
    page_of(tmp_path, statistics(480))
    browser.get((tmp_path / "report.html").as_uri())
    wait = pytest.importorskip("selenium.webdriver.support.wait").WebDriverWait(browser, 30)
    wait.until(lambda _: browser.find_element("id", "count").text == "480 of 480 scans")
    lazy = "return [...document.querySelectorAll('.map img')].filter(i => i.loading === 'lazy').length"
    assert browser.execute_script(lazy) == 480 * len(METHODS)
    ready = "return performance.getEntriesByType('navigation')[0].domInteractive"
    print(f"ready after {browser.execute_script(ready):.0f} ms")  # noisy machines: no assertion on time


def test_it_is_legible_dark_and_light(browser, tmp_path):
    page_of(tmp_path, statistics())
    colours = {}
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        browser.get((tmp_path / "report.html").as_uri())
        style = "return ['backgroundColor', 'color'].map(k => getComputedStyle(document.body)[k])"
        ground, text = (
            np.array([int(v) for v in value[4:-1].split(",")]) for value in browser.execute_script(style)
        )
        colours[scheme] = ground.mean()
        assert abs(ground.mean() - text.mean()) > 150
    assert colours["dark"] < 50 < 200 < colours["light"]


def test_the_template_is_packaged():
    assert (Path(report.__file__).parent / "report.html").is_file()
    pyproject = (Path(report.__file__).parent.parent / "pyproject.toml").read_text()
    assert 'mri_saliency = ["report.html"]' in pyproject
