"""`history`: what it says of a migration that did nothing yet, and of one that is not there."""


def test_a_version_that_no_migration_has_is_told(project):
    project.tables("1.0.0", "1.1.0")
    project.ok("upgrade", "1.0.0")
    assert project.fails("history", "--version", "9.9.9", code=2) == (
        "✗ Error: There is no migration with version 9.9.9\n"
        "  The newest is 1.1.0; see: plugin-migrate status\n"
    )
    assert project.ok("history", "--version", "1.1.0") == "Nothing has happened to 1.1.0 yet\n"
    assert "│ 1.0.0" in project.ok("history", "--version", "1.0.0")


def test_a_migration_whose_file_is_gone_keeps_its_history(project):
    project.tables("1.0.0")
    project.ok("upgrade")
    project.ok("downgrade")
    (project.migrations / "1.0.0-step.sql").unlink()
    assert len(project.json("history", "--version=1.0.0")["history"]) == 2
