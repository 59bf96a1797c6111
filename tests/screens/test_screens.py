"""What a person sees, in a real terminal of several widths: compared with stored screens.

``PLUGIN_MIGRATE_STORE_SCREENS=1 scripts/test tests/screens`` stores what is seen now; look at the
difference before it is committed.
"""

import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from command_line import Project
from screens.screen import Screen, call

STORED = Path(__file__).parent
FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
COMMANDS = ("status", "history", "verify", "status --pending-only", "restore", "upgrade --dry-run")


@pytest.fixture
def project(folder):
    """A project with texts of every kind; what varies from run to run is set."""
    (folder / "home").mkdir()
    project = Project(folder / "project", folder / "home")
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;", description="Initial schema")
    project.sql(
        "1.1.0",
        "CREATE TABLE b (x);",
        "DROP TABLE b;",
        description="Add user preferences, with everything that people ever asked for",
    )
    project.ok("upgrade")
    project.sql("1.2.0", "CREATE TABLE c (x);", "DROP TABLE c;", description="設定の移行" * 4)
    project.sql(
        "1.10.0", "CREATE TABLE d (x);", "DROP TABLE d;", description=f"For the {FAMILY} at home"
    )
    with closing(sqlite3.connect(project.database)) as connection, connection:
        moment = "2025-12-12 10:00:00"
        connection.execute("UPDATE migrations SET applied_at = ?", (moment,))
        connection.execute(
            "UPDATE plugin_migrate_history SET at = ?, duration_ms = 5, done_by = 'ada'", (moment,)
        )
    return project


@pytest.fixture
def screen(folder, project):
    """A function that makes a terminal of a size."""
    if shutil.which("tmux") is None:
        pytest.skip("no tmux here")
    made = []

    def make(width: int, height: int) -> Screen:
        made.append(Screen(folder, width, height, project.environment))
        return made[-1]

    yield make
    for one in made:
        subprocess.run(["tmux", "-S", one.socket, "kill-server"], capture_output=True)


def settled(seen: str) -> str:
    """Return a screen without what is another in every run."""
    seen = re.sub(r"\d{8}-\d{6}", "20251212-100000", seen)
    seen = re.sub(r"20(?!25)\d\d-\d\d-\d\d \d\d:\d\d:\d\d", "2025-12-12 10:00:00", seen)
    return re.sub(r"Took: \d+ ms", "Took: 5 ms", seen)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_what_a_person_sees_is_what_was_agreed(project, screen, width):
    # "Took" is another each time, and so is a backup's id, which a line of 40 would break.
    commands = [one for one in COMMANDS if (one, width) not in {("verify", 120), ("restore", 40)}]
    seen = ""
    for command in commands:
        shown = screen(width, 60).run(call(command), project.root)
        seen += f"$ plugin-migrate {command}\n{settled(shown)}\n\n"
    stored = STORED / f"{width}.txt"
    if os.environ.get("PLUGIN_MIGRATE_STORE_SCREENS"):
        stored.write_text(seen)
    assert seen == stored.read_text()


def test_a_run_names_each_migration_once_on_a_terminal(project, screen):
    seen = screen(80, 40).run(call("upgrade"), project.root)
    assert re.sub(r"\d+ ms", "5 ms", re.sub(r"\d\.\ds", "0.1s", seen)) == (
        f"  ✓ applied 1.2.0 - {'設定の移行' * 4} (5 ms)\n"
        f"  ✓ applied 1.10.0 - For the {FAMILY} at home (5 ms)\n"
        "✓ Applied 2 migration(s) in 0.1s"
    )


def test_what_a_migration_prints_stays_apart_from_the_bar(project, screen, folder):
    gate = folder / "gate"
    os.mkfifo(gate)
    project.python(
        "2.0.0",
        "import subprocess\n"
        "for i in ctx.progress(range(10)):\n"
        "    print('printed', i)\n"
        "    if i == 5:\n"
        "        subprocess.run(['echo', 'from a child'])\n"
        "        print('no end of line', end='', flush=True)\n"
        f"        open({str(gate)!r}).close()",
    )
    terminal = screen(80, 40)
    terminal.start(call("upgrade"), project.root)
    seen = terminal.wait_for("no end of line")
    assert "printed 5\nfrom a child\nno end of line" in seen
    with gate.open("w"):
        pass
    terminal.tmux("wait-for", "over")
    seen = terminal.end()
    assert "from a child\nno end of lineprinted 6\n" in seen
    assert "░" not in seen
    assert seen.splitlines()[-1].startswith("✓ Applied 3 migration(s)")


def test_the_bar_counts_steps_and_tells_the_time(project, screen, folder):
    gate = folder / "gate"
    os.mkfifo(gate)
    project.python("2.0.0", f"open({str(gate)!r}).close()")
    terminal = screen(80, 40)
    terminal.start(call("upgrade"), project.root)
    seen = terminal.wait_for("2/3")
    assert re.search(r"\n  █{13}░{7}  2/3  0:0\d  2\.0\.0 - Step …$", seen.strip("\n"))
    with gate.open("w"):
        pass
    terminal.tmux("wait-for", "over")
    assert "░" not in terminal.end()


def test_long_results_go_through_the_pager_and_can_be_left(project, screen):
    if shutil.which("less") is None:
        pytest.skip("no less here")
    for patch in range(300):
        project.sql(f"3.0.{patch}", description="One of many")
    terminal = screen(80, 24)
    terminal.start(call("status"), project.root)
    seen = terminal.wait_for("\n:").split("\n")
    assert seen[0] == "Migration Status:"
    assert any("1.0.0" in line for line in seen)
    terminal.press("G")
    assert "Summary: 2 applied, 302 pending" in terminal.wait_for("(END)")
    terminal.press("q")
    terminal.tmux("wait-for", "over")
    terminal.end()


@pytest.mark.parametrize(
    "variables", ["PAGER=cat", "PAGER=", "PAGER=no-such-pager", "TERM=dumb", "PATH=."]
)
def test_without_a_pager_everything_is_printed(project, screen, variables):
    own = project.root / "less"  # a relative folder of PATH may be one of a repository's
    own.write_text("#!/bin/sh\necho mine\n")
    own.chmod(0o755)
    for patch in range(30):
        project.sql(f"3.0.{patch}", description="One of many")
    seen = screen(80, 24).run(f"{variables} {call('status')}", project.root)
    assert "Summary: 2 applied, 32 pending" in seen
