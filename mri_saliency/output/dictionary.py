"""The columns of all tables: what they mean, in words, units and levels; BIDS's data dictionaries."""

from collections.abc import Mapping
from dataclasses import fields

from mri_saliency.maps.statistics import METHOD_LEVELS, OF_METHOD, MapStatistics
from mri_saliency.wording import Column, column


def _normal_range(measure: str) -> dict[str, Column]:
    meaning = (
        "distance from the HC subjects' mean in their standard deviations (of the density: its logarithm); "
        "HC without the own scans; empty below 15 HC subjects"
    )
    return {f"{measure}_z": column(meaning, name=f"z of the {measure}")}


def _with_interval(name: str, meaning: str) -> dict[str, Column]:
    ends = {"": None, "_low": "lower end of its 95% interval", "_high": "upper end of its 95% interval"}
    return {
        f"{name}{end}": column(f"{meaning}, and its 95% interval", name=words) for end, words in ends.items()
    }


def _telling_sides(prefix: str, what: str, focus: str) -> dict[str, Column]:
    """Return the columns on how well an asymmetry tells left from right TLE."""
    area = f"area under the ROC curve of left against right TLE by the asymmetry of {what} ({focus}: focus)"
    return {
        f"{prefix}n_left": column(f"subjects with an asymmetry of {what}", name="left TLE"),
        f"{prefix}n_right": column(f"subjects with an asymmetry of {what}", name="right TLE"),
        **_with_interval(f"{prefix}auc", area),
    }


_STATISTICS: dict[str, Column] = {field.name: dict(field.metadata) for field in fields(MapStatistics)}
_SCAN, _METHOD = _STATISTICS["subject_id"], _STATISTICS["method"]
_CHANCE = "the same of `method_a`'s map and the next subject's map by `method_b`; empty without such a scan"
_CONTRASTS = {
    "left_minus_HC": "patients with a focus on the left, HC",
    "right_minus_HC": "patients with a focus on the right, HC",
    "aligned_minus_HC": "both, right-sided maps mirrored, so that every focus is on the left, HC",
    "TLE_minus_HC": "all patients, HC",
}
_EXCEEDS = column(
    "whether the interval of the effect over the null map's lies on the effect's side of 1; or unknown",
    levels={"True": "more than the null map's effect", "False": "not shown to be more"},
)
_WITH_NULL = "the same of a run's map and its null map, mean of both runs"
_RUNS_CHANCE = "the same of the maps of two subjects by one run, mean of both runs"

_TABLES: dict[str, Mapping[str, Column | str]] = {  # a text: the column's meaning, and nothing else
    "attribution_statistics": _STATISTICS,
    "region_statistics": {
        "subject_id": _SCAN,
        "method": _METHOD,
        "region": column(
            "its name; `outside the brain` is the rest of `brain_share`",
            levels={"outside the brain": "what `brain_share` leaves"},
        ),
        "mass": column("summed magnitude in the region", OF_METHOD),
        "share": "share of the whole map's mass",
        "density": "mass per voxel over the brain's; 1: as everywhere",
        "asymmetry": "(L - R) / (L + R) of the two sides' mass per voxel, in both rows",
        "density_null": "the same density of the method's null map, as in attribution_statistics.csv",
        **_normal_range("density"),
        **_normal_range("asymmetry"),
    },
    "lateralisation": {
        "method": _METHOD,
        "left_region": column("the pair of regions, or the brain's halves", name="the left one's name"),
        "right_region": column("the pair of regions, or the brain's halves", name="the right one's name"),
        "density": "mean density of both, over scans of left and right TLE; empty for the halves",
        **_telling_sides("", "attribution", "more"),
        **_telling_sides("grey_matter_", "grey matter", "less"),
        **_with_interval(
            "auc_difference", "`auc` less `grey_matter_auc`, both of the subjects who have both"
        ),
        **_with_interval("hemisphere_difference", "`auc` less that of the brain's halves"),
        "better_than_hemisphere": column(
            "whether the pair tells the sides better than the brain's halves do",
            levels={"yes": "the interval of `hemisphere_difference` is above 0", "no": "it is not"},
        ),
    },
    "method_agreement": {
        "subject_id": _SCAN,
        "method_a": column("a method", levels=METHOD_LEVELS),
        "method_b": column(
            "another, or `null_map`, that of `method_a`, which knows nothing of the network",
            levels=METHOD_LEVELS | {"null_map": "as for `brain_share_null` in attribution_statistics.csv"},
        ),
        "rank_correlation": "Spearman's, of magnitudes inside the brain",
        "rank_correlation_chance": column(_CHANCE, name="rank correlation by chance"),
    },
    "map_checks": {
        "fingerprint": "of the checked settings",
        "check": column(
            "what was done",
            levels={
                "subjects": "maps of two scans compared",
                "weights": "map compared with that of shuffled weights",
                "noise": "with that of a noisy scan",
                "seed": "with that of another seed",
                "deletion": "voxels replaced by the baseline's",
                "insertion": "voxels shown on the baseline",
                "region": "one region replaced by the baseline's voxels",
                "region_ranks": "rank correlation over regions of attribution and the logit's change",
            },
        ),
        "method": column(
            "or an order of voxels",
            levels=METHOD_LEVELS
            | {
                "difference": "largest |scan - baseline| first",
                "random": "any, the brain's first",
                "ablation": "no method: the regions' own experiment",
            },
        ),
        "subject_id": "the scan, or two",
        "step": column("percentage of voxels, or region", levels={"whole": "not in steps"}),
        "measure": column(
            "what `value` is",
            levels={
                "signed": "Spearman's correlation in the brain",
                "absolute": "the same of magnitudes (in the brain, or over regions)",
                "partial": "the same of magnitudes, without what |scan - baseline| and place explain",
                "logit": "logit less the baseline's, toward the scan's; region: logit less that without it",
            },
        ),
        "value": "the number; empty where it is undefined, as for a map of zeros",
        "order": column(
            "the map, or what took its place",
            levels={
                "map": "the method's map of the scan",
                "difference": "|scan - baseline|",
                "shuffled": "the method's map of the network with all weights shuffled",
                "another": "the method's map of another scan",
                "random": "voxels at random, the brain's first",
                "map_by_magnitude": "the method's map of the scan, without its signs",
                "shuffled_by_magnitude": "that of the shuffled network, without its signs",
                "another_by_magnitude": "that of another scan, without its signs",
            },
        ),
    },
    "region_group_test": {
        "method": _METHOD,
        "contrast": column("which groups, as in group_clusters.csv", levels=_CONTRASTS),
        "region": "its name; of mirrored foci, left stands for the side of the focus",
        **_with_interval("ratio", "of the patients' to the controls' density (geometric means)"),
        "t": "Welch's, corrected for its skewness over all regions",
        "p": "corrected for all regions and contrasts of the method",
        "smallest_possible_p": "the smallest that so many subjects can reach",
        **_with_interval("ratio_null", "the same of `density_null`"),
        **_with_interval("ratio_over_null", "the same of each subject's density over `density_null`"),
        "exceeds_null": _EXCEEDS,
        "n_patients": column("subjects", name="number of patients"),
        "n_controls": column("subjects", name="number of controls"),
    },
    "run_agreement": {
        "subject_id": _SCAN,
        "method": _METHOD,
        "run_a": "a run's folder",
        "run_b": "another's",
        "rank_correlation": "Spearman's of the two runs' maps: of magnitudes inside the brain",
        "sign_agreement": "share of the brain's voxels with one sign in both; empty without signs",
        "rank_correlation_chance": column(_RUNS_CHANCE, name="rank correlation by chance"),
        "sign_agreement_chance": column(_RUNS_CHANCE, name="agreement in sign by chance"),
        "rank_correlation_null": column(_WITH_NULL, name="rank correlation with the null map"),
    },
    "run_regions": {
        "subject_id": _SCAN,
        "method": _METHOD,
        "run": "the run's folder",
        "diagnosis": _STATISTICS["diagnosis"],
        "region": "its name",
        "density": "as in region_statistics.csv, of this run's map",
    },
    "run_region_agreement": {
        "method": _METHOD,
        "region": "its name",
        **_with_interval(
            "icc",
            "intraclass correlation ICC(2,1) over runs of the logarithm of the density, of scans within a "
            "diagnosis (Shrout and Fleiss 1979); 1: the runs agree, 0: by chance",
        ),
        "n_scans": column("scans with a density in every run", name="number of scans"),
        "n_networks": column("runs", name="number of runs"),
    },
    "group_clusters": {
        "method": _METHOD,
        "contrast": column("which groups", levels=_CONTRASTS),
        "peak_x": column("the point with the largest |t|", "mm", "x of the peak"),
        "peak_y": column("the point with the largest |t|", "mm", "y of the peak"),
        "peak_z": column("the point with the largest |t|", "mm", "z of the peak"),
        "region": "the atlas's region at the peak",
        "volume_mm3": column("volume of the significant voxels", "mm3"),
        **_with_interval("peak_effect", "ratio of the patients' to the controls' magnitude there"),
        "peak_t": "Welch's t there, corrected for its skewness over all points",
        "p": "p at the peak, corrected for all points and contrasts",
        **_with_interval("effect_null", "the same ratio of the null map, |scan - baseline|"),
        **_with_interval("effect_over_null", "the same of each subject's magnitude over the null map's"),
        "exceeds_null": _EXCEEDS,
    },
    "failures": {
        "subject_id": _SCAN,
        "method": _METHOD,
        "file": "the scan's file",
        "reason": "why there is no map",
    },
}

TABLES: dict[str, dict[str, Column]] = {  # name of the table -> column -> what it is
    table: {name: column(about) if isinstance(about, str) else about for name, about in columns.items()}
    for table, columns in _TABLES.items()
}

TEXT_COLUMNS = (  # of all tables; the others hold numbers
    *("subject_id", "subject", "method", "method_a", "method_b", "fingerprint", "check", "step", "measure"),
    *("order", "region", "left_region", "right_region", "better_than_hemisphere", "contrast", "run"),
    *("run_a", "run_b", "file", "reason"),
    *(column.name for column in fields(MapStatistics) if "str" in str(column.type)),
)
NEEDED_COLUMNS = {*TEXT_COLUMNS, "value", "icc"} - {"fingerprint"}  # where tables are read again
