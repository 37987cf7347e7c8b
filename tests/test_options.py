"""The command line: what cannot be right is refused before anything heavy loads."""

import pytest

from mri_saliency.errors import UserError
from mri_saliency.options import check_key_slices, choose_target, find_parameters, read_options


def read(*args):
    return read_options("", ["--report_only", *map(str, args)])


def test_options_are_frozen_and_typed():
    options = read("--methods", "saliency", "deep_lift", "saliency", "--key_slices", 5, 3, 5)
    assert options.methods == ("saliency", "deep_lift") and options.key_slices == (5, 3)
    assert options.atlas is options.device is options.batch_size is options.target is None
    assert (options.n_steps, options.map_error, read("--n_steps", 50).n_steps) == ("auto", 0.001, 50)
    with pytest.raises(AttributeError):
        options.seed = 3
    assert options.to_json()["methods"] == ["saliency", "deep_lift"]
    assert isinstance(options.to_json()["model_path"], str)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--key_slices", -3], "--key_slices: expected 0 or more, found -3"),
        (["--batch_size", 0], "--batch_size: expected 1 or more, found 0"),
        (["--map_error", 0], "--map_error: expected a positive number, found 0.0"),
        (["--noise_std", "nan"], "--noise_std: expected a positive number"),
        (["--noise_std", "inf"], "--noise_std: expected a positive number"),
        (["--atlas_names", "names.csv"], "none is given"),
        (["--check_maps"], "--check_maps needs the network"),
        (["--combine", "a", "b"], "leave --report_only out"),
    ],
)
def test_values_that_cannot_be_right(args, message):
    with pytest.raises(UserError, match=message):
        read(*args)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "no such file.*the default checkpoint .*--demo.*--model_path"),
        (["--model_path", __file__], "no such file.*the default cohort table"),
        (["--baseline", "mean"], "neither a file nor one of zero"),
        (["--model_path", __file__, "--csv_path", __file__, "--atlas", "c"], "c: no such file.*--atlas"),
    ],
)
def test_paths_that_do_not_exist(tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        read_options("", args)


def test_runs_to_combine_need_neither_network_nor_table(monkeypatch):
    options = read_options("", ["--combine", "a", "b", "a"])
    assert [str(path) for path in options.combine] == options.to_json()["combine"] == ["a", "b", "a"]
    with pytest.raises(UserError, match="without a network; leave --check_maps out"):
        read_options("", ["--combine", "a", "b", "--check_maps"])
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="without torchrun"):
        read_options("", ["--combine", "a", "b"])


def test_a_label_may_hold_an_equals_sign():
    options = read("--labels", "CN=HC", "a=b=left")
    assert options.labels == (("CN", "HC"), ("a=b", "left"))
    assert options.to_json()["labels"] == ["CN=HC", "a=b=left"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--unknown"], "usage:"),
        (["--meth", "saliency"], "usage:"),
        (["--labels", "CN"], "expected VALUE=GROUP"),
        (["--n_steps", "2.5"], "expected auto or a whole number, found '2.5'"),
        (["--labels", "AD=patient"], "one of HC, left, right, TLE"),
        (["--methods", "saliency,deep_lift"], "--methods saliency deep_lift"),
        (["--output_dir", ""], "expected a folder, found nothing"),
        (["--methods", "lime"], "usage:"),
    ],
)
def test_values_of_another_form_say_which_is_expected(args, message, capsys):
    with pytest.raises(SystemExit) as ended:
        read(*args)
    assert ended.value.code == 2 and message in capsys.readouterr().err


def test_checks_on_the_maps_have_a_default_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text("")
    paths = ["--model_path", "a", "--csv_path", "a"]
    for asked, on_cpu, on_gpu in (([], 0, 8), (["0"], 0, 0), (["5"], 5, 5), (["--seed", "1"], 8, 8)):
        options = read_options("", [*paths, *(["--check_maps"] if asked else []), *asked])
        assert [options.scans_to_check(device) for device in ("cpu", "cuda")] == [on_cpu, on_gpu]


def test_what_the_network_does_not_have():
    check_key_slices((0, 8), 9)
    with pytest.raises(UserError, match="slices 0 to 8; found 9, 12"):
        check_key_slices((5, 9, 12), 9)
    assert (choose_target(None, 1), choose_target(0, 1), choose_target(None, 3)) == (0, 0, None)
    with pytest.raises(UserError, match=r"3 logit\(s\), counted from 0; found 3"):
        choose_target(3, 3)


def test_only_the_default_parameters_may_be_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert find_parameters(read().parameters_path) is None
    assert "going on without it" in capsys.readouterr().err
    assert find_parameters(tmp_path / "absent.json") == tmp_path / "absent.json"
