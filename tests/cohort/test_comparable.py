"""The maps that can be compared, and the summary figure."""

from dataclasses import replace

from mri_saliency.cohort.comparable import comparable
from mri_saliency.output.record import in_order
from mri_saliency.wording import Limitation

from ..made_cohort import made_record


def test_maps_of_another_recipe_are_left_out(cohort):
    assert comparable(cohort.records) == (in_order(cohort.records), [])
    odd = next(record for record in cohort.records if record.method == "saliency")
    records = [record for record in cohort.records if record is not odd]
    odd = replace(odd, recipe=replace(odd.recipe, first_slice=11))
    kept, [other] = comparable([odd, *records])
    assert kept == in_order(records)
    assert other.sentence == "1 saliency map made with other settings than most was left out."


def of_file(content, *args, recipe=None, **statistics):
    """A record of a scan whose file has this content."""
    record = made_record(*args, **statistics)
    changes = {} if recipe is None else {"recipe": recipe}
    return replace(record, source=replace(record.source, content_sha256=content * 64), **changes)


def test_scans_with_the_same_file_are_counted_once():
    first = [of_file("a", "sub-B", method, sample_idx=0) for method in ("saliency", "deep_lift")]
    methods = ("saliency", "deep_lift", "smooth_grad")
    copy = [of_file("a", "sub-A", method, sample_idx=1) for method in methods]
    other = of_file("b", "sub-C", sample_idx=2)
    kept, notes = comparable([other, *copy, *first])
    # a method that has the copy's map alone keeps it
    assert kept == in_order([*first, copy[2], other])
    sentence = "1 scan with the same voxels as another scan was left out."
    assert notes == [Limitation(sentence, "sub-A as sub-B")]


def test_the_copy_of_a_scan_whose_map_is_of_another_recipe_stays():
    odd = replace(made_record().recipe, first_slice=11)
    original = of_file("a", "sub-A", recipe=odd)
    copy, third = of_file("a", "sub-B", sample_idx=1), of_file("c", "sub-C", sample_idx=2)
    kept, notes = comparable([original, copy, third])
    assert kept == [copy, third] and len(notes) == 1
