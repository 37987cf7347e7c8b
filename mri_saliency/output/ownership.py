"""Whether a run may write into a folder: not over what others wrote, nor over what it reads."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mri_saliency.errors import UserError
from mri_saliency.methods import METHODS
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.files import read_json
from mri_saliency.output.folder import GROUP_MAPS, OutputFolder
from mri_saliency.output.program import TOOL
from mri_saliency.wording import first_of

_FOLDERS = (*METHODS, GROUP_MAPS)


def check_own(folder: OutputFolder, inputs: Iterable[Path] = (), *, overwrite: bool = False) -> None:
    """Raise UserError for a folder with files of names that a run writes, if this program did not write them.

    What lies at the root is its own if run.json is. Also refused: a link in the place of a folder; `inputs`
    where a run writes; and a folder of another version of this program, unless its maps are replaced.
    """
    run, root = read_json(folder.run_record) or {}, folder.root
    tool = run.get("tool")
    is_own = isinstance(tool, dict) and tool.get("name") == TOOL
    if is_own:
        folder.check_format(overwrite=overwrite)
    files = {path.name for path in vars(folder).values() if isinstance(path, Path) and path != root}
    names = files | {f"{table}.json" for table in TABLES} | {"dataset_description.json", *_FOLDERS}
    foreign = [path for name in _FOLDERS for path in root.glob(f"{name}/*") if path.is_symlink()]
    for path in (root / name for name in sorted(names)):
        is_linked = path.name in _FOLDERS and (path.is_symlink() or path.is_file())
        is_empty = path.is_dir() and not any(path.glob("*"))
        if is_linked or (not is_own and os.path.lexists(path) and not is_empty):
            foreign.append(path)
    if foreign:
        found = first_of([path.relative_to(root).as_posix() for path in foreign], 9)
        raise UserError(
            f"{root.absolute()}: holds files or links of names that a run writes, and by run.json this "
            f"program did not write them: {found}. Choose another --output_dir, such as a new folder."
        )
    real_root = os.path.realpath(root)
    for path in inputs:
        name = os.path.relpath(os.path.realpath(path), real_root).split(os.sep)[0]
        if name in names:
            raise UserError(
                f"{path}: is to be read, and the run writes {name} in {root.absolute()}. Choose another "
                "--output_dir."
            )
