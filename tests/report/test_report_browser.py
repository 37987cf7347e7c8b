"""The report in a browser: filters, sorting, scales, a map's figure; light, dark, on a phone, in print."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mri_saliency.output.files import write_picture
from mri_saliency.output.folder import OutputFolder

from ..made_cohort import HOSTILE, made_record, pictured, report_records
from .pages import region_table, save_page, wait_until
from .test_report import GROUPS, warned_records


def open_page(browser, folder, records, **changes):
    save_page(folder, records, **changes)
    browser.get((folder / "report.html").as_uri())


def shown(browser):
    """Names of the scans, in the order shown."""
    scans = "document.querySelectorAll('#subjects li:not([hidden])')"
    return browser.execute_script(f"return [...{scans}].map(scan => scan.dataset.id)")


def choose(browser, name, value):
    script = """const control = document.getElementById("controls").elements[arguments[0]];
        control.value = arguments[1]; control.dispatchEvent(new Event("change", {bubbles: true}))"""
    browser.execute_script(script, name, value)


def sort_by(browser, key):
    choose(browser, "order", key)
    return shown(browser)


def test_the_scans_are_sorted_and_filtered(browser, tmp_path):
    open_page(browser, tmp_path, warned_records())
    assert browser.title.startswith("Saliency report")  # the hostile name did not run
    assert shown(browser)[0] == "sub-000" and len(shown(browser)) == 6  # the wrong one first
    assert sort_by(browser, "id")[-1] == "sub-004"
    assert sort_by(browser, "probability")[0] == "sub-001"
    for name, value, expected in (
        ("correct", "false", ["sub-000"]),
        ("diagnosis", "right", ["sub-003"]),
        ("diagnosis", "patients", [HOSTILE, "sub-001", "sub-003"]),
        ("kind", "check", ["sub-002"]),
        ("warned", "true", ["sub-000", "sub-001", "sub-002"]),
        ("search", "sub-004", ["sub-004"]),
    ):
        choose(browser, name, value)
        assert sorted(shown(browser)) == expected
        choose(browser, name, "")
    maps = browser.find_elements("css selector", "#subjects .map")
    for method, n in (("saliency", 6), ("", 12)):
        choose(browser, "method", method)
        assert sum(one.is_displayed() for one in maps) == n


def test_search_finds_files_and_the_regions_of_the_shown_maps(browser, tmp_path):
    """The region is one of sub-001's maps, by both methods; insula only of the second."""
    regions = region_table()
    regions.loc[(regions["method"] == "saliency") & (regions["density"] > 1), "region"] = "Insula"
    open_page(browser, tmp_path, report_records(), regions=regions)
    for method, search, expected in (
        ("integrated_gradients", "insula", []),
        ("", "INSULA", ["sub-001"]),
        ("", "sub-003.nii", ["sub-003"]),  # the file's name
    ):
        choose(browser, "method", method)
        choose(browser, "search", search)
        assert shown(browser) == expected
    choose(browser, "search", "insula")
    found = browser.find_elements("css selector", "[data-id=sub-001] .map:not([hidden])")
    assert [one.get_attribute("data-method") for one in found] == ["saliency"]


def measured_maps(folder):
    """Three scans by two methods: (own scale, brain share, its null's, map error)."""
    numbers = {
        ("A", "integrated_gradients"): (1.0, 0.8, 0.7, 0.001), ("A", "saliency"): (2.0, 0.9, 0.6, 0.003),
        ("B", "integrated_gradients"): (4.0, 0.6, 0.8, 0.002), ("B", "saliency"): (0.5, 0.5, 0.4, None),
        ("C", "integrated_gradients"): (0.2, 0.7, 0.6, 0.001), ("C", "saliency"): (1.0, 0.3, None, 0.001),
    }  # fmt: skip
    names = ("brain_share", "brain_share_null", "map_error")
    records = [
        made_record(f"sub-{name}", method, **dict(zip(names, row[1:], strict=True)))
        for (name, method), row in numbers.items()
    ]
    return pictured(records, folder, [row[0] for row in numbers.values()])


def test_scans_are_sorted_and_filtered_by_their_maps_numbers(browser, tmp_path):
    open_page(browser, tmp_path, measured_maps(tmp_path))
    choose(browser, "method", "")
    # over the common scales, 3.4 of integrated gradients and 1.8 of saliency: A 1.11, B 1.18, C 0.56
    assert sort_by(browser, "strength") == ["sub-B", "sub-A", "sub-C"]
    choose(browser, "method", "saliency")
    assert shown(browser) == ["sub-A", "sub-C", "sub-B"]
    assert sort_by(browser, "error") == ["sub-A", "sub-C", "sub-B"]  # an unknown one comes last
    choose(browser, "method", "")
    assert sort_by(browser, "share") == ["sub-C", "sub-B", "sub-A"]
    choose(browser, "kind", "below")
    assert shown(browser) == ["sub-B"]


def opacities(browser):
    script = "return [...document.querySelectorAll('.overlay')].map(i => Number(getComputedStyle(i).opacity))"
    return browser.execute_script(script)


def test_maps_share_a_scale_until_the_switch_is_on(browser, tmp_path):
    records = [made_record(f"sub-{i}") for i in range(11)]
    open_page(browser, tmp_path, pictured(records, tmp_path, range(1, 12)))
    # the 90th percentile of 1 to 11 is 10; the scan with 11 is beyond it
    expected = [min(1, own / 10) ** 0.6 for own in range(1, 12)]
    assert sorted(opacities(browser)) == pytest.approx(expected, abs=0.006)
    browser.find_element("name", "own").click()
    assert opacities(browser) == [1] * 11


def test_the_halves_of_a_thumbnail_lie_over_each_other(browser, tmp_path):
    """Green anatomy under a red map of half its common scale."""
    [weak, strong] = pictured([made_record("sub-A"), made_record("sub-B")], tmp_path, [0.5, 1])
    picture = np.zeros((112, 224, 4), np.uint8)
    picture[:, :112] = (0, 255, 0, 255)
    picture[:, 168:] = (255, 0, 0, 255)  # the map's right half
    Image.fromarray(picture).save(OutputFolder(tmp_path).thumbnail("saliency", "sub-A"))
    open_page(browser, tmp_path, [weak, strong])
    element = browser.find_element("css selector", "[data-id=sub-A] .open")
    browser.execute_script("arguments[0].scrollIntoView()", element)
    seen = np.asarray(Image.open(BytesIO(element.screenshot_as_png)).convert("RGB")).astype(int)
    height, width = seen.shape[:2]
    assert abs(height - width) <= 1
    left, right = seen[height // 2, width // 4], seen[height // 2, 3 * width // 4]
    opacity = (0.5 / 0.95) ** 0.6  # the 90th percentile of 0.5 and 1 is 0.95
    np.testing.assert_allclose(left, (0, 255, 0), atol=3)
    np.testing.assert_allclose(right, (255 * opacity, 255 * (1 - opacity), 0), atol=5)


def test_a_maps_figure_opens_and_steps_by_keyboard(browser, tmp_path):
    from selenium.webdriver.common.keys import Keys

    records = pictured(report_records(), tmp_path)
    figure = OutputFolder(tmp_path).summary_figure("integrated_gradients", "sub-000")
    write_picture(figure, np.full((60, 200, 4), 120, np.uint8))
    open_page(browser, tmp_path, records)
    browser.find_element("css selector", "#subjects .open").send_keys(Keys.ENTER)
    dialog = browser.find_element("id", "figure")
    assert dialog.is_displayed() and "sub-000, Integrated Gradients" in dialog.text
    assert "a scale of its own, 1 times the one that all scans share" in dialog.text
    width = "return document.querySelector('#figure img').naturalWidth"
    wait_until(browser, lambda: browser.execute_script(width) == 200)
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert "sub-000" not in dialog.text and "Integrated Gradients" in dialog.text
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not dialog.is_displayed()
    assert browser.switch_to.active_element == browser.find_elements("css selector", ".open")[2]


def test_the_page_is_short_and_its_pictures_have_words(browser, tmp_path):
    records = pictured(report_records(60), tmp_path)
    open_page(browser, tmp_path, records, groups=GROUPS, regions=region_table())
    assert browser.execute_script("return document.documentElement.scrollHeight") < 3000 + 60 * 60
    # however long the text for a paper is, it takes a screen: it scrolls by itself
    assert browser.execute_script("return document.querySelector('#paper').offsetHeight") < 1000
    words = "return [...document.querySelectorAll('.open img:first-child, figure img')].map(one => one.alt)"
    assert all(len(alt) > 20 for alt in browser.execute_script(words))


def test_a_keyboard_is_near_the_first_scan_and_chooses_a_method(browser, tmp_path):
    from selenium.webdriver.common.keys import Keys

    open_page(browser, tmp_path, pictured(report_records(), tmp_path), groups=GROUPS, regions=region_table())
    browser.find_element("tag name", "body").send_keys(Keys.TAB, Keys.ENTER)
    assert browser.current_url.endswith("#scans")
    n_stops = 0
    while not browser.switch_to.active_element.get_attribute("class").startswith("open"):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        n_stops += 1
        assert n_stops < 12
    panels = browser.find_elements("css selector", "#regions [role=tabpanel]")
    browser.find_element("css selector", "#regions [role=tab]").send_keys(Keys.ARROW_RIGHT)
    assert [panel.is_displayed() for panel in panels] == [False, True]


def test_a_phone_scrolls_the_page_in_one_direction(browser, tmp_path):
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    records = pictured([*report_records(60), made_record(40 * "long")], tmp_path)  # some beyond the screen
    open_page(browser, tmp_path, records, groups=GROUPS, regions=region_table())
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_print_holds_the_groups_alone(browser, tmp_path):
    groups = replace(GROUPS, figures={"saliency": {"HC": OutputFolder(tmp_path).summary}})
    open_page(browser, tmp_path, pictured(report_records(), tmp_path), groups=groups)
    visible = """return [...document.querySelectorAll("main section, main table")]
        .filter(one => one.checkVisibility()).map(one => one.id || one.tagName)"""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = browser.execute_script(visible)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert shown == ["groups", "TABLE"]


def test_it_is_legible_dark_and_light(browser, tmp_path):
    colours = {}
    open_page(browser, tmp_path, report_records())
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        style = "return ['backgroundColor', 'color'].map(k => getComputedStyle(document.body)[k])"
        values = browser.execute_script(style)
        colours[scheme], text = (np.mean([int(part) for part in value[4:-1].split(",")]) for value in values)
        assert abs(colours[scheme] - text) > 150
    assert colours["dark"] < 50 < 200 < colours["light"]
