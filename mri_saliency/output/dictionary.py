"""The columns of all tables: what they mean, in words, units and levels; BIDS's data dictionaries.

Data, and two ways to write it down. The manual's lists of columns are `markdown`'s.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mri_saliency.methods import METHODS
from mri_saliency.output.files import write_json

if TYPE_CHECKING:
    from mri_saliency.output.folder import OutputFolder

_MANUAL_WIDTH = 118
_OF_METHOD = "the method's unit"


@dataclass(frozen=True)
class Column:
    """A table's column.

    Attributes
    ----------
    description : str
    units : str or None
        None for a number without a unit, and for text.
    long_name : str or None
        The column's name in words, where columns share a description.
    levels : mapping
        A value -> what it means, for a column with few values.
    """

    description: str
    units: str | None = None
    long_name: str | None = None
    levels: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return the column as BIDS describes one."""
        parts = {
            "LongName": self.long_name,
            "Description": self.description,
            "Units": self.units,
            "Levels": dict(self.levels),
        }
        return {key: value for key, value in parts.items() if value}

    def words(self) -> str:
        """Return what columns of this kind are, for the manual; the dictionaries have the levels too."""
        return f"{self.description} ({self.units})" if self.units else self.description


def _of_array(long_name: str) -> Column:
    return Column("over the array", _OF_METHOD, long_name)


def _deviation(measure: str) -> Column:
    return Column(
        "distance from the HC subjects' mean in their standard deviations (of the density: its logarithm); "
        "HC without the own scans; empty below 15 HC subjects",
        long_name=f"z of the {measure}",
    )


def _p_of_deviation(measure: str) -> Column:
    return Column(
        "two-sided p of it (Crawford and Howell 1998), of one region: not corrected for their number",
        long_name=f"p of the {measure}",
    )


def _with_interval(name: str, description: str) -> dict[str, Column]:
    ends = {"": None, "_low": "lower end of its 95% interval", "_high": "upper end of its 95% interval"}
    description += ", and its 95% interval"
    return {f"{name}{end}": Column(description, long_name=long_name) for end, long_name in ends.items()}


def _telling_sides(prefix: str, what: str, focus: str) -> dict[str, Column]:
    """Return the columns on how well an asymmetry tells left from right TLE."""
    area = f"area under the ROC curve of left against right TLE by the asymmetry of {what} ({focus}: focus)"
    return {
        f"{prefix}n_left": Column(f"subjects with an asymmetry of {what}", long_name="left TLE"),
        f"{prefix}n_right": Column(f"subjects with an asymmetry of {what}", long_name="right TLE"),
        **_with_interval(f"{prefix}auc", area),
        f"{prefix}threshold": Column(
            f"the HC subjects' median asymmetry of {what}; 0 with fewer than 5 of them"
        ),
        **_with_interval(
            f"{prefix}accuracy", f"share of subjects whose side {what} names, by that threshold"
        ),
    }


_METHODS = {name: f"{method.question}; in {method.unit}" for name, method in METHODS.items()}
_SCAN = Column("the scan's name")
_METHOD = Column("attribution method", levels=_METHODS)
_CHANCE = "the same of `method_a`'s map and the next subject's map by `method_b`; empty without such a scan"
_CONTRASTS = {
    "left_minus_HC": "patients with a focus on the left, HC",
    "right_minus_HC": "patients with a focus on the right, HC",
    "aligned_minus_HC": "both, right-sided maps mirrored, so that every focus is on the left, HC",
    "TLE_minus_HC": "all patients, HC",
}
_WITH_NULL = "the same of a run's map and |scan - baseline| (or |scan|), mean of both runs"
_BY_CHANCE = {
    "rank_correlation": "rank correlation by chance",
    "top_overlap": "overlap by chance",
    "sign_agreement": "agreement in sign by chance",
}
_LIMITS = "between these limits lie 95% of the scans' ratios (Bland and Altman 1986)"
_SIGN = "shares above and below zero"

TABLES: dict[str, dict[str, Column]] = {  # name of the table -> column -> what it is
    "attribution_statistics": {
        "method": _METHOD,
        "shape": Column("of the array, with padding"),
        "mean": _of_array("mean"),
        "std": _of_array("standard deviation"),
        "min": _of_array("smallest value"),
        "max": _of_array("largest value"),
        "abs_mean": _of_array("mean magnitude"),
        "positive_ratio": Column(_SIGN, long_name="share above zero"),
        "negative_ratio": Column(_SIGN, long_name="share below zero"),
        "peak_slice": Column("slice with the largest summed magnitude; empty for a map of zeros"),
        "brain_share": Column(
            "share of the magnitude in pixels with tissue on both sides along both axes of the slice"
        ),
        "subject_id": _SCAN,
        "true_label": Column("0 HC, 1 TLE", levels={"0": "HC", "1": "TLE"}),
        "diagnosis": Column(
            "HC, left, right, or TLE (side unknown)",
            levels={
                "HC": "healthy",
                "left": "TLE, focus on the left",
                "right": "TLE, focus on the right",
                "TLE": "side unknown",
            },
        ),
        "prediction": Column("probability of TLE (several logits: 1 minus softmax of class 0)"),
        "predicted_label": Column("1 if `prediction` is above 0.5 (several logits: index of the largest)"),
        "confidence": Column("its probability"),
        "target": Column("index of the explained class (several logits: the map explains its log-odds)"),
        "baseline": Column("what the scan was compared with"),
        "sample_idx": Column("place in the cohort, from 0"),
        "completeness_sum": Column("sum of the map, if it must be complete", "logit"),
        "completeness_expected": Column("the change of the class's log-odds that it should equal", "logit"),
        "completeness_error": Column("their difference over the change"),
        "completeness_verdict": Column(
            "`ok` or `check`",
            levels={
                "ok": "up to 5% of it, for methods that draw up to 3 standard errors; or 0.0001 logits",
                "check": "more",
            },
        ),
        "seconds": Column("of the network; a shared pass counts for the first method", "s"),
        "input_warning": Column("how the scan differs from the training data"),
        "subject": Column("the person"),
        "brain_share_null": Column(
            "`brain_share` of a map that knows nothing of the network: |scan - baseline|, or |scan| where "
            "the method has no baseline"
        ),
        "map_error": Column(
            "estimated error, summed over voxels, over the summed magnitude. Methods that draw: the standard "
            "error (of gradient_shap, whose places on the path are stratified, a little too large); "
            "`--n_steps auto`: the difference from the map of half the points, more than its own error. "
            "Empty for others"
        ),
        "passes": Column(
            "forward-backward passes of the network; one that methods share counts for the first"
        ),
        "cancellation": Column("|sum| over the sum of magnitudes: 1 if all values have one sign"),
        "completeness_standard_error": Column(
            "for methods that draw, of `completeness_sum` less `completeness_expected`", "logit"
        ),
        "n_networks": Column("runs whose maps were averaged (`--combine`); empty for a map of one run"),
        "sign_agreement": Column(
            "mean share of these runs whose map has the mean's sign, over the brain's voxels"
        ),
    },
    "region_statistics": {
        "subject_id": _SCAN,
        "method": _METHOD,
        "region": Column(
            "its name; `outside the brain` is the rest of `brain_share`",
            levels={"outside the brain": "what `brain_share` leaves"},
        ),
        "mass": Column("summed magnitude in the region", _OF_METHOD),
        "share": Column("share of the whole map's mass"),
        "density": Column("mass per voxel over the brain's; 1: as everywhere"),
        "asymmetry": Column("(L - R) / (L + R) of the two sides' mass per voxel, in both rows"),
        "density_null": Column("the same density of |scan - baseline| (zero for methods without baseline)"),
        "density_z": _deviation("density"),
        "density_p": _p_of_deviation("density"),
        "asymmetry_z": _deviation("asymmetry"),
        "asymmetry_p": _p_of_deviation("asymmetry"),
    },
    "lateralisation": {
        "method": _METHOD,
        "left_region": Column("the pair of regions", long_name="the left one's name"),
        "right_region": Column("the pair of regions", long_name="the right one's name"),
        "density": Column("mean density of both, over scans of left and right TLE"),
        **_telling_sides("", "attribution", "more"),
        **_telling_sides("grey_matter_", "grey matter", "less"),
        **_with_interval(
            "auc_difference", "`auc` less `grey_matter_auc`, both of the subjects who have both"
        ),
    },
    "method_agreement": {
        "subject_id": _SCAN,
        "method_a": Column("a method", levels=_METHODS),
        "method_b": Column(
            "another, or `null_map`: |scan - baseline|, which knows nothing of the network, or |scan| where "
            "`method_a` has no baseline",
            levels={**_METHODS, "null_map": "|scan - baseline|, or |scan| if method_a has no baseline"},
        ),
        "rank_correlation": Column("Spearman's, of magnitudes inside the brain"),
        "top_overlap": Column("of the top 1% of the brain's voxels"),
        "rank_correlation_chance": Column(_CHANCE, long_name="rank correlation by chance"),
        "top_overlap_chance": Column(_CHANCE, long_name="overlap by chance"),
    },
    "map_checks": {
        "fingerprint": Column("of the checked settings"),
        "check": Column(
            "what was done",
            levels={
                "subjects": "maps of two scans compared",
                "weights": "map compared with that of shuffled weights",
                "noise": "with that of a noisy scan",
                "seed": "with that of another seed",
                "nulls": "map beside what knows nothing of the network",
                "deletion": "voxels replaced by the baseline's",
                "insertion": "voxels shown on the baseline",
                "region": "one region replaced by the baseline's voxels",
                "region_ranks": "rank correlation over regions of attribution and the logit's change",
            },
        ),
        "method": Column(
            "or an order of voxels",
            levels={
                **_METHODS,
                "difference": "largest |scan - baseline| first",
                "random": "any, the brain's first",
                "intensity": "brightest first",
                "ablation": "no method: the regions' own experiment",
            },
        ),
        "subject_id": Column("the scan, or two"),
        "step": Column(
            "block shuffled last, percentage of voxels, or region",
            levels={"whole": "not in steps"},
        ),
        "measure": Column(
            "what `value` is",
            levels={
                "signed": "Spearman's correlation in the brain",
                "absolute": "the same of magnitudes (in the brain, or over regions)",
                "partial": "the same of magnitudes, without what |scan - baseline| and place explain",
                "brain_share": "share of the magnitude in the brain",
                "logit": "logit less the baseline's, toward the scan's; region: logit less that without it",
            },
        ),
        "value": Column("the number; empty where it is undefined, as for a map of zeros"),
        "order": Column(
            "the map, or what took its place",
            levels={
                "map": "the method's map of the scan",
                "difference": "|scan - baseline|",
                "shuffled": "the method's map of the network with all weights shuffled",
                "another": "the method's map of another scan",
                "random": "voxels at random, the brain's first",
                "intensity": "brightest voxels first",
            },
        ),
    },
    "region_group_test": {
        "method": _METHOD,
        "contrast": Column("which groups, as in group_clusters.csv", levels=_CONTRASTS),
        "region": Column("its name; of mirrored foci, left stands for the side of the focus"),
        "ratio": Column("of the patients' to the controls' density (geometric means)"),
        "t": Column("Welch's"),
        "p": Column("corrected for all regions and contrasts of the method"),
        "n_patients": Column("subjects", long_name="number of patients"),
        "n_controls": Column("subjects", long_name="number of controls"),
    },
    "run_agreement": {
        "subject_id": _SCAN,
        "method": _METHOD,
        "run_a": Column("a run's folder"),
        "run_b": Column("another's"),
        "rank_correlation": Column("Spearman's of the two runs' maps: of magnitudes inside the brain"),
        "top_overlap": Column("of the top 1% of the brain's voxels of both"),
        "sign_agreement": Column("share of the brain's voxels with one sign in both; empty without signs"),
        **{
            f"{measure}_chance": Column(
                "the same of the maps of two subjects by one run, mean of both runs", long_name=long_name
            )
            for measure, long_name in _BY_CHANCE.items()
        },
        "rank_correlation_null": Column(_WITH_NULL, long_name="rank correlation with the null map"),
        "top_overlap_null": Column(_WITH_NULL, long_name="overlap with the null map"),
    },
    "run_regions": {
        "subject_id": _SCAN,
        "method": _METHOD,
        "run": Column("the run's folder"),
        "region": Column("its name"),
        "density": Column("as in region_statistics.csv, of this run's map"),
    },
    "run_region_agreement": {
        "method": _METHOD,
        "region": Column("its name"),
        "icc": Column(
            "intraclass correlation ICC(2,1) over runs of the logarithm of the density (Shrout and Fleiss "
            "1979); 1: the runs agree, 0: by chance"
        ),
        "n_scans": Column("scans with a density in every run", long_name="number of scans"),
        "n_networks": Column("runs", long_name="number of runs"),
    },
    "run_region_difference": {
        "method": _METHOD,
        "region": Column("its name"),
        "density": Column("geometric mean over scans and both runs"),
        "ratio": Column("the second run's density over the first one's, geometric mean over scans"),
        "ratio_low": Column(_LIMITS, long_name="lower limit"),
        "ratio_high": Column(_LIMITS, long_name="upper limit"),
        "n_scans": Column("scans with a density in both runs", long_name="number of scans"),
    },
    "group_clusters": {
        "method": _METHOD,
        "contrast": Column("which groups", levels=_CONTRASTS),
        "peak_x": Column("the point with the largest |t|", "mm", "x of the peak"),
        "peak_y": Column("the point with the largest |t|", "mm", "y of the peak"),
        "peak_z": Column("the point with the largest |t|", "mm", "z of the peak"),
        "region": Column("the atlas's region there"),
        "volume_mm3": Column("volume of the significant voxels", "mm3"),
        "peak_effect": Column("ratio of the patients' to the controls' magnitude there"),
        "peak_t": Column("t at the peak"),
        "p": Column("p at the peak, corrected for all points and contrasts"),
    },
    "failures": {
        "subject_id": _SCAN,
        "method": _METHOD,
        "file": Column("the scan's file"),
        "reason": Column("why there is no map"),
    },
}


def write_dictionary(folder: OutputFolder, name: str) -> None:
    """Write a table's data dictionary next to it, ``NAME.json``; remove it if there is no table."""
    path = folder.root / f"{name}.json"
    if path.with_suffix(".csv").exists():
        write_json(path, {column: about.to_json() for column, about in TABLES[name].items()})
    else:
        path.unlink(missing_ok=True)


def markdown(name: str) -> str:
    """Return the manual's list of a table's columns; those that are alike share an item."""
    items: dict[str, list[str]] = {}  # what columns are -> their names
    for column, about in TABLES[name].items():
        items.setdefault(about.words(), []).append(f"`{column}`")
    lines = [f"- {', '.join(columns)}: {words}" for words, columns in items.items()]
    wrap = textwrap.TextWrapper(_MANUAL_WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(map(wrap.fill, lines)) + "\n"
