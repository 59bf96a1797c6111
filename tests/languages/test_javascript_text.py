"""What the text of a TypeScript or JavaScript migration says, read without running any of it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plugin_migrate.errors import BrokenMigration, Irreversible
from plugin_migrate.languages.javascript.module_text import parse, scan
from plugin_migrate.languages.typescript import LANGUAGE

UP = "up() {}"
FILE = "/project/1.0.0-x.ts"


def described(members):
    return parse(f"export const migration = {{ {members} }};")


def test_the_original_format_is_read_whole():
    script = parse(
        "import type { Migration } from '../types.js';\n\n"
        "export const migration: Migration = {\n"
        "  version: '1.2.0',\n  description: \"Add it\",\n"
        "  async up(): Promise<void> { throw new Error('executed'); },\n"
        "  async down() {},\n"
        "  metadata: { author: 'ada', createdAt: '2025-12-12T20:00:00Z', tags: ['a', `b`] },\n};\n"
    )
    assert (script.version, script.description) == ("1.2.0", "Add it")
    assert script.metadata == {
        "author": "ada",
        "createdAt": "2025-12-12T20:00:00Z",
        "tags": ["a", "b"],
    }
    assert script.has_down
    assert script.is_migration
    assert script.is_module
    assert (script.line, script.up.line, script.down.line) == (3, 6, 7)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'it\\'s'", "it's"),
        ('"a\\nb"', "a\nb"),
        ('"\\u00e9\\x41\\u{1F600}\\ud83d\\ude00"', "éA\U0001f600\U0001f600"),
        ("'a' + \"b\"\n + `c`", "abc"),
        ("`two\nlines`", "two\nlines"),
        ("`no \\${hole}`", "no ${hole}"),
        ("('a')", "a"),
        ("'a' as const", "a"),
        ("'a' satisfies string", "a"),
        ("NAME", "named"),
        ("ALSO", "also"),
        ("'a\\\nb'", "ab"),
        ("'// no /* comment'", "// no /* comment"),
        ("'a' /* ' */ // '\n", "a"),
        ("`${hole}`", None),
        ("f('a')", None),
        ("'a' + b", None),
        ("'a'.trim()", None),
        ("42", None),
        ("null", None),
        ("''", None),
        ("OTHER", None),
        ("cond ? 'a' : 'b'", None),
    ],
)
def test_a_description_is_known_if_it_is_written_out(written, value):
    top = "const NAME = 'named', x = 1;\nconst OTHER = f()\nconst ALSO = 'also'\n"
    text = f"{top}type T = 1\nconst migration = {{ description: {written}, {UP} }}\nf()"
    assert parse(text).description == value


def test_what_a_compiler_has_written_is_read():
    text = f"exports.migration = void 0;\nexports.migration = {{ description: 'Compiled', {UP} }};"
    assert parse(text).description == "Compiled"


def test_what_is_computed_in_the_metadata_is_left_out():
    script = described(
        f"{UP}, metadata: {{ author: f(), 'n': -1.5, t: [1_000, x, true, null, 0x1f, 2n],"
        " ...more, [key]: 1, deep: { a: undefined }, at: new Date(), }"
    )
    assert script.metadata == {
        "n": -1.5,
        "t": [1000, True, None, 31, 2],
        "deep": {"a": None},
    }


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("{ other: '>=1.2', 'a-b': `<2` }", {"other": ">=1.2", "a-b": "<2"}),
        ("{}", {}),
        ("f()", "(computed)"),
        ("{ other: f() }", "(computed)"),
        ("{ ...more, other: '>=1.2' }", "(computed)"),
        ("{ other: `>=${major}` }", "(computed)"),
    ],
)
def test_requirements_that_are_computed_are_not_taken_for_none(written, value):
    assert described(f"{UP}, metadata: {{ requires: {written} }}").metadata == {"requires": value}


@pytest.mark.parametrize(
    ("text", "has_down"),
    [
        (f"export const migration = {{ {UP}, down() {{}} }};", True),
        (f"export const migration = {{ {UP}, async down() {{}} }};", True),
        (f"export const migration = {{ {UP}, 'down': async () => {{}} }};", True),
        (f"export const migration = {{ {UP}, down }};", True),
        (f"export const migration = {{ {UP}, down: undefined }};", False),
        (f"export const migration = {{ {UP} }}; // down() {{}}", False),
        (f"export const migration = {{ {UP}, note: 'down() {{}}' }};", False),
        (f"export const migration = {{ {UP}, other: {{ down() {{}} }} }};", False),
        (f"export const migration: Migration = {{ {UP} }} satisfies Migration;", False),
        (f"export const migration: M<{{ a: 1 }}> = define({{ {UP} }});", False),
        (f"export const migration = define(base, {{ {UP} }});", False),
        ("export const migration = define(base, { up, down });", True),
        ("const base = { down() {} };\nexport const migration = { ...base, up() {} };", True),
        ("export const migration = { ...base, up() {} };", False),
        ("export const migration = new Migration();", False),
        (f"const m = {{ {UP}, down() {{}} }};\nexport default m;", True),
        (f"const m = {{ {UP} }};\nexport {{ m as migration }};", False),
        (f"export {{ m as default }};\nconst m = {{ {UP}, down() {{}} }};", True),
        (f"export default {{ {UP}, down: async function () {{}} }};", True),
        (f"module.exports = {{ {UP}, down() {{}} }};", True),
        (f"module.exports = {{ migration: {{ {UP} }} }};", False),
        (f"const m = {{ {UP}, down() {{}} }};\nmodule.exports = {{ migration: m }};", True),
        (f"exports.migration = {{ {UP}, down() {{}} }};", True),
        (f"module.exports.migration = {{ {UP} }};", False),
        ("exports.up = () => {};\nexports.down = () => {};", True),
        ("export function up() {}\nexport async function down() {}", True),
        ("export const up = async () => {};", False),
        ("export const up = async () => {}, x = 1\nexport const down = up", True),
        ("function up() {}\nfunction down() {}\nexport { up, down };", True),
        ("const upgrade = () => {};\nexport { upgrade as up };", False),
        ("import { migration } from './_m.ts';\nexport { migration };", False),
        ("export { migration } from './_m.ts'; // with its down", False),
        ("export * from './_m.ts';", False),
        (f"exports.migration = void 0;\nexports.migration = {{ {UP}, down() {{}} }};", True),
    ],
)
def test_a_migration_is_found_however_it_is_exported(text, has_down):
    script = parse(text)
    assert script.is_migration
    assert script.has_down is has_down
    LANGUAGE.prepare(text, FILE, "up")
    if not has_down:
        with pytest.raises(Irreversible):
            LANGUAGE.prepare(text, FILE, "down")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("export const something = { up() {} };", 1),
        ("\n\nexport const migration = { down() {} };", 3),
        ("// export const migration = { up() {} };", 1),
        ("'export const migration = { up() {} }';", 1),
        ("`${`export const migration = { up() {} }`}`;", 1),
        ("function f() { const migration = { up() {} }; }", 1),
        ("export const migration", 1),
        ("export const migration =", 1),
        ("export function down() {}", 1),
        ("export { down, other };", 1),
    ],
)
def test_a_text_without_a_migration_is_refused_when_it_would_run_and_only_then(text, line):
    assert not parse(text).is_migration
    with pytest.raises(BrokenMigration) as caught:
        LANGUAGE.prepare(text, FILE, "up")
    assert (caught.value.file, caught.value.line) == (FILE, line)


@pytest.mark.parametrize(
    ("text", "is_module"),
    [
        (f"export default {{ {UP} }};", True),
        (f"module.exports = {{ {UP} }};", False),
        ("exports.up = () => {};", False),
        ("export const up = () => { other.exports.x = 1; };", True),
        ("export const up = () => { module.exports = 1; };", True),
        ("a.module.exports = 1;", True),
        ("", True),
    ],
)
def test_the_kind_of_module_is_told_by_how_it_exports(text, is_module):
    assert parse(text).is_module is is_module


@pytest.mark.parametrize(
    "code",
    [
        "/[/'\"`]/.test(x)",
        "a / b / c; '",
        "x = a++ / 2; // '",
        "return /'/",
        "`${ { a: `}'` }.a }` + /`/",
        "f(/=>{/, 1)",
        "(a) / '1'",
    ],
)
def test_regular_expressions_and_templates_hide_nothing_behind_them(code):
    text = f"const x = () => {{ {code}\n }};\nexport const migration = {{ {UP}, down() {{}} }};"
    assert parse(text).has_down


@given(st.text(alphabet="abdeconstupx {}()[]=:;,.'\"`$/*\\\n0n…😀", max_size=60))
@example("`${")
@example("export const migration = {" * 50)
@example("const migration = migration;")
@example("const a = b, b = a; export default a;")
@example("const a = { description: b }; const b = a + a; export default a;")
@example("'\\u{ffffffff}'")
@example("'\\")
@example("/")
def test_any_text_is_read_without_an_error_and_kept_whole(text):
    parse(text)
    found = scan(text)
    kept = "".join(token.text for token in found.tokens)
    comments = "".join(comment for _, comment in found.comments)
    assert len(kept) + len(comments) + sum(map(str.isspace, text)) >= len(text)


def test_a_long_text_takes_time_in_proportion():
    parse("export const migration = { up() {" + "f(`${[1, { a: /x/ }]}`);\n" * 20_000 + "} };")
    parse("[" * 100_000)
    parse("const a = [" * 2_000)
