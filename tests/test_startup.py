"""Deferred modules behave like imported ones, except for when their code runs."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from plugin_migrate.startup import (
    defer,
    defer_call,
    import_untranslated,
    import_with_c_datetime,
)

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that writes an importable module and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.ran", [], raising=False)
    before = set(sys.modules)

    def write(name, code):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"import sys; sys.ran.append(__name__)\n{code}")
        return name.removesuffix(".py").removesuffix("/__init__")

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_code_runs_at_the_first_attribute_and_only_once(module):
    defer(module("lazy_once.py", "value = 1"))
    import lazy_once

    assert sys.ran == []
    assert lazy_once.value == 1
    assert lazy_once.value == 1
    assert sys.ran == ["lazy_once"]


def test_module_stays_the_same_object(module):
    defer(module("lazy_same.py", "value = 1"))
    early = sys.modules["lazy_same"]
    assert early.value == 1
    import lazy_same

    assert lazy_same is early
    assert type(early) is type(sys)
    assert early.__spec__.name == "lazy_same"
    assert early.__file__.endswith("lazy_same.py")


def test_from_import_finds_the_name(module):
    defer(module("lazy_from.py", "value = 1"))
    from lazy_from import value

    assert value == 1


def test_imported_module_is_left_alone(module):
    module("lazy_late.py", "value = 1")
    import lazy_late

    defer("lazy_late")
    assert sys.modules["lazy_late"] is lazy_late
    assert type(lazy_late) is type(sys)


def test_missing_module_is_missing_at_its_import():
    defer("lazy_missing")
    with pytest.raises(ModuleNotFoundError, match="lazy_missing"):
        import lazy_missing  # noqa: F401


def test_missing_attribute_is_an_attribute_error_that_names_both(module):
    defer(module("lazy_short.py", ""))
    import lazy_short

    with pytest.raises(AttributeError, match="module 'lazy_short' has no attribute 'value'"):
        lazy_short.value  # noqa: B018


def test_error_in_the_module_is_told_and_the_next_import_tries_again(module):
    defer(module("lazy_broken.py", "import lazy_nowhere"))
    import lazy_broken

    with pytest.raises(ModuleNotFoundError, match="lazy_nowhere"):
        lazy_broken.value  # noqa: B018
    module("lazy_broken.py", "value = 'mended'")
    import lazy_broken

    assert lazy_broken.value == "mended"


def test_submodule_of_a_deferred_package_can_be_imported(module):
    module("lazy_package/__init__.py", "value = 1")
    module("lazy_package/child.py", "value = 2")
    defer("lazy_package")
    import lazy_package.child

    assert (lazy_package.value, lazy_package.child.value) == (1, 2)


def test_circular_import_sees_the_half_made_module(module):
    module("lazy_other.py", "import lazy_circle\nseen = hasattr(lazy_circle, 'late')")
    defer(module("lazy_circle.py", "import lazy_other\nlate = 1"))
    import lazy_circle

    assert lazy_circle.late == 1
    assert lazy_circle.lazy_other.seen is False


def test_other_threads_wait_until_the_code_has_run(module):
    defer(module("lazy_slow.py", "import time; time.sleep(0.2)\nvalue = 1"))
    import lazy_slow

    seen = []
    threads = [threading.Thread(target=lambda: seen.append(lazy_slow.value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 8
    assert sys.ran == ["lazy_slow"]


def test_function_that_is_taken_early_loads_the_module_when_it_is_called(module):
    defer_call(
        module("lazy_call.py", "def double(x, *, plus=0): return 2 * x + plus\nv = 1"), "double"
    )
    from lazy_call import double as early

    assert sys.ran == []
    assert early(3, plus=1) == 7
    assert sys.ran == ["lazy_call"]
    import lazy_call

    assert type(lazy_call) is type(sys)
    assert lazy_call.double(3) == early(3) == 6
    assert lazy_call.double is not early


def test_early_function_still_works_when_the_module_was_loaded_by_others(module):
    defer_call(module("lazy_both.py", "def double(x): return 2 * x\nvalue = 1"), "double")
    from lazy_both import double as early
    from lazy_both import value

    assert (value, early(2)) == (1, 4)
    assert sys.ran == ["lazy_both"]


def test_call_of_an_imported_or_missing_module_is_left_alone(module):
    module("lazy_known.py", "def double(x): return 2 * x")
    import lazy_known

    real = lazy_known.double
    defer_call("lazy_known", "double")
    defer_call("lazy_missing", "double")
    assert lazy_known.double is real
    assert "lazy_missing" not in sys.modules


def run(code):
    code = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); sys.path += {sys.path!r}\n{code}"
    command = [sys.executable, "-I", "-S", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_our_dependencies_start_without_what_they_hardly_need():
    code = """
from plugin_migrate.startup import defer, defer_call
defer("inspect", "copy")
defer_call("html", "escape")
import dataclasses, tabulate, yaml
print(tabulate.tabulate([["✓", 1]], tablefmt="simple_outline"), yaml.safe_load("[a]"))
print(*(type(sys.modules[name]).__name__ for name in ("inspect", "copy", "html")))
print(tabulate.tabulate([["<a>"]], tablefmt="html"))
"""
    told = run(code)
    assert "_Deferred _Deferred _Deferred" in told
    assert "&lt;a&gt;" in told


def test_inspect_works_when_it_is_needed_after_all():
    assert run("""
from plugin_migrate.startup import defer
defer("inspect")
import dataclasses
@dataclasses.dataclass
class Bare:
    value: int
print(Bare.__doc__)
import inspect, importlib.util
print(inspect.signature(len), importlib.util.find_spec("inspect").name)
""").splitlines() == ["Bare(value: int)", "(obj, /) inspect"]


def test_what_a_migration_registers_for_the_exit_is_run(project):
    project.python("1.0.0", "import atexit, sys\natexit.register(print, 'bye', file=sys.stderr)")
    main = SCRIPTS / "plugin_migrate/__main__.py"
    command = [sys.executable, "-I", "-S", str(main), "--project", str(project.root)]
    for action, told in (("status", False), ("upgrade", True), ("upgrade", False)):
        done = subprocess.run([*command, action], capture_output=True, text=True)
        assert done.returncode == 0
        assert done.stdout.endswith("\n")
        assert ("bye" in done.stderr) is told


def test_untranslated_module_speaks_english_and_others_get_the_real_gettext(module, monkeypatch):
    monkeypatch.delitem(sys.modules, "gettext", raising=False)
    text = "from gettext import gettext as _, ngettext"
    code = f"{text}; texts = [_('one'), ngettext('file', 'files', 1), ngettext('file', 'files', 2)]"
    import_untranslated(module("translated.py", code))
    import translated

    assert translated.texts == ["one", "file", "files"]
    import gettext

    assert hasattr(gettext, "translation")


def test_gettext_that_is_imported_already_is_left_alone(module):
    import gettext

    import_untranslated(module("translated_late.py", "from gettext import gettext"))
    import translated_late

    assert sys.modules["gettext"] is gettext
    assert translated_late.gettext is gettext.gettext


def test_sqlite3_that_took_the_c_classes_of_datetime_still_reads_and_writes_everybodys_dates():
    assert run("""
from plugin_migrate.startup import import_with_c_datetime
import_with_c_datetime("sqlite3")
import datetime, sqlite3
connection = sqlite3.connect(":memory:", detect_types=sqlite3.PARSE_DECLTYPES)
connection.execute("CREATE TABLE t (d date, at timestamp)")
day, at = datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, 3, 4, 5, 6)
connection.execute("INSERT INTO t VALUES (?, ?)", (day, at))
print(connection.execute("SELECT * FROM t").fetchone() == (day, at), type(day) is sqlite3.Date)
print(sys.modules["datetime"].__spec__.name)
""").splitlines() == ["True True", "datetime"]


def test_datetime_that_is_imported_already_is_left_alone(module):
    real = sys.modules["datetime"]  # pytest has imported it
    import_with_c_datetime(module("dated.py", "import datetime"))
    import dated

    assert sys.modules["datetime"] is dated.datetime is real
