"""One place knows which system this is: nothing else asks, and both sides offer the same."""

import ast
import os
import re
from pathlib import Path

import pytest

from plugin_migrate.platform import system
from project import SCRIPTS

PACKAGE = SCRIPTS / "plugin_migrate"
ROOM = PACKAGE / "platform"
ASKS = re.compile(
    r"\bos\.(name|uname|geteuid|getuid|pread|fchmod|fchown|statvfs|killpg|fork)\b|\bO_[A-Z]{4,}\b"
    r"|\bsys\.(platform|getwindowsversion)\b|\bplatform\.(system|release)\b"
    r"|^\s*(?:import|from) (?:fcntl|pwd|grp|termios|resource|msvcrt|winreg|_winapi)\b",
    re.MULTILINE,
)
# What an audit event of Python's carries is compared with them, on every system.
ALLOWED = {
    "sandbox/file_watch.py": {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"},
    "lint/python_paths.py": {"O_RDONLY"},
    "cli/main.py": {"O_WRONLY", "O_RDWR"},
}


def code(path: Path) -> str:
    """Return a module's code without comments and texts."""
    return ast.unparse(without_texts(ast.parse(path.read_text(encoding="utf-8"))))


def without_texts(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return tree


def test_nothing_else_asks_which_system_it_runs_on() -> None:
    found = {}
    others = (SCRIPTS / "environment.py", SCRIPTS.parent / "hooks/hook.py")
    for path in (*PACKAGE.rglob("*.py"), *others):
        if path.parent == ROOM or "templates" in path.parts:
            continue
        name = path.relative_to(PACKAGE).as_posix() if PACKAGE in path.parents else path.name
        asked = {match[0].strip() for match in ASKS.finditer(code(path))} - ALLOWED.get(name, set())
        if asked:
            found[name] = asked
    assert found == {}


def offered(module: str) -> dict[str, str]:
    """Return the public names of a module, functions with their parameters."""
    names: dict[str, str] = {}
    for node in ast.parse((ROOM / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names[node.name] = f"({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"
        elif isinstance(node, ast.Assign):
            names |= {target.id: "" for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = ""
    return {name: how for name, how in names.items() if not name.startswith("_")}


@pytest.mark.parametrize("module", ["", "_moving"], ids=["looking", "moving"])
def test_both_sides_offer_the_same_functions(module: str) -> None:
    posix, windows = offered(f"posix{module}"), offered(f"windows{module}")
    of_windows_alone = {"patiently", "SECONDS_TO_MOVE", "TYPE_CHECKING"}
    assert posix.keys() - {"TYPE_CHECKING"} == windows.keys() - of_windows_alone
    # A function of the system's own (`os.replace`) and one that waits can stand for the same.
    both = {name for name in posix if "(" in posix[name] and "(" in windows[name]}
    assert {name: posix[name] for name in both} == {name: windows[name] for name in both}


def test_an_open_file_has_the_signature_that_its_path_has(folder: Path) -> None:
    path = folder / "file"
    path.write_text("content")
    os.utime(path, (1, 1))
    path.chmod(0o600)
    with path.open() as file:
        assert system.signature_of(os.fstat(file.fileno())) == system.signature_of(os.lstat(path))
