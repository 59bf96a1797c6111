"""What contributors are told is true: citations, links, commands, CI and the issue form."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter

import pytest
import yaml

from command_line import Project
from launcher_tree import ROOT

DESIGN = (ROOT / "docs/design.md").read_text()
SOURCES = [
    *(ROOT / "scripts/plugin_migrate").rglob("*.py"),
    *(ROOT / "migrations").glob("*.sql"),
    *(ROOT / "tests").rglob("*.py"),
]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
CITATION = re.compile(r'\bdesign(?:\.md)?, "([^"]+)"(?:, clauses? (\d)(?: and (\d))?)?')
CI = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def citations(path):
    text = re.sub(r"\n\s*(?:--|#)?\s*", " ", path.read_text())
    return {match.groups() for match in CITATION.finditer(text)}


def test_everything_that_comments_cite_stands_in_the_design():
    cited = set().union(*map(citations, SOURCES))
    assert len(cited) >= 8
    headings = set(re.findall(r"^##+ (.*)$", DESIGN, re.MULTILINE))
    assert {heading for heading, *_ in cited} <= headings
    protocol = set(re.findall(r"^(\d)\. \*\*", DESIGN, re.MULTILINE))
    assert {clause for _, *clauses in cited for clause in clauses if clause} <= protocol


def anchors(document):
    """Return what GitHub calls the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", document.read_text())
    for target, anchor in links:
        file = document.parent / target if target else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), anchor


def test_every_promise_names_tests_that_exist():
    named = re.findall(r"`(tests/[\w/.]*)`", (ROOT / "docs/reliability.md").read_text())
    assert len(named) > 30
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_lines_of_prose_are_under_120_characters(document):
    text = re.sub(r"^ *```.*?^ *```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    # What the benchmarks write is theirs.
    text = re.sub(r"<!-- (\w+) -->.*?<!-- end of \1 -->", "", text, flags=re.DOTALL)
    assert [line for line in text.splitlines() if len(line) >= 120 and line[:1] != "|"] == []


def test_every_command_for_contributors_exists():
    commands = re.findall(r"^\| .* \| `(.*)` \|$", CONTRIBUTING, re.MULTILINE)
    assert len(commands) == 10
    checks = (ROOT / "scripts/requirements-checks.txt").read_text()
    for command in commands:
        variable = re.match(r"[A-Z_]+=\d+ ", command)
        program, *arguments = command[variable.end() if variable else 0 :].split()
        if program.startswith("$E/"):
            assert f"{program.removeprefix('$E/')}==" in checks
        else:
            assert (ROOT / program).exists()
        if "-k" in arguments:
            select = [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments]
            assert subprocess.run(select, cwd=ROOT, capture_output=True).returncode == 0


def test_ci_runs_ci_run_on_every_python_and_system_that_the_package_promises():
    job = CI["jobs"]["test"]
    assert job["steps"][-1] == {"run": ".ci/run", "shell": "bash"}
    matrix = job["strategy"]["matrix"]
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))
    assert matrix["python"] == promised
    others = [(extra["os"], extra["python"]) for extra in matrix["include"]]
    windows = [("windows-latest", version) for version in ("3.11", "3.13")]
    assert others == [("macos-latest", "3.13"), *windows]
    systems = {"MacOS", "Microsoft :: Windows", "POSIX"}
    assert {f"Operating System :: {system}" for system in systems} <= set(classifiers)


def test_dependabot_looks_after_the_pins_and_the_actions():
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    pip, actions = updates
    assert (pip["package-ecosystem"], actions["package-ecosystem"]) == ("pip", "github-actions")
    assert list((ROOT / pip["directory"].lstrip("/")).glob("requirements*.txt"))


def test_the_issue_form_asks_for_what_commands_print(tmp_path):
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text())
    labels = [field["attributes"].get("label", "") for field in form["body"]]
    asked = [label.split()[1:] for label in labels if label.startswith("plugin-migrate ")]
    assert [words[0] for words in asked] == ["--version", "status", "history"]
    project = Project(tmp_path / "project", tmp_path)
    project.tables("1.0.0")
    for words in asked:
        project.ok(*words)


def test_the_package_says_that_it_has_types():
    assert (ROOT / "scripts/plugin_migrate/py.typed").exists()


PACKAGE = ROOT / "scripts/plugin_migrate"
MODULES = [path for path in PACKAGE.rglob("*.py") if "templates" not in path.parts]


def test_no_class_name_stands_for_two_things():
    names = Counter(
        node.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_a_room_or_a_module_that_is_large_has_its_reason_in_the_architecture():
    architecture = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert [room.name for room, count in rooms.items() if count > 12] == []
    for path in MODULES:
        if len(path.read_text().splitlines()) > 450:
            assert f"`{path.relative_to(PACKAGE).with_suffix('')}`" in architecture, path
