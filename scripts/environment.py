"""Make the managed Python environment, all or nothing. Run by environment.sh under `python -I -S`.

It is built in a temporary folder beside its place and renamed there: a virtual environment may be
moved as long as only its interpreter is used. A lock that dies with its process keeps two builds
apart, and tells the folders of dead builds from those of living ones.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.dont_write_bytecode = True  # the plugin's folder stays as it is
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from plugin_migrate.platform import system
from plugin_migrate.platform.moving import rename
from plugin_migrate.platform.programs import find_programs

BUILDING = ".building-"


class BuildError(Exception):
    """The environment cannot be made; the text is one sentence with the way out."""


class ProgramFailed(Exception):
    """A program that was run failed; the text is the last thing it said."""


def make(environment: Path, requirements: list[Path]) -> None:
    """Make `environment` with `requirements` installed, unless another process just did."""
    with locked(environment.parent) as alone:
        if is_ready(environment):
            return
        if alone:
            for dead in environment.parent.glob(BUILDING + "*"):
                shutil.rmtree(dead, ignore_errors=True)
        say(f"preparing its Python environment in {environment.parent} (once)")
        workplace = Path(tempfile.mkdtemp(prefix=BUILDING, dir=environment.parent))
        try:
            new = workplace / "new"
            build(new, requirements)
            (new / "ready").touch()
            if os.path.lexists(environment):  # its Python is gone, or it was half deleted
                rename(str(environment), str(workplace / "old"))
            rename(str(new), str(environment))
        except OSError:
            if not is_ready(environment):  # where nothing can be locked another one may be first
                raise
        finally:
            shutil.rmtree(workplace, ignore_errors=True)


def is_ready(environment: Path) -> bool:
    """Tell whether `environment` is complete and its interpreter there; environment.sh asks too."""
    return (environment / "ready").exists() and os.access(
        system.interpreter_of(str(environment)), os.X_OK
    )


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Wait for other builds in `folder`; gives False where the file system has no locks."""
    with open(folder / "lock", "w") as file:
        alone = True
        try:
            system.lock(file.fileno(), waits=False)
        except BlockingIOError:
            say("waiting for another run that prepares the Python environment")
            system.lock(file.fileno())
        except OSError:
            alone = False
        yield alone


def build(new: Path, requirements: list[Path]) -> None:
    """Make a virtual environment at `new`, with uv if possible, else with venv and pip."""
    # The real file: `/usr/bin/python3` becomes another version some day, `python3.11` never does.
    python = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
    interpreter = system.interpreter_of(str(new))
    files = [part for file in requirements for part in ("-r", str(file))]
    if uv := next(find_programs("uv"), None):
        try:
            run(uv, "venv", "--quiet", "--no-project", "--python", python, str(new))
            run(uv, "pip", "install", "--quiet", "--python", interpreter, *files)
        except ProgramFailed:  # pip may know a package index that uv does not, so it has the word
            shutil.rmtree(new, ignore_errors=True)
        else:
            return
    try:
        run(python, "-I", "-m", "venv", str(new))
    except ProgramFailed as error:
        raise BuildError(
            f"{python} cannot make virtual environments ({error}): install its venv module "
            "(Debian and Ubuntu: apt install python3-venv), or uv, then run this again"
        ) from error
    try:
        run(interpreter, "-I", "-m", "pip", "install", "--quiet", "--no-user", *files)
    except ProgramFailed as error:
        raise BuildError(
            f"The Python packages it needs could not be installed (pip: {error}): "
            "check the network and pip's package index, then run this again"
        ) from error


def run(*command: str) -> None:
    """Run `command` in the root folder, away from any project's configuration (`uv.toml`)."""
    # Not settings that send packages elsewhere, nor PYTHON*, which venv hands on to ensurepip.
    unwanted = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_DRY_RUN", "PYTHON")
    variables = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
    variables.setdefault("PIP_RETRIES", "2")  # five of them keep people waiting for 8 seconds
    variables["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    done = subprocess.run(
        command,
        cwd=os.path.abspath(os.sep),
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")]
        raise ProgramFailed((errors or lines or [f"exit code {done.returncode}"])[-1])


def say(text: str) -> None:
    """Write one line where it is no part of the program's result."""
    print(f"plugin-migrate: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Make the environment named by the arguments: its folder, the scripts' folder, the files."""
    environment, scripts, *files = sys.argv[1:]
    requirements = [Path(os.path.abspath(scripts), file) for file in files]
    try:
        make(Path(environment), requirements)
    except KeyboardInterrupt:
        return 130
    except BuildError as error:
        print(f"✗ Error: {error}", file=sys.stderr)
    except OSError as error:
        print(
            f"✗ Error: The Python environment could not be made ({error}): free some space, or "
            "set PLUGIN_MIGRATE_CACHE to another folder, then run this again",
            file=sys.stderr,
        )
    else:
        return 0
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
