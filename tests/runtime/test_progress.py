"""Progress is a bar on a terminal, and plain lines elsewhere."""

from mri_saliency.runtime import progress
from mri_saliency.runtime.progress import Progress
from mri_saliency.runtime.ranks import Ranks


def test_plain_lines_with_the_time_left_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(progress, "REPORT_EVERY_S", -1.0)
    shown = Progress(5, 2, Ranks())
    shown.advance()
    shown.advance(2)
    shown.advance(0)
    shown.print("failed: a scan")
    shown.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("3 of 5 maps, 00:00 elapsed, ") and lines[0].endswith(" left")
    assert lines[1] == "5 of 5 maps, 00:00 elapsed, 00:00 left" and "failed: a scan" in lines


def test_lines_are_rare_but_the_last_is_printed_by_the_main_rank(capsys):
    shown = Progress(3, 0, Ranks(), unit="check")
    for _ in range(3):
        shown.advance()
    assert capsys.readouterr().err == "3 of 3 checks, 00:00 elapsed, 00:00 left\n"
    ranks = Ranks()
    ranks.rank = 1
    Progress(1, 0, ranks).advance()
    assert capsys.readouterr().err == ""
