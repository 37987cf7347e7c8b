"""The registry of attribution methods: the question each one answers, and its cost.

Data and their look-up, and no heavy import, so that ``--help`` shows the methods without loading PyTorch.
`captum_methods.METHOD_FUNCTIONS` holds the code of each name.
"""

from dataclasses import dataclass

from mri_saliency.errors import UserError


@dataclass(frozen=True)
class Method:
    """One attribution method.

    Attributes
    ----------
    name : str
        The name on the command line, in folder names and in tables.
    question : str
        The question that a map answers, in one line.
    signed : bool
        Whether a map has positive and negative values.
    unit : str
        The unit of the map's values.
    reference : str
        The input that the scan is compared with.
    passes : str
        Forward-backward passes of the network for one map.
    completes : bool
        Whether the map's sum should equal a change of the logit.
    settings : tuple of str
        The options that determine its map, besides the network, the scan and the target.
    paper : str
        The publication of the method.
    """

    name: str
    question: str
    signed: bool
    unit: str
    reference: str
    passes: str
    completes: bool
    settings: tuple[str, ...]
    paper: str

    @property
    def stochastic(self) -> bool:
        """Whether the method draws random numbers."""
        return "seed" in self.settings

    @property
    def draws_noise(self) -> bool:
        """Whether it draws on the network's device, where a CPU and each model of GPU draw other numbers."""
        return "noise_std" in self.settings

    @property
    def has_standard_error(self) -> bool:
        """Whether its maps come with each voxel's standard error."""
        return "n_references" in self.settings

    @property
    def null_reference(self) -> str:
        """What its null map |scan - reference| takes as reference: "baseline", or "zero" without one."""
        return "baseline" if "baseline" in self.settings else "zero"

    @property
    def from_zero(self) -> bool:
        """Whether it multiplies by the scan's difference from zero, or noise around it, not `--baseline`."""
        return self.unit == _CONTRIBUTION and not {"baseline", "references"} & set(self.settings)


_CONTRIBUTION = "logit"
_SLOPE = "logit per unit of intensity"
_DRAWS = ("n_samples", "noise_std", "seed")

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
        ),
    )
}
DEFAULT_METHODS = ("integrated_gradients", "saliency", "gradient_shap")

# Value of --n_steps: as many points as --map_error asks for.
AUTO = "auto"
# The error of --map_error: the difference of the map from that of half the points, relative to the map.
MAP_ERROR = 0.001

# Values of --baseline besides a file's path.
BASELINES = ("zero", "background", "hc_mean")

# Scans of --check_maps without a number.
CHECKED_SCANS = 8

# The most volumes in one pass of the network, by device type; --batch_size overrides it.
BATCH_SIZES = {"cpu": 25, "cuda": 50}


def find_method(name: str) -> Method:
    """Return a method by its name; raises UserError, with all names, where there is none."""
    if name not in METHODS:
        raise UserError(f"no method {name!r}; there are {', '.join(METHODS)}.")
    return METHODS[name]
