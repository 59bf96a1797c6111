"""Claude's shell: what changes, runs or looks elsewhere is asked about; nothing else is touched."""

import shutil
from pathlib import Path

import pytest

from launcher_tree import link_environment
from plugin_migrate.claude_code.calls import read
from plugin_migrate.operations.create import convert
from plugins import Shelf, table
from project import Project

from .conftest import REAL_PYTHON, ROOT, Client

LAUNCHER = '"/home/me/.claude/plugins/plug in/scripts/plugin-migrate"'

# However it is written, the shell runs `upgrade` in the end.
CALLS = [
    f"{LAUNCHER} upgrade",
    f"{LAUNCHER} \\\n  upgrade",
    "/x/plugin-mig'rate' upgrade",
    "/x/plugin\\-migrate upgrade",
    "$'/x/plugin-migrate' upgrade",
    f"cd / && {LAUNCHER} upgrade",
    f"echo hi\n{LAUNCHER} upgrade",
    f"true; {LAUNCHER} upgrade &",
    f"! {LAUNCHER} upgrade",
    f"[ -f x ] || {LAUNCHER} upgrade",
    f"({LAUNCHER} upgrade)",
    f"{{ {LAUNCHER} upgrade; }}",
    f"if true; then {LAUNCHER} upgrade; fi",
    f"for i in 1; do {LAUNCHER} upgrade; done",
    f"while {LAUNCHER} upgrade; do :; done",
    f"case a in a) {LAUNCHER} upgrade;; esac",
    f"f() {{ {LAUNCHER} \"$@\"; }}; f upgrade",
    f"X=1 {LAUNCHER} upgrade",
    f"env X=1 {LAUNCHER} upgrade",
    f"timeout 5 nice -n 5 {LAUNCHER} upgrade",
    "sudo -u bob /x/plugin-migrate upgrade",
    f"</dev/null {LAUNCHER} upgrade",
    f"2>&1 {LAUNCHER} upgrade | tee log",
    f"yes | {LAUNCHER} upgrade",
    f"echo $({LAUNCHER} upgrade)",
    "echo \"a `/x/plugin-migrate upgrade`\"",
    "A=$(/x/plugin-migrate upgrade)",
    f"diff <({LAUNCHER} upgrade) b",
    f"cat <<E\n$({LAUNCHER} upgrade)\nE",
    "sh -c '/x/plugin-migrate upgrade'",
    "bash -lc 'cd x; /x/plugin-migrate upgrade'",
    f"bash <<E\n{LAUNCHER} upgrade\nE",
    "sh /x/plugin-migrate upgrade",
    "sh < /x/plugin-migrate",
    "echo '/x/plugin-migrate upgrade' | sh",
    "echo '/x/plugin-migrate upgrade' > a.sh; sh a.sh",
    'P=/x/plugin-migrate; "$P" upgrade',
    "export P=/x/plugin-migrate; eval $P upgrade",
    'a=(/x/plugin-migrate upgrade); "${a[@]}"',
    "alias p=/x/plugin-migrate\np upgrade",
    "{/x/plugin-migrate,upgrade}",
    "find . -exec /x/plugin-migrate upgrade \\;",
    "echo upgrade | xargs /x/plugin-migrate",
    'git -c alias.x="!/x/plugin-migrate upgrade" x',
    "GIT_PAGER='/x/plugin-migrate upgrade' git log",
    "strace -f /x/plugin-migrate upgrade",
    "poetry run plugin-migrate upgrade",
    "perl -e 'system(\"plugin-migrate upgrade\")'",
    "sed '1e /x/plugin-migrate upgrade' x",
    "trap '/x/plugin-migrate upgrade' EXIT",
    "python3 /x/plugin_migrate/__main__.py upgrade",
    "python3 -m plugin_migrate upgrade",
    "python3 -c 'from plugin_migrate.cli.main import main; main([\"upgrade\"])'",
    'unclosed "plugin-migrate upgrade',
    "$((/x/plugin-migrate upgrade); x)",
    r'"C:\Users\J\.claude\plug in/scripts/plugin-migrate" upgrade',
    r"'C:\x\scripts\plugin-migrate.cmd' upgrade",
    "/c/x/scripts/plugin-migrate.exe upgrade",
    "cmd //c plugin-migrate.cmd upgrade",
    "powershell -Command 'plugin-migrate upgrade'",
    "py -3 -m plugin_migrate upgrade",
    r'/c/x/python.exe "C:\x\plugin_migrate\__main__.py" upgrade',
    f"{LAUNCHER} \"$COMMAND\"",
    f"{LAUNCHER} --slash 1 <<'A'\n/p\n[upgrade]\nA",
    f"echo '{{}}' | {LAUNCHER} --typed",
]  # fmt: skip

# The name occurs, and nothing of ours is called.
MENTIONS = [
    "cat plugin-migrate/README.md",
    "cd plugin-migrate && git log",
    "cd ~/src/plugin-migrate && bash scripts/build.sh",
    "grep -r plugin-migrate .",
    "grep -e plugin-migrate x | wc -l",
    'rg "plugin-migrate upgrade" docs',
    'git commit -m "plugin-migrate upgrade"',
    "git commit -m \"$(cat <<'EOF'\nKeep plugin-migrate's hooks quiet (don't ask)\nEOF\n)\"",
    "git clone https://github.com/x/plugin-migrate",
    "git diff HEAD~1 -- scripts/plugin-migrate",
    "ls -la /x/plugin-migrate/scripts/plugin-migrate",
    "cat scripts/plugin-migrate | head -5",
    "head -5 plugin-migrate > /dev/null",
    "sed -n 1,20p scripts/plugin-migrate",
    "sed -i s/plugin-migrate/other/ x",
    "find . -name plugin-migrate",
    "which plugin-migrate || command -v plugin-migrate",
    "test -x scripts/plugin-migrate && echo yes",
    "if grep -q plugin-migrate x; then echo yes; fi",
    "case x in a) echo plugin-migrate;; *) ls;; esac",
    "[[ -n plugin-migrate ]] && ls",
    "for f in plugin-migrate/*; do echo $f; done",
    'while read -r l; do echo "$l plugin-migrate"; done < x',
    'echo "run plugin-migrate upgrade" >> README.md',
    "cat <<EOF > notes.md\nplugin-migrate upgrade\nEOF",
    "echo $((1<<2)) plugin-migrate",
    "true # plugin-migrate upgrade",
    "pip install plugin-migrate",
    "docker build -t plugin-migrate .",
    "npm test --prefix plugin-migrate/ui",
    "jq '.plugins[\"plugin-migrate\"]' x.json",
    "cat .claude/plugin-migrate.yaml",
    "cp scripts/plugin-migrate /tmp/",
    "vim scripts/plugin-migrate",
    "python3 -m pytest tests/plugin_migrate",
    "mypy -p plugin_migrate",
    r'cat "C:\x\plugin-migrate\README.md"',
    "ls /c/x/scripts/plugin-migrate.cmd",
]

READING = [
    "status", "status --pending-only --format=json", "history --limit=5", "check --all",
    "verify --lint-only", "status --plugin keeper", "--help", "upgrade --help", "--version",
    "show 1.0.0", "show 1.0.0 --format=json", "help", "help upgrade", "completion bash", "-V",
]  # fmt: skip
ELSEWHERE = ["--project .", "--database x.db", "--migrations=fixtures/x", "--plugin-dir ."]


def ask(client: Client, command: str, session: str = "0b5f") -> str | None:
    """Return the reason with which the hook lets the client ask, ``None`` when it says nothing."""
    document = client._common("PreToolUse") | {
        "session_id": session,
        "tool_name": "Bash",
        "tool_input": {"command": command, "description": "Do it"},
    }
    told = client.run("ask-before", document)
    if told is None:
        return None
    decision = told["hookSpecificOutput"]
    assert isinstance(decision, dict)
    assert decision["permissionDecision"] == "ask"
    return decision["permissionDecisionReason"]


@pytest.mark.parametrize("command", CALLS)
def test_a_call_is_seen_however_it_is_written(command: str) -> None:
    reading = read(command)
    assert reading.calls or not reading.is_certain


@pytest.mark.parametrize("command", MENTIONS)
def test_a_command_that_only_mentions_the_name_is_none(command: str) -> None:
    reading = read(command)
    assert (reading.calls, reading.is_certain) == ((), True)


@pytest.mark.parametrize("arguments", READING)
def test_reading_passes_to_the_clients_own_rules(client: Client, arguments: str) -> None:
    assert ask(client, f"{LAUNCHER} {arguments}") is None
    assert ask(client, f"cd /x && {LAUNCHER} {arguments} 2>&1 | tail -5") is None


@pytest.mark.parametrize("option", ELSEWHERE)
@pytest.mark.parametrize(
    "arguments", ["status", "history", "check", "show 1.0.0", "verify --lint-only"]
)
def test_reading_elsewhere_is_asked_about(client: Client, arguments: str, option: str) -> None:
    reason = ask(client, f"{LAUNCHER} {arguments} {option}")
    assert reason is not None
    assert f"it points elsewhere: {option.replace('=', ' ')}" in reason


def test_the_question_shows_the_plan(client: Client, project: Project) -> None:
    file = project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    file.write_text("-- description: First\n" + file.read_text())
    project.upgrade()
    project.sql("1.1.0", "CREATE TABLE b (x);")
    project.python("1.2.0", "raise SystemExit", top='description = "Add \\x1b[31mOAuth"')
    oauth = "1.2.0 Add \ufffd[31mOAuth"
    asked = {
        "upgrade": f"apply 2 to this project: 1.1.0 Step, {oauth}",
        "upgrade 1.1.0": "apply 1 to this project: 1.1.0 Step",
        "upgrade --all": f"apply 2 to this project: 1.1.0 Step, {oauth}",
        "upgrade 9.9.9": "apply migrations of every source that is named (its plan cannot be shown:"
        " There is no migration with version 9.9.9)",
        "upgrade --dry-run": "show, without running it, what would apply 2 to this project: 1.1.0"
        f" Step, {oauth}",
        "upgrade --preview": "run on a copy, as code with your permissions, to apply 2 to this"
        f" project: 1.1.0 Step, {oauth}",
        "downgrade": "roll back 1 of this project: 1.0.0 First",
        "downgrade 0.0.0": "roll back 1 of this project: 1.0.0 First",
        "verify": f"run on a copy, as code with your permissions, 1.1.0 Step, {oauth}",
        "verify --all": "run on a copy, as code with your permissions, the migrations",
        "create add-oauth": "write a new migration file for add-oauth",
        "baseline 1.2.0": "mark every migration up to 1.2.0 as applied, without running it",
        "renumber 1.1.0": "give another version to the migration 1.1.0",
        "repair --applied": "settle edited or interrupted migrations: repair",
        "restore": "list the backups",
        "restore x": "go back to the backup x",
        "restore x -n": "show, without doing it, what would go back to the backup x",
        "repair -n": "show, without doing it, what would settle edited or interrupted migrations:"
        " repair",
        "upgrade +1": "apply 1 to this project: 1.1.0 Step",
        "redo": "roll back and apply again 1 of this project: 1.0.0 First",
        "redo 1 -n": "show, without running it, what would roll back and apply again 1 of this"
        " project: 1.0.0 First",
        "doctor": "look at this machine and project, and ask node, bun, deno and claude their"
        " versions",
        "sync": "bring the state in step with git's files and the installed plugins, forward or"
        " back",
    }
    for arguments, text in asked.items():
        command = arguments.split()[0]
        assert ask(client, f"{LAUNCHER} {arguments}") == f"plugin-migrate {command}: {text}"
    aliases = {"rollback": "downgrade: roll back 1 of", "new x": "create: write a new migration"}
    for arguments, text in aliases.items():
        asked_for = ask(client, f"{LAUNCHER} {arguments}")
        assert str(asked_for).startswith(f"plugin-migrate {text}")
    twice = ask(client, f"{LAUNCHER} upgrade && {LAUNCHER} downgrade 1")
    assert twice == (
        f"plugin-migrate upgrade: apply 2 to this project: 1.1.0 Step, {oauth};"
        " then plugin-migrate downgrade: roll back 1 of this project: 1.0.0 First"
    )


def test_a_call_that_changes_the_users_own_folder_says_so(client: Client, project: Project) -> None:
    shelf = Shelf(client.home, client.home / "shelf")
    table(shelf.plugin("hooks", settings="scope: user\nstate: [settings.json]\n"), "1.0.0")
    where = "1 to the plugin hooks, in the user's own folder ~/.claude for all projects: 1.0.0 Step"
    for arguments in ("upgrade --user", "upgrade --plugin hooks", "upgrade --all"):
        assert ask(client, f"{LAUNCHER} {arguments}") == f"plugin-migrate upgrade: apply {where}"
    table(shelf.plugin("styles", settings="scope: user\n"), "2.0.0")
    several = str(ask(client, f"{LAUNCHER} upgrade --user"))
    assert several.startswith(f"plugin-migrate upgrade: apply {where}; 1 to the plugin styles, in")
    for arguments in ("sync", "repair --applied", "restore x", "baseline 1.0.0", "create x"):
        asked = str(ask(client, f"{LAUNCHER} {arguments} --user"))
        assert asked.endswith("; it works in the user's own folder")
    assert ask(client, f"{LAUNCHER} status --user") is None
    assert ask(client, f"{LAUNCHER} history --user") is None


def taking_over(project: Project) -> None:
    """Write what another tool has applied, and its folder."""
    project.sql("1.0.0", "SELECT 1;")
    project.sql("1.1.0", "SELECT 1;")
    (project.root / "state.json").write_text("2")
    (project.root / "old").mkdir()
    (project.root / "old/1_add_users.sql").write_text("SELECT 1;")


def test_taking_over_is_asked_about_with_what_it_means(client: Client, project: Project) -> None:
    taking_over(project)
    where = "2 of this project as applied, by state.json: 1.0.0 Step,"
    general = "mark as applied what dbmate has applied"
    outside = "mark as applied what json:/etc/x.json has applied"
    asked = {
        "baseline --from json:state.json --yes": f"mark {where} 1.1.0 Step (there 2)",
        "baseline --from json:state.json": f"show, without doing it, what would mark {where}",
        "baseline --from json:state.json -n": f"show, without doing it, what would mark {where}",
        "baseline --from dbmate --yes": f"{general} (its plan cannot be shown: There is no state"
        " database to read dbmate's ledger from)",
        # Only shown, and asked about all the same.
        "baseline --from json:/etc/x.json -n": f"show, without doing it, what would {outside} (its"
        " plan cannot be shown: --from reads only below the project, and /etc/x.json is not);"
        " it points elsewhere: --from json:/etc/x.json",
        "baseline 1.1.0 -n": "show, without doing it, what would mark every migration up to 1.1.0"
        " as applied, without running it",
        "create --from sql old": "write 1 new migration file(s) for this project after those of sql"
        " in old: 1.1.1-add-users.sql",
        "create --from sql /etc": "write new migration files after those of sql /etc (its plan"
        " cannot be shown: The folder holds no migration of sql's); it points elsewhere: --from sql"
        " /etc",
    }
    for arguments, text in asked.items():
        reason = ask(client, f"{LAUNCHER} {arguments}")
        assert str(reason).startswith(f"plugin-migrate {arguments.split()[0]}: {text}")


def test_the_question_reads_what_our_own_conversion_wrote(client: Client, project: Project) -> None:
    """A hook has no PyYAML, and the headers that say it are YAML."""
    folder = project.root / "old"
    folder.mkdir()
    (folder / "0007_add_users.sql").write_text("SELECT 1;")
    convert(project.look(), "sql", str(folder))
    (project.root / "state.json").write_text("7")
    call = f"{LAUNCHER} baseline --from json:state.json --yes"
    assert ask(client, call) == (
        "plugin-migrate baseline: mark 1 of this project as applied, by state.json: 1.0.0 Add users"
        " (there 7)"
    )
    file = project.migrations / "1.0.0-add-users.sql"
    file.write_text(file.read_text().replace("from: sql 0007_add_users", "from: [sql 0007]"))
    assert "its plan cannot be shown: a migration's header is more than plain lines" in str(
        ask(client, call)
    )


def test_a_long_plan_is_cut(client: Client, project: Project) -> None:
    for number in range(12):
        project.python(f"1.{number}.0", "pass", top=f"description = {'long ' * 20 + 'x'!r}")
    reason = ask(client, f"{LAUNCHER} upgrade")
    assert reason is not None
    assert "apply 12 to this project" in reason
    assert reason.endswith("…, and 4 more")
    assert len(reason) < 700


def test_the_plan_is_that_of_the_folder_in_which_the_call_runs(
    client: Client, project: Project, folder: Path
) -> None:
    project.sql("1.0.0", "SELECT 1;")
    other = Project(folder / "other")
    other.sql("2.0.0", "SELECT 2;")
    there = other.root.as_posix()
    assert "2.0.0" in str(ask(client, f"cd {there} && {LAUNCHER} upgrade"))
    assert "another folder" in str(ask(client, f"cd $X && {LAUNCHER} upgrade"))
    assert "another folder" in str(ask(client, f"true; cd {there}; {LAUNCHER} upgrade"))


def test_what_cannot_be_read_is_asked_about(client: Client) -> None:
    for command in (f'{LAUNCHER} "$X"', "X=1 /x/plugin-migrate status", 'echo "plugin-migrate'):
        assert "cannot be read from it for certain" in str(ask(client, command))
    assert "(" * 5_000 not in str(ask(client, "$(" * 5_000 + "plugin-migrate upgrade"))


@pytest.mark.usefixtures("each_shell")
def test_a_command_that_does_not_name_us_starts_nothing(client: Client, folder: Path) -> None:
    """Not even another tool: PATH holds none. The project's own name does not count."""
    client.project = folder / "plugin-migrate"
    client.project.mkdir()
    for command in ("ls", "x=$(date)", "for i in 1 2; do echo $i; done", "echo 'ä \\ \"'", ""):
        assert ask(client, command) is None
    assert client.pythons == []


def no_python(client: Client) -> None:
    (client.path / "python3").unlink()


def not_a_program(client: Client) -> None:
    managed(client).write_bytes(b"\x7fELF no more")


def an_interpreter_that_is_gone(client: Client) -> None:
    managed(client).write_text("#!/nonexistent/python\n")


def one_that_fails(client: Client) -> None:
    managed(client).write_text("#!/bin/sh\nexit 1\n")


def one_that_is_killed(client: Client) -> None:
    managed(client).write_text("#!/bin/sh\nkill -9 $$\n")


def one_that_does_nothing(client: Client) -> None:
    managed(client).write_text("#!/bin/sh\n")


def one_without_its_library(client: Client) -> None:
    managed(client).write_text(f"#!/bin/sh\nPYTHONHOME=/nonexistent exec {REAL_PYTHON} -c ''\n")


def our_own_module_is_damaged(client: Client) -> None:
    plugin = client.home / "plugin"
    for name in ("hooks", "scripts"):
        shutil.copytree(ROOT / name, plugin / name, ignore=shutil.ignore_patterns("__pycache__"))
    (plugin / "scripts/plugin_migrate/claude_code/ask_before.py").write_text("damaged (")
    client.plugin = plugin


def managed(client: Client) -> Path:
    """Return the program of an environment that looks ready."""
    cache = client.home / "cache"
    link_environment(cache)
    client.variables["PLUGIN_MIGRATE_CACHE"] = str(cache)
    (environment,) = cache.iterdir()
    program = environment / "bin/python"
    program.unlink()
    program.touch(0o755)
    return program


@pytest.mark.parametrize(
    "situation",
    [
        no_python,
        not_a_program,
        an_interpreter_that_is_gone,
        one_that_fails,
        one_that_is_killed,
        one_that_does_nothing,
        one_without_its_library,
        our_own_module_is_damaged,
    ],
)
@pytest.mark.parametrize("each_shell", ["dash", "bash", "busybox"], indirect=True)
def test_without_a_python_that_works_the_name_alone_is_asked_about(
    client: Client, each_shell: None, situation
) -> None:
    situation(client)
    for name in ("plugin-migrate", "plugin'-'migrate", 'plugin"-"migrate', "plugin_migrate"):
        assert ask(client, f"/x/{name} upgrade") is not None
    assert ask(client, "ls plugins && python manage.py migrate") is None


@pytest.mark.parametrize("document", ["", "{", "[]", "null", "[" * 50_000, {"tool_input": 5}])
def test_an_odd_document_passes(client: Client, document: object) -> None:
    assert client.run("ask-before", document) is None


def test_a_long_command_is_read(client: Client) -> None:
    text = "x" * 200_000
    assert ask(client, f"cat <<'E' > notes\n{text}\nplugin-migrate upgrade\nE") is None
    assert ask(client, f"cat <<'E' > notes\n{text}\nE\n{LAUNCHER} upgrade") is not None


def test_asking_reads_only(client: Client, project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    before = project.files()
    assert ask(client, f"{LAUNCHER} upgrade") is not None
    assert project.files() == before
    assert not project.database.exists()
