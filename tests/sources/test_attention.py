"""What a source has to tell, and the one command that is proposed for it wherever it is told."""

import pytest

from plugin_migrate.claude_code.session_start import _line
from plugin_migrate.render.status import attention_text
from plugin_migrate.sources.attention import Attention
from plugin_migrate.version import Version

MOST_PRESSING = [
    ({"pending": 2}, "upgrade"),
    ({"pending": 2, "ahead": 1}, "sync"),
    ({"pending": 2, "ahead": 1, "modified": 1}, "status"),
    ({"pending": 2, "ahead": 1, "modified": 1, "interrupted": 1}, "repair"),
]


@pytest.mark.parametrize(("counts", "command"), MOST_PRESSING)
def test_status_and_the_sessions_start_propose_the_same_for_a_plugin(counts, command):
    attention = Attention("keeper", **counts)
    assert attention_text(attention).endswith(f" Run: plugin-migrate {command} --plugin keeper")
    assert _line(attention).endswith(f" Run /plugin-migrate {command} --plugin keeper")


def test_a_source_that_cannot_be_read_is_shown_by_its_status():
    attention = Attention("keeper", problem="The database is damaged")
    assert attention_text(attention) == (
        "keeper: The database is damaged. See: plugin-migrate status --plugin keeper"
    )


def test_of_files_that_went_back_the_projects_own_are_left_to_git():
    assert Attention(None, ahead=1).way_out is None
    assert Attention(None, Version(1, 0, 0), ahead=1, pending=1).way_out == "upgrade"


def test_who_has_never_applied_anything_looks_first():
    assert Attention(None, pending=1).way_out == "status"
    assert Attention("keeper", pending=1).way_out == "upgrade"
