"""With the plugin enabled, Claude's tools work as they do without it, in every project."""

import pytest

from claude_code.client import bash
from claude_code.messages_api import ToolCall

ORDINARY = [
    "ls",
    "echo $(date)",
    "echo `date`",
    "for i in 1 2; do echo $i; done",
    "for ((i=0;i<2;i++)); do echo $i; done",
    "i=0; while [ $i -lt 2 ]; do i=$((i+1)); done",
    "until true; do :; done",
    "echo {1..3}",
    "echo ${HOME:-x} ${#HOME} ${HOME%/*}",
    "x=$(ls | wc -l); echo $x",
    "diff <(echo a) <(echo a)",
    "f() { echo hi; }; f",
    "function g { echo hi; }; g",
    "git log $(git rev-parse HEAD)..HEAD || true",
    "if [ -f x ]; then echo a; else echo b; fi",
    "case $HOME in /*) echo abs;; esac",
    "[[ $HOME == /* ]] && echo yes",
    "echo a | tr a b | cat",
    "(cd / && pwd)",
    "{ echo a; echo b; }",
    "cat <<EOF\nhello $HOME\nEOF",
    "cat <<'EOF'\nit's $(not run)\nEOF",
    "cat <<< hello",
    "echo a > out.txt; cat out.txt",
    "echo b >> out.txt 2>&1",
    "echo a && echo b || echo c",
    "! false",
    "sleep 0 & wait",
    'a=(1 2 3); echo "${a[@]}"',
    "declare -A m; m[a]=1; echo ${m[a]}",
    "printf '%s\\n' \"a b\" 'c'",
    "echo $'tab\\there'",
    "env X=1 sh -c 'echo $X'",
    "echo one \\\n  two",
    'set -- a b; echo "$#"',
    "export Y=2; echo $Y",
    "true # a remark",
    "echo $((1 << 2)) $RANDOM",
    "find . -name '*.md' -exec echo {} \\;",
    "echo x | xargs echo",
    "python3 -c 'print(1)'",
    "trap 'echo bye' EXIT; echo hi",
    "eval 'echo hi'",
    "time true",
]
MENTIONS = [
    "mkdir -p plugin-migrate && echo hi > plugin-migrate/README.md && cat plugin-migrate/README.md",
    "cd plugin-migrate && cd ..",
    "grep -r plugin-migrate . | head -1",
    'echo "run plugin-migrate upgrade"',
    "git init -q . && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x",
    "echo \"$(cat <<'EOF'\nKeep plugin-migrate's hooks quiet (don't ask)\nEOF\n)\"",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["bare", "with migrations"])
def test_no_ordinary_command_is_denied_asked_about_or_commented(client, project, folder, kind):
    root = folder / "bare"
    root.mkdir()
    if kind == "with migrations":
        project.tables("1.0.0")
        project.ok("upgrade")
        root = project.root
    assert len(ORDINARY) >= 40
    commands = [*ORDINARY, *MENTIONS]
    talk = client.ask("Go", root, *map(bash, commands), options=("--allowedTools", "Bash"))
    assert talk.denied == []
    assert len(talk.results) == len(commands)
    failed = {
        command: result
        for command, result in zip(commands, talk.results, strict=True)
        if result.startswith(("Exit code", "plugin-migrate", "Permission"))
    }
    assert failed == {}
    assert said_later(talk) == []


def said_later(talk):
    """Return what hooks printed after the session's start."""
    kinds = [document.get("hookSpecificOutput", {}).get("hookEventName") for document in talk.hooks]
    return [kind for kind in kinds if kind != "SessionStart"]


def test_no_ordinary_file_is_kept_from_claude(client, project):
    project.tables("1.0.0")
    project.ok("upgrade")
    calls = []
    for name in ("a.txt", "1.0.0-notes.md", "db/migrations/1.0.0-step.sql", "1.0.0-step.sql"):
        path = str(project.root / name)
        calls += [
            ToolCall("Write", {"file_path": path, "content": "one\n"}),
            ToolCall("Read", {"file_path": path}),
            ToolCall("Edit", {"file_path": path, "old_string": "one", "new_string": "two"}),
        ]
    edits = ("--permission-mode", "acceptEdits")
    talk = client.ask("Go", project.root, *calls, options=edits)
    assert (talk.denied, said_later(talk)) == ([], [])
    assert len(talk.results) == len(calls)
    for name in ("a.txt", "1.0.0-notes.md", "db/migrations/1.0.0-step.sql", "1.0.0-step.sql"):
        assert (project.root / name).read_text() == "two\n"


@pytest.mark.parametrize("mode", ["acceptEdits", "plan", "dontAsk", "auto", "bypassPermissions"])
def test_an_applied_migration_is_guarded_in_every_mode(client, project, mode):
    project.config("migrations: db/steps\n")
    steps = project.root / "db/steps"
    steps.mkdir(parents=True)
    (steps / "1.0.0-a.sql").write_text("-- migrate:up\nSELECT 1;\n")
    project.ok("upgrade")
    (project.root / "way").symlink_to(steps)
    calls = [
        ToolCall("Write", {"file_path": str(steps / "1.0.0-b.sql"), "content": "x"}),
        ToolCall("Write", {"file_path": str(project.root / "way/1.0.0-b.sql"), "content": "x"}),
    ]
    options = ("--permission-mode", mode, "--allowedTools", "Write,Edit")
    talk = client.ask("Go", project.root, *calls, options=options)
    for result in talk.results:
        assert "is applied, so its file stays as it is" in result
    assert [path.name for path in steps.iterdir()] == ["1.0.0-a.sql"]
