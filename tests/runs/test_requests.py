"""Wrong requests end with 2 and leave the folder alone; the runner passes on what it is given."""

import pytest

import generate_saliency_maps as script
import run_saliency_generation as runner

from .outputs import file_names

BAD_REQUESTS = {
    "no default run": ([], "--demo"),
    "no model": (["--model_path", "absent.pth"], "absent.pth: no such file"),
    "no such column": (["--path_column", "volume"], "no column 'volume'"),
    "slice beyond": (["--key_slices", "9"], "slices 0 to 8"),
    "no such device": (["--device", "cuda:77"], "there are cpu"),
    "no such target": (["--target", "1"], "1 logit"),
    "output is a file": (["--output_dir", __file__], "cannot be written"),
    "no such atlas": (["--atlas", "absent.nii"], "absent.nii: no such file"),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_wrong_requests_end_with_2_and_leave_the_folder_alone(run_folder, monkeypatch, capsys, name):
    monkeypatch.chdir(run_folder.output.parent)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    extra, message = BAD_REQUESTS[name]
    options = run_folder.options(*extra) if extra else []
    assert script.main(options) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not run_folder.output.exists() or not file_names(run_folder.output)


def test_the_runner_passes_options_on(monkeypatch):
    calls = []
    monkeypatch.setattr(script, "main", lambda args: calls.append(args) or 0)
    assert runner.main(["--device", "cpu", "--methods", "saliency"]) == 0
    assert calls == [["--max_samples", "20", "--device", "cpu", "--methods", "saliency"]]


def test_a_mistyped_option_ends_the_demo_before_it_trains(tmp_path, monkeypatch):
    monkeypatch.setattr("mri_saliency.demo.demo.run", lambda *_: pytest.fail("the demo began"))
    with pytest.raises(SystemExit) as ended:
        runner.main(["--demo", str(tmp_path), "--methods", "saliency,deep_lift"])
    assert ended.value.code == 2
