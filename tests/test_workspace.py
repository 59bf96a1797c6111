"""Where everything is: the project, its parts, and the settings."""

import os

import pytest

from plugin_migrate.errors import NoProject
from plugin_migrate.settings import Config, read_config
from plugin_migrate.workspace import Workspace, is_inside, locate


def set_home(monkeypatch, home):
    for name in ("HOME", "USERPROFILE"):  # the latter is Windows'
        monkeypatch.setenv(name, str(home))


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project that is the current directory, with an empty home beside it."""
    (tmp_path / "home").mkdir()
    root = tmp_path / "project"
    (root / ".claude").mkdir(parents=True)
    set_home(monkeypatch, tmp_path / "home")
    monkeypatch.chdir(root)
    return root


def test_everything_lies_below_claude_unless_configured(root):
    claude = root / ".claude"
    assert locate(environment={}) == Workspace(
        project=str(root),
        claude=str(claude),
        migrations=str(claude / "core/versioning/migrations"),
        database=str(claude / "orchestration/db/orchestration.db"),
        config=Config(),
    )


def test_options_are_relative_to_the_current_directory(root, monkeypatch):
    below = root / "below"
    below.mkdir()
    (root / "m").mkdir()
    monkeypatch.chdir(below)
    workspace = locate(database="my.db", migrations="../m", environment={})
    assert workspace.database == str(below / "my.db")
    assert workspace.migrations == str(root / "m")
    assert workspace.project == str(root)


def test_settings_are_relative_to_the_project_and_options_win(root, tmp_path, monkeypatch):
    settings = root / ".claude/plugin-migrate.yaml"
    settings.write_text(f"database: data/my.db\nmigrations: {tmp_path}/m\n")
    monkeypatch.chdir(tmp_path)
    workspace = locate(project="project", environment={})
    assert workspace.database == str(root / "data/my.db")
    assert workspace.migrations == str(tmp_path / "m")
    chosen = locate("project", database="other.db", environment={})
    assert chosen.database == str(tmp_path / "other.db")


def test_links_are_resolved_once(root, tmp_path):
    real = tmp_path / "real"
    (root / ".claude").rename(real)
    (root / ".claude").symlink_to(real)
    (tmp_path / "link").symlink_to(root)
    workspace = locate(project=str(tmp_path / "link"), environment={})
    assert workspace.project == str(root)
    assert workspace.claude == str(real)
    assert workspace.bookkeeping == f"{real}/.plugin-migrate"
    assert workspace.owns_database


def test_a_linked_database_is_where_the_link_leads(root, tmp_path):
    folder = root / ".claude/orchestration/db"
    folder.mkdir(parents=True)
    (folder / "orchestration.db").symlink_to(tmp_path / "elsewhere.db")
    workspace = locate(environment={})
    assert workspace.database == str(tmp_path / "elsewhere.db")
    assert not workspace.owns_database


def test_paths_are_shown_as_the_user_knows_them(root, tmp_path):
    workspace = locate(environment={})
    assert workspace.shown(f"{root}/.claude/a/b") == ".claude/a/b"
    assert workspace.shown(f"{root}/.claude") == ".claude"
    assert workspace.shown(f"{root}/src/a") == "src/a"
    assert workspace.shown(f"{root}-other/a") == f"{root.as_posix()}-other/a"
    assert workspace.shown("/") == "/"


def test_inside_means_the_folder_itself_or_below():
    assert is_inside("/a/b", "/a/b")
    assert is_inside("/a/b/c", "/a/b")
    assert is_inside("/a", "/")
    assert not is_inside("/a/bc", "/a/b")
    assert not is_inside("/a", "/a/b")


def test_the_session_folder_comes_before_the_current_one(root, tmp_path):
    other = tmp_path / "other/deep"
    other.mkdir(parents=True)
    (tmp_path / "other/.claude").mkdir()
    found = locate(environment={"CLAUDE_PROJECT_DIR": str(other)})
    assert found.project == str(tmp_path / "other")
    assert locate(environment={"CLAUDE_PROJECT_DIR": ""}).project == str(root)


def test_the_search_stops_before_the_home_directory(tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / ".claude").mkdir(parents=True)
    (tmp_path / ".claude").mkdir()
    (home / "work").mkdir()
    set_home(monkeypatch, home)
    monkeypatch.chdir(home / "work")
    with pytest.raises(NoProject, match="No project found"):
        locate(environment={})
    monkeypatch.chdir(home)
    with pytest.raises(NoProject, match="home directory"):
        locate(environment={})
    assert locate(project=str(home), environment={}).project == str(home)


def test_only_create_may_start_a_project(tmp_path):
    with pytest.raises(NoProject, match=r"no \.claude/ folder"):
        locate(project=str(tmp_path), environment={})
    assert locate(project=str(tmp_path), environment={}, create=True).project == str(tmp_path)
    with pytest.raises(NoProject, match="no folder"):
        locate(project=str(tmp_path / "nowhere"), environment={}, create=True)
    assert os.listdir(tmp_path) == []


def test_no_settings_are_the_defaults(tmp_path):
    assert read_config(str(tmp_path / "nowhere.yaml")) == Config()


def test_all_settings_are_read(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text(
        "database: a.db\nmigrations: m\nledger_table: t\nexclude: ['*.log', cache]\n"
        "follow_links: true\nlock_timeout: 1\nbackups:\n  keep: 2\n"
    )
    config = read_config(str(path))
    assert (config.database, config.migrations, config.ledger_table) == ("a.db", "m", "t")
    assert (config.exclude, config.follow_links) == (("*.log", "cache"), True)
    assert (config.lock_timeout, config.backups_keep) == (1, 2)
