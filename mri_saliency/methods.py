"""The registry of attribution methods: the question each one answers, and its cost.

Data, and no heavy import, so that ``--help`` shows the methods without loading PyTorch. The code of each name
is in `attribution.captum_methods.METHOD_FUNCTIONS`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mri_saliency.errors import UserError


@dataclass(frozen=True)
class Method:
    """One attribution method."""

    name: str  # on the command line, in folder names and in tables
    question: str  # that a map answers, in one line
    signed: bool  # whether a map has positive and negative values
    unit: str
    reference: str  # the input that the scan is compared with
    passes: str  # forward-backward passes of the network for one map
    completes: bool  # whether the map's sum should equal a change of the logit
    settings: tuple[str, ...]  # the options that determine its map, besides --target
    paper: str
    title: str  # in a text
    account: str  # what it did, in a sentence for a paper; [@key] cites an entry of report/references.bib
    draws: str = ""  # how often it drew, in a sentence with the settings' names and n_available in braces

    @property
    def heading(self) -> str:
        """The title at the beginning of a line."""
        return self.title[0].upper() + self.title[1:]

    @property
    def stochastic(self) -> bool:
        """Whether the method draws random numbers."""
        return "seed" in self.settings

    @property
    def has_standard_error(self) -> bool:
        """Whether its maps come with each voxel's standard error."""
        return "n_references" in self.settings

    @property
    def null_reference(self) -> str:
        """What its null map takes as reference: "baseline", "references", or "zero" without either."""
        return next((name for name in ("baseline", "references") if name in self.settings), "zero")

    @property
    def from_zero(self) -> bool:
        """Whether it multiplies by the scan's difference from zero, or noise around it, not `--baseline`."""
        return self.unit == _CONTRIBUTION and not {"baseline", "references"} & set(self.settings)


_NULLS = {  # by `Method.null_reference`
    "baseline": "|scan − baseline|",
    "references": "mean |scan − control|",
    "zero": "|scan|",
}
_CONTRIBUTION = "logit"
_SLOPE = "logit per unit of intensity"
_DRAWS = ("n_samples", "noise_std", "seed")
_NOISE = "normal noise with a standard deviation of {noise_std}, in units of the network's input"
_IN_PAIRS = ", added to one and subtracted from the next"

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            name="integrated_gradients",
            question="how much each voxel moved the logit on the way from the baseline to the scan",
            signed=True,
            unit=_CONTRIBUTION,
            reference="`--baseline`",
            passes="9 to 129, or `n_steps`",
            completes=True,
            settings=("baseline", "n_steps", "map_error"),
            paper="Sundararajan et al. 2017, Axiomatic attribution for deep networks, ICML",
            title="Integrated Gradients",
            account="Integrated Gradients [@sundararajan2017] averaged the gradient of the logit along the "
            "straight path from a baseline to the scan, and multiplied it by the difference between the two, "
            "voxel by voxel.",
        ),
        Method(
            name="saliency",
            question="how strongly the logit reacts to a small change of each voxel",
            signed=False,
            unit=_SLOPE,
            reference="none",
            passes="1",
            completes=False,
            settings=(),
            paper="Simonyan et al. 2014, Deep inside convolutional networks, ICLR workshop",
            title="saliency",
            account="Saliency [@simonyan2014] was the magnitude of the logit's gradient at the scan.",
        ),
        Method(
            name="gradient_shap",
            question="how much each voxel moved the logit on the way from random noise to the scan",
            signed=True,
            unit=_CONTRIBUTION,
            reference="`noise_std` × normal noise",
            passes="`n_samples`",
            completes=True,
            settings=_DRAWS,
            paper="Lundberg & Lee 2017, A unified approach to interpreting model predictions, NeurIPS",
            title="Gradient SHAP",
            account="Gradient SHAP [@lundberg2017] averaged, over random draws, the gradient at a random "
            "place on the straight path from noise to the scan, multiplied by the difference between the "
            "two.",
            draws=f"For Gradient SHAP, {{n_samples}} draws of {_NOISE}, were made for each scan; the place "
            "of each was in another one of {n_samples} equal parts of the path.",
        ),
        Method(
            name="expected_gradients",
            question="how much each voxel moved the logit on the way from the healthy controls to the scan, "
            "averaged over them",
            signed=True,
            unit=_CONTRIBUTION,
            reference="each HC scan",
            passes="`n_references`",
            completes=True,
            settings=("references", "n_references", "seed"),
            paper="Erion et al. 2021, Improving performance of deep learning models with axiomatic "
            "attribution priors and expected gradients, Nature Machine Intelligence",
            title="Expected Gradients",
            account="Expected Gradients [@erion2021] averaged, over random draws, the gradient at a random "
            "place on the straight path from a control's scan to the scan, multiplied by the difference "
            "between the two.",
            draws="For Expected Gradients, {n_references} draws were made for each scan, from {n_available} "
            "scans of controls without those of the scan's own subject.",
        ),
        Method(
            name="input_x_gradient",
            question="each voxel's intensity times the logit's reaction to it",
            signed=True,
            unit=_CONTRIBUTION,
            reference="zero, to first order",
            passes="1",
            completes=False,
            settings=(),
            paper="Shrikumar et al. 2016, Not just a black box, arXiv:1605.01713",
            title="input × gradient",
            account="Input × gradient [@shrikumar2016] multiplied the logit's gradient at the scan by the "
            "scan's intensities, voxel by voxel.",
        ),
        Method(
            name="deep_lift",
            question="how the logit's difference from the baseline's splits over the voxels' differences",
            signed=True,
            unit=_CONTRIBUTION,
            reference="`--baseline`",
            passes="2",
            completes=True,
            settings=("baseline",),
            paper="Shrikumar et al. 2017, Learning important features through propagating "
            "activation differences, ICML",
            title="DeepLIFT",
            account="DeepLIFT [@shrikumar2017] divided the difference between the logits of scan and "
            "baseline among the voxels by its rescale rule, extended to the network's SiLU and sigmoid units "
            "and to the products in its squeeze-and-excitation blocks.",
        ),
        Method(
            name="noise_tunnel_ig",
            question="Integrated Gradients, averaged over noisy copies of the scan",
            signed=True,
            unit=_CONTRIBUTION,
            reference="`--baseline`",
            passes="`n_samples` × (9 to 129, or `n_steps`)",
            completes=False,
            settings=("baseline", "n_steps", "map_error", *_DRAWS),
            paper="Smilkov et al. 2017, SmoothGrad, arXiv:1706.03825, over Sundararajan et al. 2017",
            title="smoothed Integrated Gradients",
            account="Smoothed Integrated Gradients averaged Integrated Gradients [@sundararajan2017] over "
            "copies of the scan with added noise [@smilkov2017].",
            draws=f"For smoothed Integrated Gradients, {{n_samples}} copies of each scan were made with "
            f"{_NOISE}{_IN_PAIRS}.",
        ),
        Method(
            name="smooth_grad",
            question="the logit's reaction to each voxel, with its sign, averaged over noisy copies "
            "of the scan",
            signed=True,
            unit=_SLOPE,
            reference="none",
            passes="`n_samples`",
            completes=False,
            settings=_DRAWS,
            paper="Smilkov et al. 2017, SmoothGrad, arXiv:1706.03825",
            title="SmoothGrad",
            account="SmoothGrad [@smilkov2017] averaged the logit's gradient over copies of the scan with "
            "added noise.",
            draws=f"For SmoothGrad, {{n_samples}} copies of each scan were made with {_NOISE}{_IN_PAIRS}.",
        ),
    )
}
DEFAULT_METHODS = ("integrated_gradients", "saliency", "gradient_shap")

# Value of --n_steps: as many points as --map_error asks for.
AUTO: Final = "auto"
# The error of --map_error, relative to the map.
MAP_ERROR = 0.001

# Values of --baseline besides a file's path.
BASELINES = ("zero", "background", "hc_mean")

# Scans of --check_maps without a number.
CHECKED_SCANS = 8

# By device type: the most volumes in one pass of the network; the scans that are checked without
# --check_maps, which take a GPU seconds.
BATCH_SIZES = {"cpu": 25, "cuda": 50}
CHECKED_BY_DEFAULT = {"cpu": 0, "cuda": CHECKED_SCANS}


def null_legend(methods: Iterable[str]) -> str:
    """Return which null maps these methods have, in words: each one's, with its methods."""
    by_null: dict[str, list[str]] = {}
    for method in methods:
        by_null.setdefault(_NULLS[METHODS[method].null_reference], []).append(METHODS[method].title)
    return "\n".join(f"{null} ({', '.join(titles)})" for null, titles in by_null.items())


def explained_sentence(n_logits: int, target: int | None, tle: str) -> str:
    """Return what maps explain, in a sentence for a paper.

    `target` None is each scan's predicted class; `tle` is the word for TLE.
    """
    if n_logits == 1:
        return f"The maps explained the network's only logit, the log-odds of {tle}."
    of_class = "each scan's predicted class" if target is None else f"class {target} (of 0 to {n_logits - 1})"
    return (
        f"The maps explained the log-odds of {of_class}, its logit less the logsumexp of the others, called "
        "the logit below."
    )


def find_method(name: str) -> Method:
    """Return a method by its name; raises UserError, with all names, where there is none."""
    if name not in [*METHODS]:  # it may be anything
        raise UserError(f"no method {name!r}; there are {', '.join(METHODS)}.")
    return METHODS[name]
