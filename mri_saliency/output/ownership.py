"""Whether a run may write into a folder: not over what others wrote, nor over what it reads."""

import os
from collections.abc import Iterable
from pathlib import Path

from mri_saliency.errors import UserError
from mri_saliency.methods import METHODS
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.files import GROUP_MAPS, SUBFOLDERS, read_json
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.program import TOOL
from mri_saliency.wording import first_of

_WHOLE = (*METHODS, GROUP_MAPS)  # all of these folders is a run's; of others, files of its names are


def check_own(folder: OutputFolder, inputs: Iterable[Path] = (), *, overwrite: bool = False) -> None:
    """Raise UserError for a folder with files of names that a run writes, if this program did not write them.

    They are its own if run.json is. Also refused: a link in the place of a folder; `inputs`
    where a run writes; and a folder of another version of this program, unless its maps are replaced.
    """
    run, root = read_json(folder.run_record) or {}, folder.root
    tool = run.get("tool")
    is_own = isinstance(tool, dict) and tool.get("name") == TOOL
    if is_own:
        folder.check_format(overwrite=overwrite)
    names = {path for path in vars(folder).values() if isinstance(path, Path) and path != root}
    names |= {folder.table(name).with_suffix(".json") for name in TABLES}
    names |= {root / name for name in ("dataset_description.json", *_WHOLE)}
    foreign = {path for name in _WHOLE for path in root.glob(f"{name}/*") if path.is_symlink()}
    folders = [root / name for name in (*METHODS, *SUBFOLDERS)]
    foreign |= {path for path in folders if path.is_symlink() or path.is_file()}
    if not is_own:
        there = {path for path in names if os.path.lexists(path)}
        foreign |= {path for path in there if not path.is_dir() or any(path.glob("*"))}
    if foreign:
        found = first_of([path.relative_to(root).as_posix() for path in sorted(foreign)], 9)
        raise UserError(
            f"{root.absolute()}: holds files or links of names that a run writes, and by run.json this "
            f"program did not write them: {found}. Choose another --output_dir, such as a new folder."
        )
    real_root = os.path.realpath(root)
    for path in inputs:
        name = os.path.relpath(os.path.realpath(path), real_root)
        if name.split(os.sep)[0] in _WHOLE or root / name in names:
            raise UserError(
                f"{path}: is to be read, and the run writes {name} in {root.absolute()}. Choose another "
                "--output_dir."
            )
