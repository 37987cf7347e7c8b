"""Made-up records of finished maps."""

from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.drawing import Drawing
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.output.record import MapRecord, Recipe

from ..conftest import AFFINE, REAL_SHAPE


def record(subject_id="sub-A", method="saliency", sample_idx=0, **changes):
    statistics = {
        **{"method": method, "shape": "(9, 128, 128)", "mean": 0.5, "std": 1.0, "min": 0.0, "max": 2.0},
        **{"abs_mean": 0.5, "positive_ratio": 1.0, "negative_ratio": 0.0, "peak_slice": 4},
        **{"brain_share": 0.7, "subject_id": subject_id, "true_label": 0, "diagnosis": "HC"},
        **{"prediction": 0.1, "predicted_label": 0, "confidence": 0.9, "target": 0, "baseline": None},
        **{"sample_idx": sample_idx, "completeness_sum": None, "completeness_expected": None},
        **{"completeness_error": None, "completeness_verdict": None, "seconds": 0.2},
    }
    content = {
        "subject_id": subject_id,
        "method": method,
        "source": FileIdentity(f"/data/{subject_id}.nii", 10, 20, "0" * 64),
        "grid": Grid(REAL_SHAPE, AFFINE, 4, 10, 9),
        "brain_voxels": 1000,
        "recipe": Recipe(1, "abc", 10, 0, {}),
        "statistics": MapStatistics(**statistics),
        "slice_profile": (0.5, 0.5),
        "program": "0.3.0+0123456789ab",
        "key_slices": (2, 5),
        "drawing": Drawing(1.0, 0.5, 6.0, 4),
        "files": {},
    }
    return MapRecord(**content | changes)
