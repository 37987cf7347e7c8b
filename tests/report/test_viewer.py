"""The viewer shows what the NIfTI files hold, where they hold it, in a browser that reads files from disk."""

import re
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import brain_mask, grey_levels, intensity_window, unpad
from mri_saliency.maps.drawing import Drawing
from mri_saliency.maps.image import map_to_nifti
from mri_saliency.maps.viewer_data import Anatomy, map_script
from mri_saliency.output.files import write_picture, write_text
from mri_saliency.report import viewer as report_viewer
from mri_saliency.report.viewer import common_limits, viewer_of, write_atlas

from ..made_cohort import GRID, made_record
from .pages import findings_of, save_page, wait_until

DRAWING = Drawing(scale=3.0, overlay_scale=0.6, smooth_mm=6.0, telling_slice=4)


@pytest.fixture
def viewed(cohort):
    """The cohort with its images and the viewer's files."""
    folder, records = cohort.folder, []
    for record in cohort.records:
        name = (record.method, record.subject_id)
        volume = load_volume(record.source.path, record.grid.n_slices, record.recipe.first_slice)
        slices, brain = unpad(volume.network_input), unpad(brain_mask(volume.network_input))
        image = map_to_nifti(np.load(folder.array(*name)), record.grid, record.method, 1.0)
        image.to_filename(folder.nifti(*name))
        anatomy = Anatomy(grey_levels(slices, intensity_window(slices)), brain)
        script = map_script("/".join(name), np.asarray(image.dataobj), record.grid, anatomy, DRAWING)
        write_text(folder.viewer(*name), script)
        for path in (folder.summary_figure(*name), folder.thumbnail(*name)):
            write_picture(path, np.zeros((4, 8, 4), np.uint8))
        records.append(replace(record, drawing=DRAWING))
    folder.open_groups("saliency")
    for name in ("HC", "TLE", "left"):
        script = map_script(f"group_maps/saliency/{name}", np.asarray(image.dataobj), GRID, anatomy, DRAWING)
        write_text(folder.group_map("saliency", f"{name}_mean_viewer.js"), script)
    return replace(cohort, records=records)


def open_viewer(browser, viewed, key, atlas=None):
    write_atlas(viewed.folder, atlas, GRID)
    save_page(viewed.folder.root, viewed.records)
    browser.get("about:blank")
    browser.get(f"{viewed.folder.report.as_uri()}#view={key}")
    return wait_for(browser, "value")


def wait_for(browser, name, pane=0, differs_from=None):
    """Wait until a pane shows a reading, and not the previous ones; returns all of them."""

    def found():
        readings = read(browser, pane)
        return name in readings and readings != differs_from and readings

    return wait_until(browser, found)


def read(browser, pane=0):
    script = """const terms = document.querySelectorAll(".pane")[arguments[0]].querySelectorAll("dt");
        return [...terms].map(term => [term.textContent, term.nextSibling.textContent])"""
    return dict(browser.execute_script(script, pane))


def numbers(text):
    text = text.replace("\N{MINUS SIGN}", "-")
    return [float(number) for number in re.findall(r"-?[\d.]+(?:e-?\d+)?", text)]


def change(browser, name, value):
    script = """const control = document.getElementById("view-settings").elements[arguments[0]];
        control.value = arguments[1]; control.dispatchEvent(new Event("input", {bubbles: true}))"""
    browser.execute_script(script, name, value)


def canvas(browser, plane, pane=0):
    panes = browser.find_elements("css selector", ".pane")
    return panes[pane].find_element("css selector", f"[data-plane={plane}] canvas")


def click(browser, plane, across, up):
    """Click at a place of a plane, from (0, 0), its lower left corner, to (1, 1)."""
    from selenium.webdriver.common.action_chains import ActionChains

    target, before = canvas(browser, plane), read(browser)
    x, y = (across - 0.5) * target.size["width"], (0.5 - up) * target.size["height"]
    ActionChains(browser).move_to_element_with_offset(target, round(x), round(y)).click().perform()
    return wait_for(browser, "value", differs_from=before)


def pixels(browser, plane="coronal"):
    return browser.execute_script("return arguments[0].toDataURL()", canvas(browser, plane))


def assert_reads_the_file(readings, path):
    """The readings are those of the image at the voxel that they name; returns its mm."""
    image = nib.load(path)
    voxel = tuple(int(index) for index in numbers(readings["voxel"]))
    value, error = numbers(readings["value"])[:2]
    assert value == pytest.approx(image.get_fdata()[voxel], abs=1.1 * error + 1e-3 * abs(value))
    assert error < 0.15
    place = nib.affines.apply_affine(image.affine, voxel)
    if "x, y, z (mm)" in readings:
        assert numbers(readings["x, y, z (mm)"]) == pytest.approx(list(place), abs=0.06)
    return place


@pytest.mark.parametrize("subject_id", ["sub-A", "sub-B"])
def test_the_point_under_the_crosshair_is_the_nifti_files(browser, viewed, atlas, subject_id):
    """sub-B's x step is negative."""
    readings = open_viewer(browser, viewed, f"input_x_gradient/{subject_id}", atlas)
    path = viewed.folder.nifti("input_x_gradient", subject_id)
    for across, up, forward in ((0.3, 0.6, 0.9), (0.7, 0.4, 0.1)):
        readings = click(browser, "coronal", across, up)
        x, _, z = assert_reads_the_file(readings, path)
        assert (x < 0) == (across < 0.5)  # the patient's left is on the left
        assert readings["region"] == ("Left Side" if across < 0.5 else "Right Side")
        readings = click(browser, "axial", across, forward)
        assert assert_reads_the_file(readings, path)[2] == z
        assert (assert_reads_the_file(readings, path)[0] < 0) == (across < 0.5)
    letters = browser.find_elements("css selector", ".pane:first-child [data-plane=coronal] b")
    assert [letter.text for letter in letters if letter.is_displayed()] == ["L", "R"]
    assert not browser.get_log("browser")


def test_a_scan_without_affine_has_voxels_and_no_sides(browser, viewed, atlas):
    open_viewer(browser, viewed, "input_x_gradient/12", atlas)
    readings = click(browser, "coronal", 0.25, 0.7)
    assert readings.keys() == {"value", "6 mm mean", "voxel"}
    assert_reads_the_file(readings, viewed.folder.nifti("input_x_gradient", "12"))
    assert not any(b.is_displayed() for b in browser.find_elements("css selector", ".plane b"))


def test_it_opens_at_the_strongest_value_drawn_where_the_crosshair_is(browser, viewed):
    folder, record = viewed.folder, viewed.records[0]
    image = nib.load(folder.nifti("saliency", "sub-A"))
    values = np.zeros(image.shape, np.float32)
    values[30, 14, 70] = 5.0  # on the left, in a slice that the network saw
    anatomy = Anatomy(np.zeros((9, 112, 112), np.uint8), np.ones((9, 112, 112), bool))
    script = map_script("saliency/sub-A", values, record.grid, anatomy, DRAWING)
    write_text(folder.viewer("saliency", "sub-A"), script)
    readings = open_viewer(browser, viewed, "saliency/sub-A")
    assert readings["voxel"] == "30, 14, 70" and readings["value"].startswith("5 ")
    weights = gaussian_filter(values, 6 / np.sqrt(8 * np.log(2)) / 1.5, mode="constant", truncate=6)
    assert numbers(readings["6 mm mean"])[0] == pytest.approx(weights.max(), rel=0.01)
    script = """const canvas = arguments[0], {width, height} = canvas, sum = [0, 0, 0];
        const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
        for (let i = 0; i < width * height; i++) [1, i % width / width, Math.floor(i / width) / height]
          .forEach((value, k) => { sum[k] += value * Math.max(data[4 * i] - data[4 * i + 2], 0); });
        return [sum[1] / sum[0], sum[2] / sum[0]]"""
    across, down = browser.execute_script(script, canvas(browser, "coronal"))
    assert (across, down) == pytest.approx((30.5 / 113, 1 - 70.5 / 113), abs=0.01)


def test_sliders_and_choices_change_the_pixels(browser, viewed):
    readings = open_viewer(browser, viewed, "input_x_gradient/sub-A")
    pictures = {pixels(browser)}
    settings = (("opacity", "50"), ("threshold", "40"), ("smoothed", ""), ("scale", "own"), ("opacity", "0"))
    for number, (name, value) in enumerate(settings, start=2):
        change(browser, name, value)
        pictures.add(pixels(browser))
        assert len(pictures) == number, name
    assert "6 mm mean" not in read(browser) and readings["value"] == read(browser)["value"]


def test_two_maps_are_linked_by_mm_and_keys_move_both(browser, viewed):
    from selenium.webdriver.common.keys import Keys

    open_viewer(browser, viewed, "saliency/sub-A")
    change(browser, "panes", "2")
    wait_for(browser, "value", pane=1)
    first = click(browser, "coronal", 0.3, 0.6)
    script = """const names = document.querySelectorAll(".pane")[1].querySelector("[name=name]");
        names.value = "input_x_gradient/sub-B"; names.dispatchEvent(new Event("change"))"""
    before = read(browser, pane=1)
    browser.execute_script(script)
    second = wait_for(browser, "value", pane=1, differs_from=before)
    mm = numbers(first["x, y, z (mm)"])
    assert numbers(second["x, y, z (mm)"]) == mm and first["voxel"] != second["voxel"]
    for key, axis, by in ((Keys.ARROW_RIGHT, 0, 1), (Keys.ARROW_DOWN, 2, -1), (Keys.PAGE_UP, 1, 1)):
        before = read(browser, 1)
        canvas(browser, "coronal", pane=1).send_keys(key)
        mm[axis] += by * 1.5
        second = wait_for(browser, "value", pane=1, differs_from=before)
        assert numbers(second["x, y, z (mm)"]) == numbers(read(browser)["x, y, z (mm)"]) == mm
    for pane, name in enumerate((("saliency", "sub-A"), ("input_x_gradient", "sub-B"))):
        assert_reads_the_file(read(browser, pane), viewed.folder.nifti(*name))
    canvas(browser, "axial").send_keys(Keys.ESCAPE)
    assert not browser.find_element("id", "map-viewer").is_displayed()


def title(browser):
    return browser.find_element("css selector", ".pane .title").text


def test_addresses_open_scans_and_groups_and_say_what_is_unknown(browser, viewed):
    message = "return document.querySelector('.message').textContent"
    for name, shown in (
        ("saliency/sub-F", "Saliency: sub-F, TLE, focus on the right; predicted TLE, P(TLE) 0.924"),
        ("saliency/TLE", "Saliency: mean of TLE"),
        ("saliency/left", "Saliency: mean of TLE, focus on the left"),
        ("group_maps/saliency/HC", "Saliency: mean of HC"),
    ):
        open_viewer(browser, viewed, name)
        assert title(browser) == shown and not browser.execute_script(message)
    for name in ("saliency/sub-X", "smooth_grad/sub-A", "input_x_gradient/TLE", "nothing"):
        open_viewer(browser, viewed, name)
        wait_until(browser, lambda: browser.execute_script(message))
        assert f"There is no map “{name}” here" in browser.execute_script(message)


def test_it_opens_on_the_strongest_patient(browser, viewed):
    for name, scale in (("sub-F", 0.9), ("sub-A", 7.0)):  # a control is stronger
        for index, record in enumerate(viewed.records):
            if (record.method, record.subject_id) == ("input_x_gradient", name):
                viewed.records[index] = replace(record, drawing=replace(DRAWING, overlay_scale=scale))
    save_page(viewed.folder.root, viewed.records)
    browser.get(f"{viewed.folder.report.as_uri()}#view")
    wait_for(browser, "value")
    assert title(browser).startswith("Input × gradient: sub-F, ")


def test_a_page_that_contains_its_maps_needs_no_file(browser, viewed, tmp_path):
    alone = tmp_path / "alone.html"
    page = save_page(viewed.folder.root, viewed.records, embed=True)
    assert len(viewer_of(findings_of(viewed.folder.root, viewed.records), embedded=True).scripts) == 17
    alone.write_text(page.source)
    browser.get(f"{alone.as_uri()}#view=group_maps/saliency/HC")
    assert "value" in wait_for(browser, "value")
    browser.get("about:blank")
    alone.write_text(save_page(viewed.folder.root, viewed.records).source)
    browser.get(f"{alone.as_uri()}#view=saliency/sub-B")
    message = browser.find_element("css selector", ".message")
    wait_until(browser, lambda: "sub-B_saliency_viewer.js is not in this page's folder" in message.text)
    assert not browser.find_element("css selector", ".pane .readout").is_displayed()  # not of another map
    browser.get_log("browser")  # that a file is missing


def test_a_page_without_the_scans_maps_offers_its_groups_alone(viewed, monkeypatch):
    monkeypatch.setattr(report_viewer, "_EMBEDDED_SCANS", 1)
    viewer = viewer_of(findings_of(viewed.folder.root, viewed.records), embedded=True)
    assert len(viewer.scripts) == 3 and list(viewer.index["methods"]) == ["saliency"]


def test_the_common_scale_is_the_90th_percentile_in_the_images_unit():
    drawings = [Drawing(float(scale), scale / 10, 6.0, 4) for scale in range(11)]
    records = [replace(made_record(), drawing=drawing) for drawing in drawings]
    mass = 112**2 / 113**2
    assert common_limits(records) == pytest.approx((9 * mass, 0.9 * mass))
