"""The text for a paper states what was done, what was left out and what failed, and nothing else."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from mri_saliency import __version__
from mri_saliency.checks.verdicts import Verdict, verdicts
from mri_saliency.cohort.comparable import comparable, left_out_sentences
from mri_saliency.combine.repeatability import REPEATABLE
from mri_saliency.groups.comparison import ComparedContrast, ComparisonSettings, GroupComparison
from mri_saliency.maps.comparison import NULL
from mri_saliency.methods import METHODS
from mri_saliency.output.files import write_json, write_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.regions.lateralisation import lateralisation_table
from mri_saliency.report.alarms import warning_sentences
from mri_saliency.report.bibliography import read_entries, read_library
from mri_saliency.report.findings import Findings
from mri_saliency.report.methods_text import describe_methods
from mri_saliency.report.networks import RunEntry, RunsSection
from mri_saliency.statistics.normal_ranges import add_normal_ranges
from mri_saliency.wording import ClassNames

from ..made_cohort import RECIPE, SIDED_PAIRS, checks_table, made_record, sided_regions

LIBRARY = read_library()
VERSIONS = {"python": "3.11.7", "torch": "2.6", "captum": "0.9", "numpy": "2.0"}
RUN = {
    "tool": {"version": __version__},
    "status": "describing",
    "options": {"max_samples": 50, "methods": ["integrated_gradients"]},
    "checkpoint": {"network": "EfficientNetV2-L", "n_logits": 1},
    "device": {"name": "cuda:0", "hardware": "NVIDIA H100"},
    "versions": VERSIONS,
    "counts": {"maps": 4, "kept": 0, "failures": 0},
    "skipped_rows": [],
    "earlier_runs": [],
}
DIAGNOSES = {"sub-0": "HC", "sub-1": "left", "sub-2": "right", "sub-3": "HC"}


def records_of(method, settings=None, **statistics):
    """Maps of four scans; a value that is a list is dealt to them."""
    return [
        made_record(
            subject_id,
            method,
            recipe=replace(RECIPE, settings=settings or {}),
            diagnosis=diagnosis,
            true_label=int(diagnosis != "HC"),
            sample_idx=index,
            subject=f"person {index}",
            **{key: value[index] if isinstance(value, list) else value for key, value in statistics.items()},
        )
        for index, (subject_id, diagnosis) in enumerate(DIAGNOSES.items())
    ]


def integrated(**statistics):
    """Maps of Integrated Gradients, one of them not complete."""
    settings = {"baseline": "zero", "n_steps": "auto", "map_error": 0.001}
    known = {"map_error": [1e-4, 2e-4, 4e-4, 3e-3], "completeness_verdict": ["ok", "check", "ok", "ok"]}
    return records_of("integrated_gradients", settings, **known | statistics)


def findings_of(records, **changes):
    nothing = {"agreement": pd.DataFrame(), "groups": GroupComparison(), "regions": None}
    return Findings(records, **nothing | {"verdicts": {}, "alarms": []} | changes)


def text_of(folder, findings, run=RUN, failures=(), runs=None):
    """Return the text; what holds for every text is checked here."""
    found = describe_methods(OutputFolder(folder), run, findings, failures, runs)
    text = "\n".join(found.paragraphs)
    sentences = re.split(r"(?<=[.])\s+(?=[A-Z“p0-9])", text)
    assert len(sentences) == len(set(sentences)), [s for s in sentences if sentences.count(s) > 1]
    assert all(sentence.endswith(".") for sentence in sentences) and "  " not in text and "[@" not in text
    assert "None" not in text and "nan" not in text and "{" not in text
    cited = {key for key, entry in LIBRARY.items() if entry.author_year in text}
    assert set(read_entries(found.bibliography)) == cited
    return text


def test_a_plain_run(tmp_path):
    text = text_of(tmp_path, findings_of(integrated()))
    assert text == (
        "Attribution maps were made of a trained classifier of the architecture EfficientNetV2-L (Tan and "
        "Le, 2021). The maps explained the network's only logit, the log-odds of TLE. Each volume was "
        "z-scored over all of its voxels; 9 coronal slices (indices 10 to 18, from 0) were resized to 112 × "
        "112 pixels by bilinear interpolation with antialiasing, padded with zeros to 128 × 128, and used as "
        "the network's input channels. A pixel counted as brain if tissue, brighter than 10% of the way from "
        "the background to the scan's 99.9th percentile, lay on both sides of it along both axes of its "
        "slice. The analysis included 4 scans of 4 subjects: 2 HC, 1 TLE with a focus on the left and 1 TLE "
        "with a focus on the right.\nIntegrated Gradients (Sundararajan et al., 2017) averaged the gradient "
        "of the logit along the straight path from a baseline to the scan, and multiplied it by the "
        "difference between the two, voxel by voxel. The baseline of Integrated Gradients was an input of "
        "zeros. The path of Integrated Gradients was integrated by nested Clenshaw-Curtis rules (Clenshaw "
        "and Curtis, 1960) of 9, 17, 33, 65 or 129 points: for each integral, their number was doubled until "
        "it changed by no more than 0.1% of its summed magnitude, or 129 were reached. The last doubling "
        "changed Integrated Gradients maps by 0.03% of their summed magnitude in the median and 0.3% at "
        "most. Completeness, the agreement of a map's sum with the change of the logit that it explains, was "
        "missed by more than 5% of that change, in 1 of 4 Integrated Gradients maps.\nThe maps were made "
        f"with mri-saliency-maps {__version__}, Python 3.11.7, PyTorch 2.6 (Paszke et al., 2019), Captum 0.9 "
        "(Kokhlikyan et al., 2020) and NumPy 2.0 (Harris et al., 2020). The network ran on NVIDIA H100 "
        "hardware."
    )


def test_what_was_left_out_is_stated(tmp_path):
    records = integrated(input_warning=[None, "its voxels are of 2 mm", None, "its voxels are of 2 mm"])
    run = RUN | {
        "status": "interrupted",
        "options": {"max_samples": 5, "methods": ["integrated_gradients"]},
        "counts": {"maps": 4, "kept": 0, "failures": 1},
        "skipped_rows": [{"reason": "no file"}, {"reason": "diagnosis is none of HC"}, {"reason": "no file"}],
    }
    reason = "/data/z.nii: is a folder. Name another."
    failures = [{"subject_id": "sub-Z", "method": "saliency", "file": "/data/z.nii", "reason": reason}]
    groups = GroupComparison(limits=["No groups were compared: a group test needs 5 subjects."])
    findings = findings_of(
        records,
        groups=groups,
        comparison=ComparisonSettings(6.0),
        exclusions=["1 scan was left out because it is a copy."],
    )
    text = text_of(tmp_path, findings, run, failures)
    for part in (
        "Beforehand, 3 rows of the table were left out: no file (n = 2); diagnosis is none of HC (n = 1).",
        "The input of 2 scans raised a warning; maps were made nevertheless: “its voxels are of 2 mm” (n = "
        "2).",
        "1 map of 1 scan could not be made: “is a folder. Name another” (n = 1).",
        "At most the first 5 scans of the cohort's table were analysed.",
        "The run was interrupted; what it had finished was analysed.",
        "1 scan was left out because it is a copy. ",
        "No groups were compared: a group test needs 5 subjects.",
    ):
        assert part.strip() in text, part
    assert "Welch" not in text and "mm full width" not in text  # nothing was tested
    assert "At most" not in text_of(tmp_path, findings)


def test_maps_of_other_settings_and_copies_are_counted():
    records = records_of("saliency")
    records[3] = replace(records[3], recipe=replace(RECIPE, maths=2))
    contents = ["a", "b", "b", "c"]
    records = [
        replace(record, source=replace(record.source, content_sha256=content))
        for record, content in zip(records, contents, strict=True)
    ]
    kept, _ = comparable(records)
    assert left_out_sentences(records, kept) == [
        "Of saliency, 1 map made with other settings than most was left out.",
        "1 scan was left out because another scan had the same voxels.",
    ]
    assert left_out_sentences(kept, kept) == []


def test_every_method_is_described_with_its_settings(tmp_path):
    settings = {"n_samples": 10, "noise_std": 0.1, "seed": 3, "n_references": 20, "n_steps": 50}
    settings |= {"references": "12 HC scans abc", "baseline": "hc_mean abc"}
    records = [
        record
        for name, method in METHODS.items()
        for record in records_of(name, {key: settings[key] for key in method.settings if key in settings})
    ]
    write_json(OutputFolder(tmp_path).hc_mean_scans, {"identity": "hc_mean abc", "scans": [{}] * 12})
    text = text_of(tmp_path, findings_of(records[1:]))
    for part in (
        "Maps of Integrated Gradients were available for 3 of the 4 scans.",
        "The baseline of Integrated Gradients, DeepLIFT and smoothed Integrated Gradients was the mean "
        "network input of 12 scans of controls",
        "The path of Integrated Gradients and smoothed Integrated Gradients was integrated with 50 points of "
        "a Gauss-Legendre rule, without an estimate of the error.",
        "For Gradient SHAP, 10 draws of normal noise with a standard deviation of 0.1",
        "For Expected Gradients, 20 draws were made for each scan, from 12 scans of controls without those",
        "Random draws were seeded by the number 3 and",
        "For SmoothGrad, 10 copies of each scan",
    ):
        assert part in text, part
    unknown = [replace(record, recipe=RECIPE) for record in records]
    text = text_of(tmp_path, findings_of(unknown))
    assert "draws were made" not in text and "baseline of" not in text and "points of a" not in text


@pytest.fixture
def with_all(tmp_path, atlas):
    """Findings of a run with an atlas, groups, sides, agreement and checks."""
    regions = add_normal_ranges(sided_regions(n_controls=16, effect=2.0))
    compared = ComparedContrast("saliency", "left_minus_HC", 6, 16, 0.1, 0.01)
    aligned = replace(compared, contrast="aligned_minus_HC", n_patients=12)
    region_test = pd.DataFrame([{"contrast": "left_minus_HC", "n_patients": 6, "n_controls": 15, "p": 0.01}])
    agreement = pd.DataFrame({"method_a": ["saliency"] * 2, "method_b": ["deep_lift", NULL]})
    table = checks_table("saliency", weights=0.9)
    write_table(OutputFolder(tmp_path).checks, table)
    covariates = pd.DataFrame({"age": [40.0], "site=B": [1.0], "site=C": [0.0]})
    return findings_of(
        records_of("saliency"),
        groups=GroupComparison([compared, aligned], [{"method": "saliency"}], limits=["A group was small."]),
        regions=regions,
        lateralisation=lateralisation_table(regions, SIDED_PAIRS),
        region_test=region_test,
        agreement=agreement,
        verdicts=verdicts(table),
        comparison=ComparisonSettings(6.0, covariates, atlas),
        class_names=ClassNames("controls", "epilepsy"),
    )


def test_groups_regions_sides_and_checks(tmp_path, with_all):
    text = text_of(tmp_path, with_all)
    for part in (
        "the log-odds of epilepsy.",
        "2 controls, 1 epilepsy with a focus on the left",
        "the maps of every two methods and every map with its null map were compared by Spearman",
        "among the 4 regions of the atlas mni.nii.gz",
        "by their asymmetry, with those of 16 controls subjects by a modified t test for small samples (Craw",
        "by a Gaussian of 6 mm full width at half maximum",
        "“epilepsy, focus on the left, minus controls” (6 and 15 to 16 subjects)",
        "mirrored at x = 0 mm",
        "group means and the covariates age and site;",
        "corrected family-wise for all points of the brain, or regions, and contrasts of a method",
        "Significant voxels of one sign",
        "A group was small.",
        "told left from right epilepsy (6 and 6 subjects)",
        "The area was compared with that of the grey matter's asymmetry",
        "The maps of 4 scans were checked on the network. “Changes with the weights”: all weights",
        "These checks failed: saliency (“changes with the weights”).",
    ):
        assert part in text, part
    assert "seed" not in text  # saliency draws nothing, which is no failure


def test_what_was_not_done_is_not_stated(tmp_path, with_all):
    groups = replace(with_all, regions=None, region_test=None, lateralisation=None, agreement=pd.DataFrame())
    settings = ComparisonSettings(0.0)
    one_side = GroupComparison(with_all.groups.contrasts[:1])
    text = text_of(tmp_path, replace(groups, comparison=settings, groups=one_side, verdicts={}))
    assert "for all points of the brain and contrasts" in text and "without smoothing" in text
    for word in ("region", "atlas", "mirrored", "covariate", "cluster", "Spearman", "checked"):
        assert word not in text, word
    only_regions = text_of(tmp_path, replace(with_all, groups=GroupComparison()))
    assert "for all regions and contrasts" in only_regions and "full width" not in only_regions
    assert "(6 and 15 subjects)" in only_regions and "cluster" not in only_regions


def test_checks_that_cannot_be_judged_are_no_pass(tmp_path):
    found = {"saliency": {"finds the evidence": Verdict(None, "too few scans")}}
    text = text_of(tmp_path, findings_of(records_of("saliency"), verdicts=found))
    assert "These checks could not be judged: saliency (“finds the evidence”)." in text
    assert "No check" not in text and "deleted" not in text
    passed = {"saliency": {"finds the evidence": Verdict(True, "ahead")}}
    text = text_of(tmp_path, findings_of(records_of("saliency"), verdicts=passed))
    assert "No check that could be judged failed." in text and "Petsiuk" in text


def test_unusual_maps_are_stated():
    low = records_of(
        "saliency", brain_share=[0.1, 0.2, 0.6, 0.6], brain_share_null=0.6, abs_mean=[0, 1, 1, 1]
    )
    below, zero = warning_sentences(low)
    assert below.startswith("In 2 of 4 saliency maps the share") and "(median 15% and 60%)" in below
    assert zero == "Of the saliency maps, 1 of 4 were zero everywhere."
    [outside] = warning_sentences(records_of("saliency", brain_share=[0.4, 0.6, 0.6, 0.6]))
    assert "In 1 of 4 saliency maps more than 50% of the attribution lay outside" in outside


def combined_run():
    network = {"network": "EfficientNetV2-L", "n_logits": 1}
    parts = [{"run": name, "checkpoint": network | {"sha256": name}} for name in "ab"]
    nowhere = {"name": "none", "hardware": "no network was run"}
    return RUN | {"combined": parts, "device": nowhere, "checkpoint": {"network": "mean over 2 runs"}}


def test_combined_runs(tmp_path):
    settings = {"baseline": "zero and hc_mean 123456789abc", "combined": ["a x", "b y"]}
    records = records_of("integrated_gradients", settings, n_networks=[2, 2, 1, 2])
    found = {"integrated_gradients": {REPEATABLE: Verdict(False, "")}}
    entry = RunEntry(
        "integrated_gradients", 3, {}, (0.5, 0.1, 0.9), found["integrated_gradients"][REPEATABLE]
    )
    findings = findings_of(records, verdicts=found)
    text = text_of(tmp_path, findings, combined_run(), runs=RunsSection(["a", "b"], {}, [entry]))
    for part in (
        "made of trained classifiers of the architecture EfficientNetV2-L (Tan and Le, 2021).",
        "The maps of 2 runs, of 2 trained networks, were averaged scan by scan, each mean over 1 to 2 of "
        "them",
        "The baseline of Integrated Gradients differed between the runs: zero and hc_mean.",
        "(Eitel and Ritter, 2019; Arun et al., 2021); over scans, regions were compared by the intraclass",
        "The maps of Integrated Gradients did not repeat across trainings.",
    ):
        assert part in text, part
    for word in ("network ran", "PyTorch", "Captum", "At most", "path of", "checked"):
        assert word not in text, word
    of_runs = combined_run()
    for part in of_runs["combined"]:
        part |= {key: RUN[key] for key in ("tool", "versions", "device")}
    text = text_of(tmp_path, findings, of_runs)
    assert "PyTorch" in text and "(Kokhlikyan et al., 2020)" in text and "The network ran on" in text
    assert text.index("The maps were made with") < text.index("The maps were brought together with")
    folds = records_of("integrated_gradients", settings, n_networks=[1, 1, 1, 1])
    text = text_of(tmp_path, findings_of(folds), combined_run())
    assert (
        "of 2 trained networks, were brought together; each is of one network, and was not averaged" in text
    )
    apart = text_of(tmp_path, findings_of(records), combined_run(), runs=RunsSection(["a", "b"], {}))
    assert "Two runs' maps" not in apart


def test_synthetic_volumes_are_not_z_scored(tmp_path):
    records = records_of("saliency")
    records[0] = replace(records[0], source=replace(records[0].source, path="/scans/12_1.pkl"))
    records[0] = replace(records[0], grid=replace(records[0].grid, first_slice=9))
    text = text_of(tmp_path, findings_of(records))
    assert "except for 1 synthetic one; 9 coronal slices were resized" in text


def test_scans_of_earlier_runs_are_no_first_scans_of_the_table(tmp_path):
    """Four scans are in the folder, of which the last run was to explain two."""
    counts = {"maps": 0, "kept": 2, "failures": 0}
    run = RUN | {"counts": counts, "options": RUN["options"] | {"max_samples": 2, "methods": ["saliency"]}}
    assert "At most" not in text_of(tmp_path, findings_of(records_of("saliency")), run)


def test_only_runs_that_made_the_maps_are_named(tmp_path):
    def run_with(version, n_maps):
        return {"counts": {"maps": n_maps}, "versions": {"torch": version}, "tool": {"version": __version__}}

    earlier = [run_with("1.0", 4), run_with("2.5", 2), run_with("2.7", 0)]
    run = RUN | run_with("2.6", 2) | {"earlier_runs": earlier}
    assert "PyTorch 2.6 and 2.5 (Paszke" in text_of(tmp_path, findings_of(integrated()), run)


def test_names_of_classes_cannot_be_citations(tmp_path):
    names = ClassNames("HC", "AD")
    found = describe_methods(
        OutputFolder(tmp_path),
        RUN,
        findings_of(integrated(), class_names=replace(names, tle="[@nobody]")),
        (),
    )
    assert "the log-odds of [@nobody]." in found.paragraphs[0] and "nobody" not in found.bibliography
