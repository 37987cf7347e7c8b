"""The plain way of making the tool's files: Captum's and matplotlib's tutorials, for the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# forward-backward passes of the plain way for a map
PASSES = {"integrated_gradients": 50, "saliency": 1, "gradient_shap": 10}
KEY_SLICES = (40, 50, 60, 70, 80)


def run_plain(folder: str, device: str, variant: str, methods: list[str], output_dir: str) -> None:
    """Make the same files as the tutorials of Captum and matplotlib would."""
    import matplotlib
    import nibabel as nib
    import torch
    import torch.nn.functional as F
    from captum.attr import GradientShap, IntegratedGradients, Saliency

    from mri_saliency.inputs.checkpoint import build_network

    matplotlib.use("Agg")
    model = build_network(variant, 115, 1)
    model.load_state_dict(torch.load(Path(folder) / "state.pth"))
    model = model.to(device).eval()
    attribute = {
        "integrated_gradients": lambda x: IntegratedGradients(model).attribute(x, n_steps=50),
        "saliency": lambda x: Saliency(model).attribute(x),
        "gradient_shap": lambda x: GradientShap(model).attribute(
            x, baselines=0.1 * torch.randn(10, *x.shape[1:], device=x.device), n_samples=10
        ),
    }
    rows = []
    for row in pd.read_csv(Path(folder) / "val.csv").itertuples():
        subject = Path(row.file).name.split("_")[0].removeprefix("mwp1")
        scan = nib.load(row.file)
        voxels = scan.get_fdata()
        voxels = (voxels - voxels.mean()) / voxels.std()
        slices = torch.from_numpy(voxels[:, 10:125, :].transpose(1, 0, 2)).float()[None]
        x = F.interpolate(slices, (112, 112), mode="bilinear", antialias=True)
        x = F.pad(x, (8, 8, 8, 8)).to(device)
        with torch.no_grad():
            probability = model(x).sigmoid().item()
        for method in methods:
            x.requires_grad_()
            attribution = attribute[method](x).detach().float().cpu()[0]
            name = Path(output_dir) / method / subject / f"{subject}_{method}"
            name.parent.mkdir(parents=True)
            np.save(f"{name}_attributions.npy", attribution.numpy())
            back = F.interpolate(attribution[None, :, 8:-8, 8:-8], (113, 113), mode="bilinear")[0]
            volume = np.zeros(scan.shape, np.float32)
            volume[:, 10:125, :] = back.numpy().transpose(1, 0, 2)
            nib.save(nib.Nifti1Image(volume, scan.affine), f"{name}_attributions.nii.gz")
            image = x.detach().cpu()[0].numpy()
            for index in KEY_SLICES:
                draw_plain_slice(image[index], attribution[index].numpy(), f"{name}_slice_{index}.png")
            title = f"{subject} {method}: TLE {probability:.2f}, true {row[2]}"
            draw_plain_summary(image, attribution.numpy(), title, f"{name}_summary.png")
            rows.append((subject, method, probability, attribution.mean().item(), attribution.std().item()))
    table = pd.DataFrame(rows, columns=["subject_id", "method", "prediction", "mean", "std"])
    table.to_csv(Path(output_dir) / "attribution_statistics.csv", index=False)


def draw_plain_slice(image: np.ndarray, attribution: np.ndarray, path: str) -> None:
    """Draw a slice in three panels."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(15, 5))
    limit = np.abs(attribution).max()
    for panel, title in zip(axes, ("Original slice", "Attribution", "Overlay"), strict=True):
        panel.imshow(np.rot90(image), cmap="gray")
        panel.set_title(title)
    drawn = axes[1].imshow(np.rot90(attribution), cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(drawn, ax=axes[1])
    drawn = axes[2].imshow(np.rot90(np.abs(attribution)), cmap="hot", alpha=0.5)
    figure.colorbar(drawn, ax=axes[2])
    save_plain(figure, axes, path)


def draw_plain_summary(image: np.ndarray, attribution: np.ndarray, title: str, path: str) -> None:
    """Draw the key slices above their attributions."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(KEY_SLICES), figsize=(3 * len(KEY_SLICES), 6), squeeze=False)
    limit = np.abs(attribution).max()
    for column, index in enumerate(KEY_SLICES):
        axes[0, column].imshow(np.rot90(image[index]), cmap="gray")
        axes[0, column].set_title(f"Slice {index}")
        axes[1, column].imshow(np.rot90(attribution[index]), cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.suptitle(title)
    save_plain(figure, axes, path)


def save_plain(figure: Figure, axes: np.ndarray, path: str) -> None:
    """Write a figure, and close it."""
    import matplotlib.pyplot as plt

    for panel in axes.flat:
        panel.axis("off")
    plt.tight_layout()
    plt.savefig(path, bbox_inches="tight")
    plt.close(figure)
