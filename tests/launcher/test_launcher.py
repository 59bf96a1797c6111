"""Real runs of scripts/plugin-migrate: real shells, real interpreters, real package installs."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from launcher_tree import copy_plugin, pins

IMPORTS = """
import packaging, sqlite3, tabulate, yaml
print(sys.executable)
print(yaml.__file__)
return 0
"""
PREPARING = "preparing its Python environment"
TOOLS = "sh dash env id ls mkdir readlink uname".split()
REAL_PYTHON = Path(os.path.realpath(sys._base_executable))


def without_python(folder):
    """A PATH with the few system tools that the launcher may use, and no Python."""
    folder.mkdir()
    for tool in TOOLS:
        if path := shutil.which(tool):
            (folder / tool).symlink_to(path)
    return folder


@pytest.fixture
def variables(tmp_path):
    """The environment of a run: pip's settings of this machine, and a cache of this test's own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return kept | {"PLUGIN_MIGRATE_CACHE": str(tmp_path / "cache")}


@pytest.fixture
def pip_only(variables, tmp_path):
    """The same with one Python and without uv, which would find the packages in its own cache."""
    folder = without_python(tmp_path / "bin")
    (folder / "python3").symlink_to(REAL_PYTHON)
    return variables | {"PATH": str(folder)}


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A cache with the real environment in it, made once; and what the making said."""
    folder = tmp_path_factory.mktemp("built")
    launcher = copy_plugin(folder / "plugin", IMPORTS)
    cache = folder / "cache"
    done = run(launcher, env={**os.environ, "PLUGIN_MIGRATE_CACHE": str(cache)})
    assert done.returncode == 0, done.stderr
    return cache, done


@pytest.fixture
def ready(built, variables):
    """The environment variables of a run that has nothing to prepare."""
    return variables | {"PLUGIN_MIGRATE_CACHE": str(built[0])}


def run(*command, **options):
    return subprocess.run(
        command, **{"capture_output": True, "text": True, "timeout": 120, **options}
    )


def environments(cache):
    return [path.parent for path in cache.glob("*/ready")]


def leftovers(cache):
    return list(cache.glob(".building-*"))


# The first run


def test_first_run_prepares_in_one_line_on_stderr(built):
    cache, done = built
    assert done.stderr == f"plugin-migrate: {PREPARING} in {cache} (once)\n"
    python, module = done.stdout.splitlines()
    (environment,) = environments(cache)
    assert python == f"{environment}/bin/python"
    assert module.startswith(f"{environment}/lib/")
    assert leftovers(cache) == []


def test_environment_links_to_the_interpreter_of_one_version(built):
    (environment,) = environments(built[0])
    link = (environment / "bin/python").resolve()
    assert re.fullmatch(r"python\d\.\d+", link.name)


def test_environment_holds_the_pinned_versions(built):
    (environment,) = environments(built[0])
    code = "from importlib.metadata import version as v; print(v('{}'))"
    for pin in pins("requirements.txt"):
        name, version = pin.split("==")
        assert run(environment / "bin/python", "-c", code.format(name)).stdout.strip() == version


def test_later_runs_say_nothing_and_start_no_process_but_the_program(built, ready, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    assert run(launcher, env=ready).stderr == ""
    if not shutil.which("strace"):
        pytest.skip("no strace here")
    trace = tmp_path / "trace"
    run("strace", "-f", "-e", "trace=process", "-o", trace, launcher, env=ready)
    calls = re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE)
    assert calls == ["execve", "execve", "exit_group"]


def test_two_first_runs_at_once_share_one_environment(variables, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    pipe = subprocess.PIPE
    both = [
        subprocess.Popen([launcher], env=variables, stdout=pipe, stderr=pipe, text=True)
        for _ in range(2)
    ]
    results = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert results[0][0] == results[1][0] != ""
    assert sum(PREPARING in errors for _, errors in results) == 1
    cache = Path(variables["PLUGIN_MIGRATE_CACHE"])
    assert len(environments(cache)) == 1
    assert leftovers(cache) == []


@pytest.mark.parametrize("delay", [0.0, 0.4, 1.5])
def test_killed_first_run_leaves_nothing_that_disturbs_the_next(pip_only, tmp_path, delay):
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    cache = Path(pip_only["PLUGIN_MIGRATE_CACHE"])
    with subprocess.Popen([launcher], env=pip_only, start_new_session=True) as process:
        deadline = time.monotonic() + 60
        while not leftovers(cache) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
    assert leftovers(cache) != []
    assert environments(cache) == []

    done = run(launcher, env=pip_only)
    assert done.returncode == 0, done.stderr
    assert PREPARING in done.stderr
    assert leftovers(cache) == []
    assert len(environments(cache)) == 1


def test_environment_is_made_again_when_its_python_is_gone(built, variables, tmp_path):
    cache = Path(variables["PLUGIN_MIGRATE_CACHE"])
    shutil.copytree(built[0], cache, symlinks=True)
    (environment,) = environments(cache)
    (environment / "bin/python").unlink()
    (environment / "bin/python").symlink_to("/usr/bin/python3.11-was-removed")
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    done = run(launcher, env=variables)
    assert done.returncode == 0, done.stderr
    assert PREPARING in done.stderr
    assert environments(cache) == [environment]
    assert leftovers(cache) == []


def test_first_run_leaves_its_input_to_the_program(pip_only, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", "print(sys.stdin.read()); return 0")
    assert run(launcher, env=pip_only, input="for the program").stdout == "for the program\n"


def test_uv_is_used_when_it_is_there(variables, tmp_path):
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("no uv here")
    folder = without_python(tmp_path / "bin")
    (folder / "uv").symlink_to(uv)
    (folder / "python3").symlink_to(REAL_PYTHON)
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    done = run(launcher, env=variables | {"PATH": str(folder)})
    assert done.returncode == 0, done.stderr
    (environment,) = environments(Path(variables["PLUGIN_MIGRATE_CACHE"]))
    assert "uv = " in (environment / "pyvenv.cfg").read_text()


# What cannot be prepared


def assert_one_sentence(text, *words):
    assert re.fullmatch(r"✗ Error: [^\n]+\n", text), text
    for word in words:
        assert word in text


@pytest.mark.parametrize("mode", ["terminal", "slash"])
def test_without_python_it_says_what_to_install(variables, tmp_path, mode):
    folder = without_python(tmp_path / "bin")
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    arguments = ["--slash"] if mode == "slash" else []
    done = run(launcher, *arguments, env=variables | {"PATH": str(folder)})
    code, said, silent = (
        (0, done.stdout, done.stderr) if mode == "slash" else (1, done.stderr, done.stdout)
    )
    assert done.returncode == code
    assert silent == ""
    assert_one_sentence(said, "No Python 3.11 or later", "install")


def test_shims_without_a_version_behind_them_are_passed_over(variables, tmp_path):
    folder = without_python(tmp_path / "bin")
    for name in ("python3", "python3.13"):
        (folder / name).write_text("#!/bin/sh\necho 'pyenv: version not installed' >&2\nexit 127\n")
        (folder / name).chmod(0o755)
    (folder / "python").symlink_to(REAL_PYTHON)
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    done = run(launcher, env=variables | {"PATH": str(folder)})
    assert done.returncode == 0, done.stderr
    assert "pyenv" not in done.stderr


def closed_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.mark.parametrize("mode", ["terminal", "slash"])
@pytest.mark.parametrize("fault", ["no network", "no index"])
def test_without_packages_it_says_what_to_check_and_leaves_nothing(pip_only, tmp_path, fault, mode):
    settings = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
    }
    if fault == "no index":
        settings["PIP_NO_INDEX"] = "1"
    else:
        settings["PIP_INDEX_URL"] = f"http://127.0.0.1:{closed_port()}/simple"
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    done = run(launcher, *["--slash"][: mode == "slash"], env=pip_only | settings)
    said = done.stdout if mode == "slash" else done.stderr
    assert done.returncode == (0 if mode == "slash" else 1)
    first, _, rest = said.partition("\n")
    assert PREPARING in first
    assert_one_sentence(rest, "check the network", "No matching distribution found for")
    cache = Path(pip_only["PLUGIN_MIGRATE_CACHE"])
    assert environments(cache) == leftovers(cache) == []


@pytest.mark.parametrize(
    ("module", "words"),
    [("ensurepip", ["virtual environments", "apt install python3-venv"]), ("sqlite3", ["sqlite3"])],
)
def test_python_that_lacks_a_module_is_named_with_the_remedy(variables, tmp_path, module, words):
    # The same interpreter beside a standard library without the module, as Debian packages it.
    folder = without_python(tmp_path / "bin")
    shutil.copy2(REAL_PYTHON, folder / "python3")
    stdlib = Path(sysconfig.get_path("stdlib"))
    library = tmp_path / "lib" / stdlib.name
    library.mkdir(parents=True)
    for entry in stdlib.iterdir():
        if entry.name not in (module, "site-packages"):
            (library / entry.name).symlink_to(entry)
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    done = run(launcher, env=variables | {"PATH": str(folder)})
    assert done.returncode == 1
    assert_one_sentence(done.stderr, *words)


# Where the environment is


def test_cache_is_in_the_home_directory_unless_xdg_says_otherwise(built, variables, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    del variables["PLUGIN_MIGRATE_CACHE"]
    variables.pop("XDG_CACHE_HOME", None)
    home, xdg = tmp_path / "home", tmp_path / "xdg"
    for parent in (home / ".cache", xdg):
        parent.mkdir(parents=True)
        (parent / "plugin-migrate").symlink_to(built[0])
    for more, parent in [
        ({}, home / ".cache"),
        ({"XDG_CACHE_HOME": str(xdg)}, xdg),
        ({"XDG_CACHE_HOME": "relative"}, home / ".cache"),  # as its specification says
    ]:
        done = run(launcher, env=variables | {"HOME": str(home)} | more)
        assert done.stdout.startswith(f"{parent}/plugin-migrate/")
        assert done.stderr == ""


@pytest.mark.parametrize("home", [None, "", "/nonexistent/home", "/proc/self"])
def test_without_a_usable_home_a_private_temporary_folder_is_used(built, variables, tmp_path, home):
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    for name in ("PLUGIN_MIGRATE_CACHE", "XDG_CACHE_HOME", "HOME"):
        variables.pop(name, None)
    if home is not None:
        if home == "/nonexistent/home" and os.geteuid() == 0:  # root can make that one
            (tmp_path / "file").touch()
            home = str(tmp_path / "file")
        variables["HOME"] = home
    private = tmp_path / f"plugin-migrate-{os.getuid()}"
    shutil.copytree(built[0], private, symlinks=True)
    private.chmod(0o700)
    done = run(launcher, env=variables | {"TMPDIR": str(tmp_path)})
    assert done.stdout.startswith(f"{private}/"), done.stderr
    assert done.stderr == ""


def test_private_temporary_folder_is_made_for_the_user_alone(pip_only, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    (tmp_path / "file").touch()
    unusable = {"PLUGIN_MIGRATE_CACHE": str(tmp_path / "file/cache"), "TMPDIR": str(tmp_path)}
    assert run(launcher, env=pip_only | unusable).returncode == 0
    private = tmp_path / f"plugin-migrate-{os.getuid()}"
    assert private.stat().st_mode & 0o777 == 0o700
    assert len(environments(private)) == 1


@pytest.mark.parametrize("trap", ["open to others", "a link", "another owner"])
def test_temporary_folder_that_another_user_could_have_made_is_refused(
    built, variables, tmp_path, trap
):
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    private = tmp_path / f"plugin-migrate-{os.getuid()}"
    shutil.copytree(built[0], tmp_path / "real", symlinks=True)
    (tmp_path / "real").chmod(0o755 if trap == "open to others" else 0o700)
    if trap == "a link":
        private.symlink_to(tmp_path / "real")
    else:
        (tmp_path / "real").rename(private)
    if trap == "another owner":
        if os.geteuid() != 0:
            pytest.skip("only root can give a folder away")
        os.chown(private, 12345, 12345)
    (tmp_path / "file").touch()
    unusable = {"PLUGIN_MIGRATE_CACHE": str(tmp_path / "file/cache"), "TMPDIR": str(tmp_path)}
    done = run(launcher, env=variables | unusable)
    assert (done.returncode, done.stdout) == (1, "")
    assert_one_sentence(done.stderr, str(private), "PLUGIN_MIGRATE_CACHE")


@pytest.mark.parametrize("name", ["with space", "ünï côde ✓", 'it\'s $(id) `id` "quoted"; *', "-x"])
def test_any_path_will_do_for_clone_cache_and_project(variables, tmp_path, name):
    launcher = copy_plugin(tmp_path / "plugins" / name, IMPORTS)
    project, cache = tmp_path / "project" / name, tmp_path / "cache" / name
    project.mkdir(parents=True)
    variables["PLUGIN_MIGRATE_CACHE"] = str(cache)
    done = run(launcher, env=variables, cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{cache}/")
    assert list(project.iterdir()) == []


def test_relative_cache_is_relative_to_the_current_directory(built, variables, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    variables["PLUGIN_MIGRATE_CACHE"] = built[0].name
    done = run(launcher, env=variables, cwd=built[0].parent)
    assert done.stdout.startswith(f"{built[0]}/")


# What it runs, and how


@pytest.fixture
def hostile(tmp_path):
    """A folder full of modules that must not be loaded, with its project inside."""
    folder = tmp_path / "hostile"
    for place in (folder, folder / ".claude"):
        place.mkdir()
        for (
            name
        ) in "yaml sqlite3 tabulate packaging json os venv ensurepip pip plugin_migrate".split():
            (place / f"{name}.py").write_text(
                f"open({str(tmp_path / 'loaded')!r}, 'a').write('{name} ')"
            )
        (place / "sitecustomize.py").write_text((place / "yaml.py").read_text())
    (folder / "pyvenv.cfg").write_text("home = /nowhere\n")
    (folder / "uv.toml").write_text("nonsense = true\n")
    return folder


def hostile_variables(folder):
    return {
        "PYTHONPATH": str(folder),
        "PYTHONSTARTUP": str(folder / "yaml.py"),
        "PYTHONHOME": str(folder),
        "PYTHONINSPECT": "1",
        "PYTHONUSERBASE": str(folder),
    }


def test_nothing_in_the_current_directory_or_in_python_variables_is_loaded(
    ready, hostile, tmp_path
):
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    done = run(launcher, env=ready | hostile_variables(hostile), cwd=hostile)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not (tmp_path / "loaded").exists()


def test_nothing_of_it_is_loaded_while_preparing_either(variables, hostile, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    redirected = {"PIP_TARGET": str(hostile / "target"), "PIP_USER": "1"}
    done = run(launcher, env=variables | hostile_variables(hostile) | redirected, cwd=hostile)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "loaded").exists()
    assert not (hostile / "target").exists()


def test_arguments_and_exit_code_pass_unchanged(ready, tmp_path):
    launcher = copy_plugin(
        tmp_path / "plugin", "print(os.fsencode('|'.join(sys.argv[1:]))); return 7"
    )
    arguments = ["", "a b", "*", "$(id)", "-", "--", "two\nlines", "\\", "✓", b"\xff\xfe", "end\n"]
    done = run(launcher, *arguments, env=ready | {"LC_ALL": "C"})
    encoded = b"|".join(os.fsencode(argument) for argument in arguments)
    assert done.returncode == 7
    assert done.stdout == f"{encoded}\n"


@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.ISO-8859-1"])
def test_output_is_utf_8_in_every_locale(ready, tmp_path, locale):
    launcher = copy_plugin(tmp_path / "plugin", "print('┌─ ✓ ü'); return 0")
    done = run(launcher, env=ready | {"LC_ALL": locale, "PYTHONIOENCODING": "latin-1"})
    assert done.stdout == "┌─ ✓ ü\n"


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "ksh", "mksh", "zsh", "busybox"])
def test_every_shell_will_do(ready, tmp_path, shell):
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"no {shell} here")
    launcher = copy_plugin(tmp_path / "plugin", "print(sys.stdin.read(), sys.argv[1:]); return 1")
    command = [path, "sh"] if shell == "busybox" else [path]
    for name, cwd in [(str(launcher), tmp_path), (launcher.name, launcher.parent)]:
        done = run(*command, name, "--slash", "x", env=ready, input="text", cwd=cwd)
        assert (done.returncode, done.stdout, done.stderr) == (0, "text ['--slash', 'x']\n", "")
        done = run(*command, name, "x", env=ready, input="text", cwd=cwd)
        assert (done.returncode, done.stdout, done.stderr) == (1, "text ['x']\n", "")


def test_links_to_the_launcher_and_to_its_folders_are_followed(ready, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    (tmp_path / "bin").mkdir()
    absolute, relative, chain = (
        tmp_path / "bin" / name for name in ("absolute", "relative", "chain")
    )
    absolute.symlink_to(launcher)
    relative.symlink_to("../plugin/scripts/plugin-migrate")
    chain.symlink_to("relative")
    (tmp_path / "folder").symlink_to("plugin")
    for path in (absolute, relative, chain, tmp_path / "folder/scripts/plugin-migrate"):
        done = run(path, env=ready)
        assert done.returncode == 0, done.stderr
    on_path = ready | {"PATH": f"{tmp_path / 'bin'}:{ready['PATH']}"}
    assert run("chain", env=on_path).returncode == 0
    assert run("./relative", env=ready, cwd=tmp_path / "bin").returncode == 0


def test_program_finds_its_files_after_a_change_of_directory(ready, tmp_path):
    launcher = copy_plugin(
        tmp_path / "plugin",
        "os.chdir('/'); import plugin_migrate as p; print(p.__file__); return 0",
    )
    done = run("./plugin-migrate", env=ready, cwd=launcher.parent)
    assert os.path.samefile(done.stdout.strip(), launcher.parent / "plugin_migrate/__init__.py")


def test_clone_stays_clean_and_may_be_read_only(ready, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    paths = [tmp_path / "plugin", *(tmp_path / "plugin").rglob("*")]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    before = {path: path.stat().st_mtime_ns for path in paths}
    try:
        assert run(launcher, env=ready).returncode == 0
        after = [tmp_path / "plugin", *(tmp_path / "plugin").rglob("*")]
        assert {path: path.stat().st_mtime_ns for path in after} == before
    finally:
        for path in paths:
            path.chmod(path.stat().st_mode | 0o200)


def test_compiled_modules_are_kept_in_the_cache(built, ready, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", IMPORTS)
    run(launcher, env=ready | {"PYTHONDONTWRITEBYTECODE": "1"})
    compiled = built[0] / "pycache" / str(launcher.parent / "plugin_migrate").lstrip("/")
    assert {path.name.split(".")[0] for path in compiled.iterdir()} == {
        "__init__",
        "platform",
        "claude_code",
    }


# From Claude Code


@pytest.mark.parametrize("code", [0, 1, 2, 3, 130])
def test_slash_mode_merges_the_output_and_succeeds_whatever_the_outcome(ready, tmp_path, code):
    program = f"print('out', flush=True); print('err', file=sys.stderr); return {code}"
    launcher = copy_plugin(tmp_path / "plugin", program)
    done = run(launcher, "--slash", env=ready)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\nerr\n", "")


def test_slash_mode_hands_standard_input_through(ready, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", "print(sys.stdin.buffer.read()); return 0")
    given = bytes(range(256)) * 1000
    done = run(launcher, "--slash", env=ready, input=given, text=False)
    assert done.stdout == repr(given).encode() + b"\n"


def test_slash_mode_hands_standard_input_through_on_the_first_run(pip_only, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", "print(sys.stdin.read()); return 0")
    done = run(launcher, "--slash", env=pip_only, input="/p\n[status]\n")
    assert done.stdout.endswith("(once)\n/p\n[status]\n\n")
    assert done.stderr == ""


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_slash_mode_tells_of_a_program_that_died(ready, tmp_path, by):
    program = f"print('begun', flush=True); os.kill(os.getpid(), {int(by)}); time.sleep(9)"
    launcher = copy_plugin(tmp_path / "plugin", program)
    done = run(launcher, "--slash", env=ready)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("begun\n")
    assert "✗ Error: plugin-migrate was ended before" in done.stdout
    assert f"code {128 + by}" in done.stdout


@pytest.mark.parametrize("program", ["return {}['missing']", "import missing", "return = 0"])
def test_bug_in_the_program_is_told_as_one(ready, tmp_path, program):
    launcher = copy_plugin(tmp_path / "plugin", program)
    done = run(launcher, "--slash", env=ready)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Traceback" in done.stdout
    assert done.stdout.endswith("\n✗ Error: plugin-migrate itself failed, which is a bug in it\n")
    assert run(launcher, env=ready).returncode == 1


UNDOING = """
def undo(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(0.4)
    os.write(1, b"undone\\n")  # `print` may be under way when the signal comes
    os._exit(130)
signal.signal(signal.SIGTERM, undo)
os.write(1, b"running\\n")
for _ in range(300):
    time.sleep(0.1)  # one long sleep can miss a signal that comes just before it
"""


@pytest.fixture
def heeded():
    """Let shells trap what was ignored before, as under nohup or for a job in the background."""
    numbers = (signal.SIGHUP, signal.SIGINT)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("times", [1, 3])
def test_slash_mode_passes_signals_on_and_waits_for_the_undoing(ready, tmp_path, name, times):
    launcher = copy_plugin(tmp_path / "plugin", UNDOING)
    with subprocess.Popen(
        [launcher, "--slash"], env=ready, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "running\n"
        for _ in range(times):
            process.send_signal(getattr(signal, name))
            time.sleep(0.05)
        out, errors = process.communicate(timeout=20)
    assert (process.returncode, out, errors) == (0, "undone\n", "")


def test_slash_mode_passes_on_a_signal_that_comes_at_any_time(ready, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", UNDOING.replace("0.4", "0.01"))
    for step in range(50):
        with subprocess.Popen(
            [launcher, "--slash"], env=ready, stdout=subprocess.PIPE, text=True
        ) as process:
            time.sleep(step / 2000)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=20)
        if process.returncode != -signal.SIGTERM:  # it came before there was anything to pass on to
            assert process.returncode == 0
            assert "undone" in out or "was ended before" in out


def test_terminal_mode_is_the_program_itself(ready, tmp_path):
    launcher = copy_plugin(tmp_path / "plugin", "print(os.getpid()); return 0")
    with subprocess.Popen([launcher], env=ready, stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate()[0] == f"{process.pid}\n"
