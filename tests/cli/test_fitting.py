"""Claude sees 30,000 bytes of what the slash command prints: more is cut where it hurts least."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin_migrate.cli.slash import MOST_BYTES, MOST_ROWS, MOST_SHOWN, fit

COUNT = 5_000


def slash(project, typed):
    """Return what Claude gets of a typed command; the user sees no more than the client shows."""
    answer = project.typed(typed)
    shown = answer.get("systemMessage") or answer["reason"]
    assert len(shown.encode()) <= MOST_SHOWN
    if "reason" in answer:
        return shown + "\n"
    code, out, err = project.slash(typed)
    assert (code, err) == (0, "")
    assert len(out.encode()) <= MOST_BYTES
    return out


@pytest.fixture
def many(project):
    """Thousands of migrations with long names, the first few of them applied."""
    for number in range(COUNT):
        version = f"{number // 100}.{number % 100}.0"
        project.sql(version, description=f"Step {number} ✓ with a description of some length")
    project.ok("upgrade", "0.9.0", "--no-backup")
    return project


def test_thousands_of_migrations_are_cut_with_a_count_and_the_way_to_all_of_them(many):
    many.migration("0.3.0-step.sql", "SELECT 'edited';")
    out = slash(many, "status")
    rows = [line.split()[1] for line in out.splitlines() if line.startswith("│")][1:]
    assert rows[:3] == ["0.3.0", "0.10.0", "0.11.0"]
    assert f"{COUNT - MOST_ROWS} of {COUNT} migrations are left out" in out
    assert "`plugin-migrate status` shows all of them" in out
    assert "Summary: 9 applied, 4990 pending, 1 modified" in out
    assert "Modified: the file was edited" in out

    out = slash(many, "status --format=list")
    assert out.startswith("0.3.0  modified  Step 3")
    assert f"{COUNT - MOST_ROWS} of {COUNT} migrations are left out" in out

    assert "✗ Error: " in slash(many, "upgrade --dry-run")
    assert "✓" in slash(many, "repair 0.3.0")
    for typed in ("upgrade --dry-run", "upgrade --dry-run --verbose"):
        out = slash(many, typed)
        assert out.startswith("Dry run: would apply 4990 migration(s)\n  • 0.10.0 - Step 10 ✓")
        assert f"In a terminal, `plugin-migrate {typed}` shows all of it]" in out
        assert out.endswith("\n\nNothing was changed.\n")

    document = json.loads(slash(many, "status --format=json"))
    assert (document["command"], document["ok"]) == ("status", False)
    assert document["error"]["code"] == "output_too_long"
    assert "`plugin-migrate status --format=json` shows" in document["error"]["hint"]

    out = slash(many, "upgrade")
    assert out.startswith("✓ Applied 4990 migration(s) in ")
    assert "In a terminal, `plugin-migrate history` shows what was done]" in out
    assert out.endswith("  • 49.99.0 - Step 4999 ✓ with a description of some length\n")

    out = slash(many, "history --limit=9999")
    assert "lines (" in out
    document = json.loads(slash(many, "downgrade 4990 --format=json"))
    assert "The command has ended" in document["error"]["message"]
    assert "`plugin-migrate history` shows what was done" in document["error"]["hint"]
    assert many.json("status")["current_version"] == "0.9.0"


def test_a_terminal_and_a_script_get_everything(many):
    assert many.ok("status").count("\n") > COUNT
    assert len(many.json("status")["migrations"]) == COUNT


def test_what_a_migration_prints_cannot_hide_how_it_ended(project):
    project.python("1.0.0", "print('noise ✓ ' * 9999); ctx.log('word\\n' * 9999); 1 / 0")
    out = slash(project, "upgrade")
    assert out.startswith("noise ✓ noise")
    assert "lines (" in out
    assert "ZeroDivisionError" in out
    assert out.endswith("Fix it, then run: plugin-migrate upgrade\n")


# The cut itself

anything = st.binary(max_size=200) | st.text().map(str.encode)


@given(anything, st.integers(0, 2_000), anything, st.integers(0, 2_000), anything)
def test_output_of_any_kind_fits(first, many_times, second, more_times, last):
    output = first * many_times + second * more_times + last
    fitted = fit(output, ["status"], MOST_BYTES)
    assert len(fitted) <= MOST_BYTES
    if len(output) <= MOST_BYTES:
        assert fitted == output


@given(st.integers(1, 300), st.integers(800, 3_000), st.sampled_from(["x", "é", "漢"]))
def test_whole_lines_are_kept_and_those_left_out_are_counted(width, count, character):
    lines = [f"{number} {character * width}\n" for number in range(count)]
    output = "".join(lines).encode()
    fitted = fit(output, ["verify", "a b"], MOST_BYTES).decode()
    if len(output) <= MOST_BYTES:
        return
    head, _, rest = fitted.partition("\n[")
    notice, _, tail = rest.partition("]\n")
    first, last = head.split("\n"), tail.strip("\n").split("\n")
    left_out = int(notice.partition(" lines")[0].replace(",", ""))
    assert len(first) + left_out + len(last) == count
    assert [line + "\n" for line in first] == lines[: len(first)]
    assert [line + "\n" for line in last] == lines[-len(last) :]
    assert "`plugin-migrate verify 'a b'` shows all of it" in notice
    assert len(fitted.encode()) > MOST_BYTES * 3 // 4


@pytest.mark.parametrize("character", ["x", "é", "漢"])
def test_one_endless_line_is_cut_between_characters(character):
    fitted = fit((character * 50_000).encode(), ["status"], MOST_BYTES).decode()
    assert set(fitted.partition("\n[")[0]) == {character}
    assert set(fitted.rpartition("]\n")[2].strip("\n")) == {character}


@pytest.mark.parametrize(
    ("given", "source"),
    [
        (["--plugin", "keeper"], " --plugin keeper"),
        (["--plugin=keeper", "--all"], " --plugin=keeper --all"),
        (["--no-backup"], ""),
    ],
)
def test_what_shows_the_rest_is_asked_about_the_same_source(given, source):
    cut = fit(b"line\n" * 10_000, ["upgrade", *given], MOST_BYTES).decode()
    assert f"`plugin-migrate history{source}` shows what was done" in cut
