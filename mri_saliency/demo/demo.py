"""A simulated cohort with a known answer, and a network trained on it.

Everything here is simulated: brains are variations of the MNI152 grey-matter template, and TLE is a
loss of grey matter in one hippocampus. The files have the form of a real run.
"""

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from scipy.ndimage import distance_transform_edt
from torch import nn
from torchvision.ops import StochasticDepth

from mri_saliency import __version__
from mri_saliency.demo.simulation import AFFINE, GRID_SHAPE, LEAST_GREY_MATTER, N_SLICES, Simulator, places_mm
from mri_saliency.errors import UserError
from mri_saliency.inputs.checkpoint import build_network
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import brain_mask, to_network_input
from mri_saliency.maps.comparison import localisation
from mri_saliency.methods import DEFAULT_METHODS, METHODS
from mri_saliency.output.files import read_json, write_json, write_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.report.report import write_known_answer
from mri_saliency.runtime.device import keep_freed_memory
from mri_saliency.statistics.contrasts import ALIGNED, LEFT, RIGHT
from mri_saliency.statistics.sign_flips import SIGNIFICANT
from mri_saliency.wording import DEMO_PREFIX

DIAGNOSES = ("HC", "left", "HC", "right")  # repeated over the cohort
N_SCANS = 20

NEAR_MM = 6.0  # a group difference at most so far from a lesion is the lesion's
CUBE_MM = 30  # edge of the regions of the demo's atlas other than the hippocampi

TRAINING_STEPS, TRAINING_BATCH, LEARNING_RATE = 20, 16, 2e-3
DROPOUT = 0.2
N_CHECKED = 4  # scans whose maps are checked on the network
N_REFERENCES = 20  # draws of Expected Gradients: two places on the path from each of ten controls
N_UNSEEN = 16  # scans the trained network is tried on
TRAINING_SEED, COHORT_SEED, UNSEEN_SEED = 1, 2, 3


def run(folder: Path, passed_on: list[str], generate: Callable[[list[str]], int]) -> int:
    """Make the demo in `folder` unless an earlier run did, explain it; the report gets the right answer.

    `passed_on` are options for the script, which override the demo's; `generate` is the script's ``main``,
    whose exit code is returned. Raises UserError if nilearn is missing, or the folder cannot be written.
    """
    fold = folder / "run" / "fold_1"
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--output_dir", type=Path, default=fold / "saliency_maps_detailed")
    output_dir = parser.parse_known_args(passed_on)[0].output_dir
    print("DEMO: simulated scans and a network trained on them; no patient's data, no finding.")
    make(folder)
    code = generate(
        [
            *("--atlas", str(folder / "atlas.nii.gz"), "--atlas_names", str(folder / "atlas.csv")),
            *("--model_path", str(fold / "best_model.pth")),
            *("--parameters_path", str(folder / "run" / "parameters.json")),
            *("--csv_path", str(folder / "val.csv")),
            *("--output_dir", str(output_dir)),
            *("--methods", *DEFAULT_METHODS, "expected_gradients", "--n_references", str(N_REFERENCES)),
            *("--baseline", "hc_mean"),
            *(() if "--report_only" in passed_on else ("--check_maps", str(N_CHECKED))),
            *passed_on,
        ]
    )
    if code in (0, 1):
        results = OutputFolder(output_dir)
        report_localisation(folder, results)
        report_group_localisation(folder, results)
        write_known_answer(results)
        print("DEMO: the page also has the right answer, which only a demo knows.")
    return code


def make(folder: Path) -> None:
    """Write the cohort and train the network; both are reused if this version made them before."""
    keep_freed_memory()
    stamp = folder / "demo.json"
    recipe = {"version": __version__, "steps": TRAINING_STEPS, "scans": N_SCANS}
    made = read_json(stamp) or {}
    if made.get("recipe") == recipe:
        print(f"reusing {folder}; accuracy on unseen simulated scans {made['accuracy']:.0%}")
        return
    simulator = Simulator()
    try:
        for name in ("scans", "run/fold_1"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}). Name another for --demo.") from error
    print(f"simulating {N_SCANS} scans in {folder}", flush=True)
    write_cohort(folder, simulator)
    write_atlas(folder, simulator)
    network = train(simulator)
    inputs, labels = simulator.inputs(N_UNSEEN, np.random.default_rng(UNSEEN_SEED))
    with torch.no_grad():
        accuracy = float(((network(inputs)[:, 0] > 0) == (labels > 0.5)).float().mean())
    print(f"the network is right on {accuracy:.0%} of {N_UNSEEN} unseen simulated scans", flush=True)
    write_run(folder / "run", network, accuracy)
    write_json(stamp, {"simulated": True, "recipe": recipe, "accuracy": accuracy})


def train(simulator: Simulator) -> nn.Module:
    """Train an EfficientNetV2-S on newly simulated scans."""
    generator = np.random.default_rng(TRAINING_SEED)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(TRAINING_SEED)
        network = build_network("S", N_SLICES, 1, DROPOUT).to(memory_format=torch.channels_last)
        for module in network.modules():
            if isinstance(module, StochasticDepth):
                module.p = 0.0  # so few steps must each train every block
        optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=TRAINING_STEPS)
        network.train()
        for step in range(1, TRAINING_STEPS + 1):
            inputs, labels = simulator.inputs(TRAINING_BATCH, generator)
            loss = nn.functional.binary_cross_entropy_with_logits(network(inputs)[:, 0], labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % 5 == 0 or step == TRAINING_STEPS:
                print(f"training: step {step} of {TRAINING_STEPS}, loss {loss.item():.3f}", flush=True)
        # after so few steps the running statistics lag behind the weights: estimate them anew
        fresh = [simulator.inputs(TRAINING_BATCH, generator)[0] for _ in range(3)]
        torch.optim.swa_utils.update_bn(fresh, network)
    return network.eval()


def write_cohort(folder: Path, simulator: Simulator) -> None:
    """Write the scans, masks of the lesions, and val.csv."""
    rows = []
    for index, generator in enumerate(np.random.default_rng(COHORT_SEED).spawn(N_SCANS)):
        diagnosis = DIAGNOSES[index % len(DIAGNOSES)]
        subject = f"{DEMO_PREFIX}{index + 1:02}"
        voxels = simulator.with_lesion(simulator.brain(generator), diagnosis, generator)
        image = nib.Nifti1Image(voxels, AFFINE)
        image.set_sform(AFFINE, 4)  # MNI152
        image.set_data_dtype(np.int16)  # scaled, as SPM's family writes
        path = scan_path(folder, subject)
        image.to_filename(path)
        if diagnosis in simulator.lesions:
            lesion = simulator.lesions[diagnosis].astype(np.uint8)
            nib.Nifti1Image(lesion, AFFINE).to_filename(lesion_path(path))
        file = path.relative_to(folder)  # so that the folder can be moved
        rows.append({"file": str(file), "sbj_nme": subject, "HC_vs_LTLE_vs_RTLE_string": diagnosis})
    write_table(folder / "val.csv", pd.DataFrame(rows))


def write_atlas(folder: Path, simulator: Simulator) -> None:
    """Write atlas.nii.gz and atlas.csv: the two hippocampi, and the rest of the brain in cubes.

    A cube's name has its side, and its centre in mm without the sign of x, so that the names of the two
    sides differ in the side only.
    """
    labels = np.zeros(GRID_SHAPE, np.int16)
    names: list[str] = []
    brain = simulator.template > LEAST_GREY_MATTER
    for side, towards in (("Left", -1), ("Right", 1)):
        lateral_mm = places_mm() * (towards, 1, 1)
        inside = brain & (lateral_mm[..., 0] > 0)
        cubes, numbers = np.unique(np.floor(lateral_mm[inside] / CUBE_MM), axis=0, return_inverse=True)
        labels[inside] = len(names) + 1 + numbers.ravel()
        names += [
            "{} cube at {:.0f} {:.0f} {:.0f} mm".format(side, *(cube + 0.5) * CUBE_MM) for cube in cubes
        ]
        names.append(f"{side} hippocampus")
        labels[simulator.lesions[side.lower()]] = len(names)
    nib.Nifti1Image(labels, AFFINE).to_filename(folder / "atlas.nii.gz")
    write_table(folder / "atlas.csv", pd.DataFrame({"index": range(1, len(names) + 1), "name": names}))


def scan_path(folder: Path, subject: str) -> Path:
    """Return the path of a subject's scan in the demo's folder."""
    return folder / "scans" / f"mwp1{subject}_ses-01_T1w.nii"


def lesion_path(scan: Path) -> Path:
    """Return the path of the simulated lesion's mask of a scan."""
    return scan.with_name(scan.name.removesuffix(".nii") + "_lesion.nii.gz")


def write_run(run_folder: Path, network: nn.Module, accuracy: float) -> None:
    """Write checkpoint and parameters as the laboratory's training code does, but for its optimizer."""
    torch.save(
        {
            "epoch": TRAINING_STEPS,
            "model_state_dict": {f"backbone.{k}": v for k, v in network.state_dict().items()},
            "metrics": {"accuracy": np.float64(accuracy), "n_unseen": N_UNSEEN},
        },
        run_folder / "fold_1" / "best_model.pth",
    )
    parameters = {"dropout_rate": DROPOUT, "batch_size": TRAINING_BATCH, "random_seed": TRAINING_SEED}
    write_json(run_folder / "parameters.json", parameters)


def report_localisation(folder: Path, results: OutputFolder) -> None:
    """Compute how well each method's maps find the lesions, and write demo_localisation.csv."""
    methods_of: dict[str, list[str]] = {}
    for record in results.all_records():
        if lesion_path(scan_path(folder, record.subject_id)).is_file():
            methods_of.setdefault(record.subject_id, []).append(record.method)
    rows = []
    for subject_id, methods in methods_of.items():
        lesion, brain = load_lesion_and_brain(scan_path(folder, subject_id))
        for method in methods:
            values = np.load(results.array(method, subject_id))
            rows.append({"method": method, **localisation(values, lesion, brain)})
    if rows:
        means = pd.DataFrame(rows).groupby("method").mean()
        table = means.reindex([name for name in METHODS if name in means.index]).reset_index()
        write_table(results.table("demo_localisation"), table)


def load_lesion_and_brain(scan: Path) -> tuple[np.ndarray, np.ndarray]:
    """Load a scan's lesion and its brain on the network's grid, both bool (115, 128, 128)."""
    lesion = to_network_input(_voxels(lesion_path(scan)).astype(np.float32), N_SLICES) > 0.5
    return lesion, brain_mask(load_volume(scan, N_SLICES).network_input)


def report_group_localisation(folder: Path, results: OutputFolder) -> None:
    """Compute how well each method's group tests find the lesions, and write demo_groups.csv."""
    labels = _voxels(folder / "atlas.nii.gz")
    names = pd.read_csv(folder / "atlas.csv").set_index("name")["index"]
    left, right = (labels == names[f"{side} hippocampus"] for side in ("Left", "Right"))
    lesions = {LEFT.name: left, RIGHT.name: right, ALIGNED.name: left | right[::-1]}
    rows = []
    for method, (contrast, lesion) in itertools.product(METHODS, lesions.items()):
        path = results.group_map(method, f"{contrast}_neg_log10_p_fwe.nii.gz")
        if path.exists():
            significant = _voxels(path) >= -np.log10(SIGNIFICANT) - 1e-6  # of float32
            rows.append({"method": method, "contrast": contrast, **group_localisation(significant, lesion)})
    if rows:
        write_table(results.table("demo_groups"), pd.DataFrame(rows))


def group_localisation(significant: np.ndarray, lesion: np.ndarray) -> dict[str, float]:
    """Return how much of what is significant lies near a lesion, and how much of the lesion is significant.

    Both bool on the scans' grid; ``near`` is NaN where nothing is significant.
    """
    distance_mm = distance_transform_edt(~lesion, sampling=AFFINE[1, 1])
    near = float((distance_mm[significant] <= NEAR_MM).mean()) if significant.any() else np.nan
    return {"n_significant": int(significant.sum()), "near": near, "found": float(significant[lesion].mean())}


def _voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.Nifti1Image.from_filename(path).dataobj)
