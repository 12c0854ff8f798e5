"""Hostile surroundings and inputs: the program says one sentence with the right exit code, or carries on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import enthesis as en
from enthesis.cli.main import run, told
from enthesis.errors import DataError, unknown_name
from enthesis.network.settings import parse_toml

COUNTS = "study,treatment,events,n\nA,placebo,4,50\nA,drug,9,52\nB,placebo,6,60\nB,drug,14,61\n"
PROGRAM = [sys.executable, "-c", "from enthesis.cli.main import run; run()"]


@pytest.fixture
def cli(capsys):
    """Run the program; returns (exit code, standard output, standard error)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            run([str(a) for a in arguments])
        said = capsys.readouterr()
        return stop.value.code or 0, said.out, said.err

    return call


@pytest.fixture
def counts(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text(COUNTS, encoding="utf-8")
    return path


# numbers


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("study,treatment,events,n\nA,p,5,1e300\nA,x,5,50\n", "row 2, column 'n', value '1e300'"),
        ("study,treatment,mean,sd,n\nA,p,1,2,9\nA,x,-1e308,1,9\n", "row 3, column 'mean', value '-1e308'"),
        ("studlab,treat1,treat2,TE,seTE\nA,x,p,0.4,1e200\n", "row 2, column 'seTE', value '1e200'"),
    ],
)
def test_a_number_beyond_any_study_is_named(cli, tmp_path, content, place):
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="utf-8")
    code, out, err = cli("fit", path)
    assert (code, out) == (3, "")
    assert f"{place}: is larger than any number that can be used" in err


@pytest.mark.parametrize("engine", ["gls", "laplace"])
def test_a_standard_error_of_no_size_is_refused(cli, tmp_path, engine):
    path = tmp_path / "t.csv"
    path.write_text("studlab,treat1,treat2,TE,seTE\nA,x,p,0.4,1e-200\nB,x,p,0.4,0.2\n", encoding="utf-8")
    code, _, err = cli("fit", path, "--engine", engine)
    assert code == 3
    assert "no study has so small a standard error" in err


def test_two_studies_of_one_name_are_not_added_up():
    rows = [("A", "p", 4, 50), ("A", "x", 9, 52), ("A", "p", 3, 40), ("A", "x", 7, 41)]
    table = [dict(zip(("study", "treatment", "events", "n"), row, strict=True)) for row in rows]
    with pytest.raises(DataError, match=r"rows 2 and 4\), and all others come again.*give each its own study"):
        en.from_table(table)
    ordered = en.from_table([table[0], table[2], table[1], table[3]])
    assert ordered.blocks[0].n.tolist() == [90, 93]


def test_marks_that_turn_the_direction_of_writing_are_taken_out(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(COUNTS.replace("A,drug", "A,\u202edr\u2066ug"), encoding="utf-8")
    network = en.from_table(path)
    assert set(network.treatment_names) == {"placebo", "drug"}
    assert any(entry.rule == "name tidied" for entry in network.ledger)


def test_what_was_left_out_is_said_when_nothing_is_left(cli, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("study,treatment,events,n\nA,p,0,50\nA,x,0,52\n", encoding="utf-8")
    code, _, err = cli("fit", path, "--engine", "gls")
    assert code == 3
    assert "the first: No events in any arm" in err


def test_tau_far_out_in_its_prior_is_not_ok(cli, tmp_path):
    path = tmp_path / "t.csv"
    rows = "A,p,100,20,50\nA,x,140,20,52\nB,p,110,20,40\nB,x,120,20,40\nC,p,110,20,40\nC,x,180,20,40\n"
    path.write_text("study,treatment,mean,sd,n\n" + rows, encoding="utf-8")
    code, _, err = cli("fit", path)
    assert code == 4
    assert "MD is in the unit of the outcome" in err
    assert "its prior half-normal(1) has nearly no mass" in err
    code, _, err = cli("fit", path, "--prior-tau", "half-normal(50)")
    assert (code, err) == (0, "")


# names and options


def test_a_name_in_another_case_is_suggested():
    assert "Did you mean 'SELECT-AXIS-1'?" in str(unknown_name("study", "select-axis-1", ["SELECT-AXIS-1", "ATLAS"]))


def test_a_seed_below_zero_is_usage(cli, counts):
    code, _, err = cli("fit", counts, "--seed", "-1")
    assert code == 2
    assert "seed must be 0 or above" in err


@pytest.mark.parametrize("command", ["fit", "influence"])
def test_the_result_never_replaces_the_table(cli, counts, command):
    code, _, err = cli(command, counts, "--json", counts)
    assert code == 2
    assert "is what is read" in err
    assert counts.read_text(encoding="utf-8") == COUNTS


@pytest.mark.parametrize("name", ["", "x\0y"])
def test_an_impossible_file_for_the_result_is_usage(cli, counts, tmp_path, name):
    code, _, err = cli("fit", counts, "--json", f"{tmp_path}/{name}")
    assert code == 2
    assert "Traceback" not in err


def test_a_report_is_not_written_into_a_file(cli, counts):
    code, _, err = cli("review", "run", "axspa", "--out", counts)
    assert code == 2
    assert "is a file: name a folder" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_no_fault_of_the_program(cli, counts):
    code, _, err = cli("fit", counts, "--json", "/dev/full")
    assert code == 1
    assert "/dev/full: cannot be written" in err
    assert "fault" not in err


def test_an_output_without_room_is_a_sentence():
    assert told(OSError(28, "No space left on device")) == ("the output: No space left on device.", 1)


def test_a_line_end_in_a_file_name_stays_in_the_sentence(cli, tmp_path):
    path = tmp_path / "a\nb.csv"
    path.write_text(COUNTS.replace("9,52", "x,52"), encoding="utf-8")
    code, _, err = cli("fit", path)
    assert code == 3
    assert err.startswith("enthesis: a b.csv, row 3")


def test_a_loop_of_links_is_a_sentence(cli, tmp_path):
    path = tmp_path / "loop.csv"
    path.symlink_to(path)
    code, _, err = cli("fit", path)
    assert code == 3
    assert "Too many levels of symbolic links" in err


# settings files


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a" + ".a" * 100_000 + " = 1", "more than 200 points"),
        ("[a" + ".a" * 100_000 + "]", "more than 200 points"),
        ("a = " + "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_settings_file_cannot_take_all_memory(text, said):
    with pytest.raises(DataError, match=said):
        parse_toml(text, file="bomb.toml")


# the terminal


def program(*arguments, **settings):
    """The program in a process of its own."""
    return subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, timeout=120, **settings)


def test_letters_that_the_terminal_lacks_are_escaped_and_json_stays_json(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(COUNTS.replace("drug", "\u5b89\U0001f48a"), encoding="utf-8")
    surroundings = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = program("fit", path, "--engine", "gls", "--no-assess", "--json", "-", env=surroundings)
    assert (done.returncode, done.stderr) == (0, b"")
    ranked = {line["treatment"] for line in json.loads(done.stdout.decode("ascii"))["ranks"]}
    assert ranked == {"placebo", "\u5b89\U0001f48a"}


def test_a_reader_that_stops_reading_gives_no_traceback(counts):
    with subprocess.Popen([*PROGRAM, "fit", str(counts), "--engine", "gls", "--json", "-"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:  # fmt: skip
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_an_interruption_is_a_word_and_its_exit_code(tmp_path):
    # the command says when it is at work, so that the signal does not meet an import
    code = (
        # a job that a shell puts in the background starts with the signal ignored
        "import signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import enthesis.network.tables as tables\n"
        "def at_work(*a, **k):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "tables.from_table = at_work\nfrom enthesis.cli.main import run\nrun(['fit', 'x.csv'])"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
                          start_new_session=True) as process:  # fmt: skip
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b"enthesis: interrupted.\n"
        assert process.wait(60) == 130


@pytest.mark.parametrize("ending", ["svg", "png", "html"])
def test_a_control_character_in_a_name_does_not_end_the_process(tmp_path, ending):
    table = tmp_path / "rob.csv"
    table.write_text("Study,D1,D2,D3,D4,D5,Overall\na\x1b[31m\u202eb,Low,Low,Low,Low,Low,Low\n", encoding="utf-8")
    figure = tmp_path / f"rob.{ending}"
    done = program("rob", "plot", table, "--figure", figure)
    assert done.returncode == 0, done.stderr[-300:]
    drawn = figure.read_bytes()
    assert drawn
    assert not any(mark.encode() in drawn for mark in ("\x1b[31m", "\u202e"))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "[1.0, nan]", "{a = inf}"])
def test_a_setting_that_is_no_finite_number_is_refused(value):
    with pytest.raises(DataError, match=r"t\.toml, column 'rule.least.*finite"):
        parse_toml(f"[rule]\nleast = {value}\n", file="t.toml")


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("certainty.toml", "[reporting_bias]\nsuggest_none = 'x'", "must be a list of texts"),
        ("certainty.toml", "[reporting_bias]\nmissing_share = 'x'", "must be a number"),
        ("benefit-risk.toml", "include = 3", "include must be a list"),
        ("prisma.toml", "a = " + "[" * 20_000, "nested too deeply"),
    ],
)
def test_a_wrong_kind_of_value_in_settings_is_a_sentence(tmp_path, file, line, said):
    from enthesis.assess import benefit_risk_part, certainty_part, prisma

    path = tmp_path / file
    path.write_text(line, encoding="utf-8")
    readers = {"certainty.toml": certainty_part, "benefit-risk.toml": benefit_risk_part, "prisma.toml": prisma}
    with pytest.raises(DataError, match=f"{file}.*{said}"):
        readers[file].read_settings(path)


def test_a_whole_number_beyond_any_float_is_a_sentence():
    rows = [{"study": "A", "treatment": t, "events": 10**400, "n": 10**401} for t in "pq"]
    with pytest.raises(DataError, match="larger than any number"):
        en.from_table(rows, measure=en.OR)


def test_a_name_that_no_figure_can_show_is_refused(cli, tmp_path):
    table = tmp_path / "rob.csv"
    table.write_text(f"Study,D1,D2,D3,D4,D5,Overall\n{'x' * 5000},Low,Low,Low,Low,Low,Low\n", encoding="utf-8")
    code, _, said = cli("rob", "plot", table, "--figure", tmp_path / "r.svg")
    assert (code, "longer than 200 characters" in said) == (3, True)


def test_no_character_of_a_title_steers_the_page():
    from enthesis.report.render.html import render
    from enthesis.report.values import Document

    page = render(Document(title="a\x1b[31m\u202eb<script>"))
    assert not any(mark in page for mark in ("\x1b", "\u202e", "b<script>"))
