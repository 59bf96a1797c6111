"""Which migrations another tool's records mean: the rules, and that nothing is guessed."""

import pytest

from plugin_migrate.errors import TakeoverRefused
from plugin_migrate.plan import Applied, Entry, State
from plugin_migrate.takeover.headers import claims_in
from plugin_migrate.takeover.mapping import Known, Match, match, refuse_gaps
from plugin_migrate.takeover.origin import Origin
from plugin_migrate.takeover.record import Record, Recorded, plain_record
from plugin_migrate.version import Version

V = Version.parse
PLAIN = [
    Known(V("1.0.0"), "create-users", "Create users"),
    Known(V("1.1.0"), "add-email", "Let users have an address"),
    Known(V("1.2.0"), "2fa-tokens", "2fa tokens"),
]
NUMBERED = [
    Known(V("1.0.0"), "0001-create-users", "Create users"),
    Known(V("1.1.0"), "0005-add-email", "Add email"),
]
CLAIMED = [
    Known(V("1.0.0"), "own", "Own"),
    Known(V("1.1.0"), "create-users", "Create users", ("dbmate 20230101",)),
    Known(V("1.2.0"), "add-email", "Add email", ("dbmate 20230202", "knex 2_email.js")),
    Known(V("1.3.0"), "ae1027a6acf3-add-age", "Add age"),
]


def found(known, *texts, tool="dbmate"):
    matches = match(Origin(tool), Recorded(tuple(map(plain_record, texts))), known)
    return [(str(one.version), one.rule) for one in matches]


def refused(known, *texts, tool="dbmate"):
    with pytest.raises(TakeoverRefused) as caught:
        found(known, *texts, tool=tool)
    return caught.value


@pytest.mark.parametrize(
    ("known", "tool", "text", "version", "rule"),
    [
        (CLAIMED, "dbmate", "20230101", "1.1.0", "header"),
        (CLAIMED, "knex", "2_email.js", "1.2.0", "header"),
        (PLAIN, "json", "1.1.0", "1.1.0", "version"),
        (PLAIN, "json", "v1.1.0", "1.1.0", "version"),
        (PLAIN, "json", "1.1.0-add-email.ts", "1.1.0", "version"),
        (NUMBERED, "goose", "5", "1.1.0", "number"),
        (NUMBERED, "goose", "0001", "1.0.0", "number"),
        (CLAIMED, "user_version", "20230202", "1.2.0", "number"),
        (PLAIN, "goose", "2", "1.1.0", "place"),
        (PLAIN, "knex", "20230101120000_create_users.js", "1.0.0", "name"),
        (PLAIN, "knex", "20230101120000_createUsers.mts", "1.0.0", "name"),
        (PLAIN, "sqlite-utils", "m001_create_users", "1.0.0", "name"),
        (PLAIN, "json", "let_users_have_an_address", "1.1.0", "name"),
        (NUMBERED, "json", "0005_add_email.up.sql", "1.1.0", "name"),
        (CLAIMED, "alembic", "ae1027a6acf3", "1.3.0", "name"),
        ([Known(V("1.0.0"), "éléphant", "初期化")], "json", "初期化", "1.0.0", "name"),
    ],
)
def test_a_record_is_matched_by_the_first_rule_that_fits(known, tool, text, version, rule):
    assert found(known, text, tool=tool) == [(version, rule)]


def test_a_place_counts_only_where_no_migration_has_a_number():
    # With 1 and 5 in the folder, 2 is no second one.
    assert "'2' fits no migration here" in refused(NUMBERED, "2").details[0]
    # The 2 of `2fa` is no number.
    assert found(PLAIN, "1", "2", "3")[2] == ("1.2.0", "place")


def test_a_ledger_without_names_counts_by_its_order():
    records = Recorded((Record("aa", "aa", 1), Record("bb", "bb", 2)))
    matches = match(Origin("drizzle"), records, NUMBERED)
    assert [(str(one.version), one.rule) for one in matches] == [
        ("1.0.0", "place"),
        ("1.1.0", "place"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "4",
        "20230101120000",
        "9.9.9",
        "1.0.0.1",
        "create",
        "",
        "---",
        "a\0b",
        "1" * 50,
        "٣",
        "²",
    ],
)
def test_what_fits_nothing_is_refused_by_name(text):
    error = refused(PLAIN, "create_users", text)
    assert (
        error.message == "1 of 2 record(s) in dbmate's ledger cannot be matched to a migration here"
    )
    assert error.details == (f"• '{text}' fits no migration here",)
    assert "from: dbmate RECORD" in error.hint


def test_every_record_that_does_not_fit_has_its_sentence():
    twins = [Known(V("1.0.0"), "users"), Known(V("1.1.0"), "users"), Known(V("1.2.0"), "posts")]
    error = refused(twins, "users", "001_posts", "002_posts", "nothing", tool="knex")
    assert error.details == (
        "• 'users' fits several migrations by its name: 1.0.0, 1.1.0",
        "• '002_posts' and '001_posts' both fit 1.2.0",
        "• 'nothing' fits no migration here",
    )
    many = refused(PLAIN, *(f"x{number}" for number in range(50)))
    assert many.details[-1] == "• and 30 more"


def test_a_record_cannot_fake_another_line_of_the_message():
    error = refused(PLAIN, "x\n✓ Marked 1 migration(s)" + "y" * 100)
    assert error.details == (
        "• 'x ✓ Marked 1 migration(s)" + "y" * 54 + "…' fits no migration here",
    )


def test_the_same_record_twice_is_one():
    assert found(PLAIN, "create_users", "create_users") == [("1.0.0", "name")]


@pytest.mark.parametrize(
    ("said", "claims"),
    [
        ("dbmate 1", ("dbmate 1",)),
        (["dbmate  1", "knex a"], ("dbmate 1", "knex a")),
        (None, ()),
        ({"dbmate": 1}, ()),
        ([1, "goose 2"], ("goose 2",)),
    ],
)
def test_a_header_says_what_a_migration_was_elsewhere(said, claims):
    assert claims_in({"from": said}) == claims


# Gaps


def entry(version, applied=False):
    row = Applied(1, V(version), "", "", None, 0, "") if applied else None
    return Entry(V(version), State.APPLIED if applied else State.PENDING, None, row)


def gaps(*versions, applied=(), is_last=False):
    matches = [Match(V(version), plain_record(version), "version") for version in versions]
    entries = [entry(f"1.{n}.0", f"1.{n}.0" in applied) for n in range(5)]
    refuse_gaps(Origin("goose"), Recorded(is_last=is_last), matches, entries)


def test_a_gap_is_refused_and_names_what_is_missing():
    with pytest.raises(TakeoverRefused) as caught:
        gaps("1.0.0", "1.3.0")
    assert (
        caught.value.message == "By goose's ledger, 1.3.0 is applied, but not 1.1.0, 1.2.0 below it"
    )
    assert "baseline 1.3.0" in caught.value.hint


def test_no_gap_is_what_is_applied_here_or_comes_before_the_last_one():
    gaps("1.0.0", "1.1.0")
    gaps("1.2.0", applied=("1.0.0", "1.1.0"))
    gaps("1.3.0", is_last=True)
    gaps()
