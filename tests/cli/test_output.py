"""What reaches the reader: a terminal of any width, a pipe, a closed pipe, another program."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import pytest
from wcwidth import wcswidth as columns

from command_line import COMMAND, snapshot

PRINTING = """
import os, subprocess, sys
print("printed")
sys.stdout.write("written, without an end of line")
os.write(1, b"raw")
subprocess.run(["sh", "-c", "echo from a child; echo to stderr >&2"])
subprocess.run([sys.executable, "-c", "print('python child')"])
"""


def on_a_terminal(project, *arguments, width=80, environment=(), stdout=None):
    """Run a command on a terminal of this width; return exit code and all that was written."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=project.root,
        env=project.environment | {"TERM": "xterm"} | dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=stdout or follower,
        stderr=follower,
    )
    os.close(follower)
    written = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        written += part
    os.close(leader)
    return process.wait(timeout=30), written.decode().replace("\r\n", "\n")


def screen(written):
    """Return what the reader sees in the end: lines that were erased are gone, colours too."""
    written = re.sub(r"\x1b\[[0-9;]*m", "", written)
    lines = [line.split("\r\x1b[K")[-1] for line in written.split("\n")]
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "\r" not in text
    return text


@pytest.fixture
def described(project):
    """A project with long and wide descriptions, one of them applied."""
    project.sql("1.0.0", description="Initial schema of everything that there is to be kept")
    project.ok("upgrade")
    project.sql("1.1.0", description="漢字の説明は幅が二倍になります、とても長い説明")
    project.sql("1.2.0", description="Applied is the word of a state")
    return project


# Tables


@pytest.mark.parametrize("width", [200, 100, 80, 79, 60, 50])
def test_the_table_fits_the_terminal(described, width):
    code, written = on_a_terminal(described, "status", width=width)
    lines = screen(written).split("\n")
    table = [line for line in lines if line[:1] in "┌│├└" and line]
    assert code == 0
    assert len(table) == 7
    assert len({columns(line) for line in table}) == 1
    assert columns(table[0]) <= width
    for version, state in ("1.0.0", "Applied"), ("1.1.0", "Pending"), ("1.2.0", "Pending"):
        assert any(version in line and f"│ {state} " in line for line in table)


def test_a_wide_terminal_shows_every_description_in_full(described):
    _, written = on_a_terminal(described, "status", width=200)
    for entry in described.json("status")["migrations"]:
        assert entry["description"] in written
    assert "…" not in written


def test_in_claude_code_every_table_fits_what_it_shows(described):
    for command in ("status", "history", "verify"):
        lines = described.call(command, environment={"CLAUDECODE": "1"}).out.split("\n")
        table = [line for line in lines if line[:1] in "┌│├└" and line]
        assert len({columns(line) for line in table}) == 1
        assert columns(table[0]) <= 76
        if command != "verify":  # which runs only when somebody typed it
            typed = described.call("--slash", input=f"{described.root}\n[{command}]\n").out
            assert typed.split("\n")[: len(table)] == lines[: len(table)]


def test_without_a_terminal_nothing_is_cut_unless_columns_says_so(described):
    out = described.ok("status")
    for entry in described.json("status")["migrations"]:
        assert entry["description"] in out
    table = [line for line in out.split("\n") if line[:1] in "┌│├└" and line]
    assert len({columns(line) for line in table}) == 1
    out = described.ok("status", environment={"COLUMNS": "60"})
    assert max(map(columns, out.split("\n"))) == 60


def test_a_terminal_that_does_not_tell_its_width_gets_a_table(described):
    code, written = on_a_terminal(described, "status", width=0)
    assert code == 0
    assert "│ 1.0.0" in written


# Colour


def test_states_are_coloured_on_a_terminal_only(described):
    _, written = on_a_terminal(described, "status", width=100)
    assert "\x1b[32mApplied\x1b[0m" in written
    assert written.count("\x1b[33mPending\x1b[0m") == 2
    # The state is painted, not the same word in a description.
    assert "│ Applied is the word" in written
    assert "\x1b" not in described.ok("status")
    assert "\x1b" not in described.ok("status", "--format=json")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_can_be_switched_off(described, environment):
    _, written = on_a_terminal(described, "status", environment=environment)
    assert "\x1b" not in written
    _, written = on_a_terminal(described, "upgrade", "9.9.9", environment=environment)
    assert "✗ Error:" in written
    assert "\x1b" not in written


def test_an_empty_no_color_means_nothing(described):
    _, written = on_a_terminal(described, "status", environment={"NO_COLOR": ""})
    assert "\x1b[32m" in written


def test_errors_are_coloured_on_a_terminal(project):
    code, written = on_a_terminal(project, "upgrade", "1.2")
    assert code == 2
    assert written.startswith("\x1b[31m✗\x1b[0m Error: Invalid version format: '1.2'\n")


# Progress


def test_a_terminal_shows_each_step_and_keeps_no_progress(project):
    project.sql("1.0.0", description="One")
    project.python(
        "1.1.0",
        "import time\nfor i in ctx.progress(range(30)):\n    time.sleep(0.01)\nctx.log('moved')",
    )
    code, written = on_a_terminal(project, "upgrade")
    assert code == 0
    assert re.search(r"\r\x1b\[K  [█░]{20}  \d+/30  0:00  1\.1\.0 - Step, step 2 of 2", written)
    seen = screen(written)
    assert re.sub(r"\d+ ms", "5 ms", re.sub(r"\d\.\ds", "0.1s", seen)) == (
        "  ✓ applied 1.0.0 - One (5 ms)\n"
        "  1.1.0: moved\n"
        "  ✓ applied 1.1.0 - Step (5 ms)\n"
        "✓ Applied 2 migration(s) in 0.1s\n"
    )


def test_a_failure_does_not_stand_behind_a_progress_line(project):
    project.python("1.0.0", "for i in ctx.progress(range(3)):\n    raise ValueError('no')")
    code, written = on_a_terminal(project, "upgrade")
    assert code == 1
    assert screen(written).startswith("✗ Error: Could not apply 1.0.0 - Step\n  ValueError: no\n")


def test_what_a_migration_prints_does_not_stand_behind_a_progress_line(project):
    project.python("1.0.0", "for i in ctx.progress([1]):\n    pass\nctx.log('one')\nctx.log('two')")
    _, written = on_a_terminal(project, "upgrade")
    assert screen(written).startswith("  1.0.0: one\n  1.0.0: two\n  ✓ applied")


def test_a_child_that_lives_on_does_not_keep_the_run_waiting(project):
    project.python(
        "1.0.0",
        "import subprocess\nctx.log(f\"child {subprocess.Popen(['sleep', '60']).pid}\")",
    )
    code, written = on_a_terminal(project, "upgrade")
    child = int(re.search(r"1\.0\.0: child (\d+)", written)[1])
    os.kill(child, signal.SIGKILL)  # it is alive
    assert code == 0
    assert "✓ Applied 1 migration(s)" in screen(written)


def test_a_preview_shows_its_bar_and_nothing_of_it_stays(project):
    project.tables("1.0.0")
    project.python("1.1.0")
    code, written = on_a_terminal(project, "upgrade", "--preview")
    assert code == 0
    assert re.search(r"\r\x1b\[K  █{10}░{10}  1/2  0:\d\d  1\.1\.0 - Step …", written)
    assert screen(written).startswith("Preview: would apply 2 migration(s)\n")


def test_a_progress_line_is_not_wrapped(project):
    project.python("1.0.0", top=f'"""{"long " * 30}"""')
    project.python("1.1.0", top=f'"""{"漢字" * 30}"""')
    _, written = on_a_terminal(project, "upgrade", width=40)
    shown = re.findall(r"\r\x1b\[K(  [^\r\n]*)", written)
    progress = [line for line in shown if "✓" not in line]
    assert progress
    assert all(columns(line) < 40 for line in progress)


def test_a_pipe_gets_no_progress(project):
    project.python("1.0.0", "for i in ctx.progress(range(3)):\n    pass")
    code, out, err = project.call("upgrade")
    assert (code, err) == (0, "")
    assert "\r" not in out


def test_progress_is_on_stderr_so_that_the_result_can_be_piped(project, tmp_path):
    project.python("1.0.0", "for i in ctx.progress(range(3)):\n    pass")
    with (tmp_path / "out").open("wb") as out:
        code, written = on_a_terminal(project, "upgrade", "--format=json", stdout=out)
    assert code == 0
    assert "✓ applied 1.0.0" in screen(written)
    assert json.loads((tmp_path / "out").read_text())["ok"] is True


# Other people's output


@pytest.mark.parametrize("form", [[], ["--format=json"]])
def test_stdout_holds_the_result_and_nothing_that_a_migration_prints(project, form):
    project.python("1.0.0", PRINTING, PRINTING)
    for command in ("upgrade", "downgrade"):
        code, out, err = project.call(command, *form)
        assert code == 0
        for line in ("printed", "written", "raw", "from a child", "to stderr", "python child"):
            assert line in err
            assert line not in out
        if form:
            assert json.loads(out)["ok"] is True
        else:
            assert out.startswith("✓ ")


def test_a_failure_after_printing_is_still_one_document(project):
    project.python("1.0.0", PRINTING + "raise ValueError('no')")
    code, out, err = project.call("upgrade", "--format=json")
    assert code == 1
    assert json.loads(out)["error"]["message"] == "ValueError: no"
    assert "printed" in err


def test_escape_sequences_of_a_migration_are_neutralised(project):
    project.python("1.0.0", "ctx.log('a\\x1b[2Jb\\rc')\nraise ValueError('x\\x1b]0;owned\\x07')")
    code, out, err = project.call("upgrade")
    assert code == 1
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", out + err)
    assert "a\ufffd[2Jb\ufffdc" in err


# Tracebacks


def test_a_failure_shows_no_frame_of_ours_unless_asked(project):
    project.python("1.0.0", "inner()", top="def inner():\n    raise ValueError('no')\n")
    code, _, err = project.call("upgrade")
    assert code == 1
    assert "plugin_migrate/" not in err
    assert '  File ".claude/core/versioning/migrations/1.0.0-step.py", line 2, in inner' in err
    assert "Traceback" not in err
    _, _, err = project.call("upgrade", "--verbose")
    assert "Traceback (most recent call last)" in err
    assert "plugin_migrate/" in err
    document = project.call("upgrade", "--verbose", "--format=json")
    assert document.document["error"]["message"] == "ValueError: no"
    assert "Traceback" in document.err


# Streams that end early


def test_a_closed_pipe_is_quiet(project):
    for patch in range(300):
        project.migration(f"1.0.{patch}-a-very-long-name-of-a-migration.sql", "")
    for command in (["status"], ["status", "--format=json"], ["--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [*COMMAND, *command],
            cwd=project.root,
            env=project.environment,
            stdout=writer,
            stderr=subprocess.PIPE,
        )
        os.close(writer)
        assert done.stderr == b""


def test_a_reader_that_stops_after_a_line_is_quiet(project):
    for patch in range(300):
        project.migration(f"1.0.{patch}-a-very-long-name-of-a-migration.sql", "")
    done = subprocess.run(
        ["sh", "-c", '"$@" | head -1', "sh", *COMMAND, "status"],
        cwd=project.root,
        env=project.environment,
        capture_output=True,
    )
    assert (done.stdout, done.stderr) == (b"Migration Status:\n", b"")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_stream_does_no_harm(project, closed):
    project.tables("1.0.0")
    prefix = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    for command in (["status"], ["upgrade"], ["downgrade"], ["upgrade"]):
        code, _, err = project.call(*command, prefix=prefix)
        assert (code, err) == (0, "")
    assert project.statuses() == {"1.0.0": "applied"}
    assert project.query("PRAGMA integrity_check") == [("ok",)]


def test_a_full_disk_behind_stdout_is_told(project):
    project.tables("1.0.0")
    code, _, err = project.call("status", prefix=["sh", "-c", 'exec "$@" >/dev/full', "sh"])
    assert (code, err) == (1, "✗ Error: The output cannot be written: No space left on device\n")


def test_any_locale_shows_the_same(project):
    project.tables("1.0.0")
    before = snapshot(project.root)
    expected = project.ok("status")
    for environment in ({"LANG": "C", "LC_ALL": "C"}, {"LC_ALL": "de_DE.ISO-8859-1"}):
        command = [argument for argument in COMMAND if argument not in ("-X", "utf8")]
        done = subprocess.run(
            [*command, "status"],
            cwd=project.root,
            env=project.environment | environment,
            capture_output=True,
        )
        assert done.stdout.decode() == expected
    assert snapshot(project.root) == before
