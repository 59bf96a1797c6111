"""Python migrations: read without running, run as the author expects, explained when they fail."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin_migrate.errors import BrokenMigration, Irreversible, StepFailed
from plugin_migrate.languages.python import LANGUAGE
from project import PACKAGES, SCRIPTS

FILE = "/project/.claude/core/versioning/migrations/1.0.0-x.py"
UP = "def up(ctx): pass\n"


def parse(text):
    return LANGUAGE.parse(text, FILE)


def broken(text):
    with pytest.raises(BrokenMigration) as caught:
        parse(text)
    assert caught.value.file == FILE
    return caught.value


# Reading


def test_header_and_functions_are_read_without_running_anything():
    script = parse(
        '"""Docstring."""\nraise SystemExit("executed")\nimport nothing_of_this_name\n'
        'description = "Add it"\nversion = "1.0.0"\n'
        'metadata: dict = {"author": "ada", "tags": ["a"]}\n'
        "async def up(ctx): ...\ndef down(ctx): ...\n"
    )
    assert (script.description, script.version) == ("Add it", "1.0.0")
    assert script.metadata == {"author": "ada", "tags": ["a"]}
    assert script.has_down


@pytest.mark.parametrize(
    ("head", "description"),
    [
        ("", None),
        ('"""One."""\n', "One"),
        ('"""\nOne.\n\nTwo.\n"""\n', "One"),
        ('""""""\n', None),
        ('"""..."""\n', None),
        ('description = ""\n', None),
        ('"""Docstring."""\ndescription = ""\n', "Docstring"),
        ('description = "a" "b"\n', "ab"),
    ],
)
def test_the_description_is_the_literal_or_the_docstrings_first_line(head, description):
    assert parse(head + UP).description == description


def test_without_a_down_it_cannot_be_rolled_back():
    assert not parse(UP).has_down
    with pytest.raises(Irreversible):
        LANGUAGE.prepare(UP, FILE, "down")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("def up(ctx):\n  return (\n", 2),
        ("def up(ctx):\npass\n", 2),
        ("\n\ndescription = f(1)\n" + UP, 3),
        ("description = 42\n" + UP, 1),
        ("metadata = []\n" + UP, 1),
        ("metadata = {1: 2}\n" + UP, 1),
        ('metadata = {"a": {(1, 2): 3}}\n' + UP, 1),
        ("description = " + "+".join(["1"] * 5000) + "\n" + UP, None),
        ("x = " + "(" * 5000, None),
        ("x\0", None),
        ("def down(ctx): pass\n", None),
        ("if True:\n    def up(ctx): pass\n", None),
        ("", None),
    ],
)
def test_what_is_no_migration_is_refused_with_its_line(text, line):
    error = broken(text)
    assert line is None or error.line == line


def test_a_warning_of_the_compiler_is_not_told_while_reading(recwarn):
    parse("def up(ctx):\n    return '\\d' is '\\d'\n")
    assert not recwarn.list


@given(st.text())
def test_any_text_is_read_or_refused(text):
    with pytest.raises(BrokenMigration):
        parse("\0" + text)
    try:
        parse(text)
    except BrokenMigration:
        return


# Running, on a whole project


def test_what_a_migration_registers_for_the_exit_is_run(project):
    project.python("1.0.0", "import atexit, sys\natexit.register(print, 'bye', file=sys.stderr)")
    command = [sys.executable, "-m", "plugin_migrate", "--project", str(project.root)]
    paths = {"PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(PACKAGES)])}
    for action, told in (("status", False), ("upgrade", True), ("upgrade", False)):
        done = subprocess.run(
            [*command, action], capture_output=True, env=os.environ | paths, text=True
        )
        assert done.returncode == 0
        assert done.stdout.endswith("\n")
        assert ("bye" in done.stderr) is told


def test_async_functions_are_awaited(project):
    project.python("1.0.0", "pass", "pass")
    (project.migrations / "1.0.0-step.py").write_text(
        "import asyncio\n"
        "async def up(ctx):\n    await asyncio.sleep(0)\n    ctx.db.execute('CREATE TABLE a (x)')\n"
        "async def down(ctx):\n    await asyncio.sleep(0)\n    ctx.db.execute('DROP TABLE a')\n"
    )
    project.upgrade()
    assert project.query("SELECT count(*) FROM a") == [(0,)]
    project.downgrade()
    assert project.query("SELECT name FROM sqlite_schema WHERE name = 'a'") == []


def test_a_failure_shows_the_authors_frames_only(project):
    project.python(
        "1.0.0",
        "first()",
        top="def first():\n    second()\n\ndef second():\n    raise ValueError('no\\nway')\n",
    )
    error = project.failure()
    assert isinstance(error, StepFailed)
    assert error.message == "ValueError: no\nway"
    assert error.file == str(project.migrations / "1.0.0-step.py")
    assert error.line == 5
    (trace,) = error.details
    frames = [line.strip() for line in trace.split("\n") if line.strip().startswith("File ")]
    assert [frame.rpartition("in ")[2] for frame in frames] == ["up", "first", "second"]
    assert "raise ValueError" in trace
    assert "plugin_migrate/" not in trace


def test_a_failure_of_an_async_function_shows_no_frame_of_asyncio(project):
    path = project.python("1.0.0", "pass")
    path.write_text("async def up(ctx):\n    raise ValueError('no')\n")
    error = project.failure()
    assert error.line == 2
    assert "asyncio" not in error.details[0]


def test_frames_of_helpers_and_of_the_standard_library_are_shown(project):
    (project.migrations / "_helpers.py").write_text("import json\ndef read(): json.loads('{')\n")
    project.python("1.0.0", "_helpers.read()", top="import _helpers")
    (trace,) = project.failure().details
    assert "_helpers.py" in trace
    assert "json" in trace


def test_a_failure_while_the_file_is_loaded_has_its_line(project):
    project.python("1.0.0", "pass", top="import os\n1 / 0\n")
    error = project.failure()
    assert (error.message, error.line) == ("ZeroDivisionError: division by zero", 2)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit(0)", "The migration called sys.exit(0)"),
        ("import sys; sys.exit('bye')", "The migration called sys.exit('bye')"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
        ("class E(BaseException): pass\nraise E('x')", "E: x"),
        ("class E(Exception):\n    def __str__(self): return 1 / 0\nraise E", "E"),
    ],
)
def test_whatever_a_migration_raises_is_its_failure_and_undone(project, code, message):
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()
    project.python("1.1.0", "ctx.db.execute('CREATE TABLE b (x)')\n" + code)
    assert message in project.failure().message
    assert project.query("SELECT name FROM sqlite_schema WHERE name = 'b'") == []
    assert project.applied() == ["1.0.0"]


def test_the_module_knows_its_name_and_place(project):
    project.python(
        "1.0.0",
        "ctx.db.execute('CREATE TABLE a AS SELECT ?, ?', (__name__, __file__))",
    )
    project.upgrade()
    ((name, file),) = project.query("SELECT * FROM a")
    assert name != "__main__"
    assert file == str(project.migrations / "1.0.0-step.py")


def test_dataclasses_and_other_users_of_sys_modules_work(project):
    project.python(
        "1.0.0",
        "ctx.db.execute('CREATE TABLE a AS SELECT ?', (str(Point(1)),))",
        top="from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from typing import ClassVar\n\n@dataclass\nclass Point:\n    x: int\n"
        "    y: ClassVar[int] = 0\n",
    )
    project.upgrade()
    assert project.query("SELECT * FROM a") == [("Point(x=1)",)]


# Helpers beside it


def test_a_helper_beside_the_migration_is_imported_and_leaves_no_trace(project):
    helper = project.migrations / "_helpers.py"
    package = project.migrations / "_lib"
    package.mkdir()
    (package / "__init__.py").write_text("name = 'package'\n")
    project.python("1.0.0", "ctx.db.execute(f'CREATE TABLE {_helpers.name} (x)')",
                   "ctx.db.execute(f'DROP TABLE {_helpers.name}')",
                   top="import _helpers, _lib")  # fmt: skip
    for name in ("first", "second"):
        helper.write_text(f"name = {name!r}\n")
        path, modules = list(sys.path), {*sys.modules}
        project.upgrade()
        assert project.query(f"SELECT count(*) FROM {name}") == [(0,)]
        project.downgrade()
        assert sys.path == path
        assert not {"_helpers", "_lib"} & ({*sys.modules} - modules)
    assert not list(project.root.rglob("__pycache__"))
    assert not sys.dont_write_bytecode or sys.flags.dont_write_bytecode


def test_a_file_beside_it_takes_no_standard_modules_place(project):
    for name in ("json", "yaml", "colorsys"):
        (project.migrations / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    project.python("1.0.0", "pass", top="import json, yaml, colorsys\njson.dumps(1)")
    project.upgrade()


def test_what_a_migration_does_to_the_import_path_ends_with_it(project):
    project.python("1.0.0", "import sys\nsys.path.insert(0, '/nowhere')\nsys.path.pop()")
    path = list(sys.path)
    project.upgrade()
    assert sys.path == path
