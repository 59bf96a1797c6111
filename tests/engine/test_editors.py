"""The editors of ``ctx`` in migrations: up and down, to the same bytes, in both languages."""

from __future__ import annotations

import pytest

import runtimes
from plugin_migrate.errors import ForbiddenStatement
from project import Project, fails_unchanged

FILES = {
    "config.toml": b"# Ours.\r\ntitle = 'a'  # kept\r\n\r\n[tool.x]\r\nsince = 2026-01-01\r\n",
    "config.yaml": b"# Ours.\nserver: {port: 80}  # kept\njobs:\n- build\n",
    ".gitignore": b"*.log\n\n# Ours.\ndist/",
    ".env": b"# Ours.\nOLD_KEY=a b\nOTHER='\xff'\n",
    "issues.jsonl": b'{"id": 1, "n": 1.0}\n\n{ "id":2 }\n',
}
EDITED = {
    "config.toml": FILES["config.toml"]
    .replace(b"'a'", b"'b'")
    .replace(b"2026-01-01\r\n", b"2026-02-01\r\nlimit = 3\r\n"),
    "config.yaml": b"# Ours.\nserver: {port: 81}  # kept\njobs:\n- build\n- test\n",
    ".gitignore": b"*.log\n\n# Ours.\ndist/\ncache/",
    ".env": b"# Ours.\nNEW_KEY=a b\nOTHER='\xff'\n",
    "issues.jsonl": (b'{"id": 1, "n": 1.0, "done": false}\n\n{ "id":2,"done":false }\n{"id": 3}\n'),
}

PYTHON_UP = """\
import datetime
with ctx.edit_toml("config.toml") as config:
    config["title"] = "b"
    config["tool"]["x"].update(since=datetime.date(2026, 2, 1), limit=3)
with ctx.edit_yaml("config.yaml") as config:
    config["server"]["port"] = 81
    config["jobs"].append("test")
with ctx.edit_lines(".gitignore") as lines:
    if not any(line.text == "cache/" for line in lines):
        lines.append("cache/")
with ctx.edit_lines(ctx.claude / ".env") as lines:
    for line in lines.containing("OLD_KEY="):
        line.text = line.text.replace("OLD_KEY=", "NEW_KEY=", 1)
with ctx.edit_lines("issues.jsonl") as lines:
    for line in lines:
        if line.text:
            line.value["done"] = False
    lines.append({"id": 3})
"""
PYTHON_DOWN = """\
import datetime
with ctx.edit_toml("config.toml") as config:
    config["title"] = "a"
    config["tool"]["x"]["since"] = datetime.date(2026, 1, 1)
    del config["tool"]["x"]["limit"]
with ctx.edit_yaml("config.yaml") as config:
    config["server"]["port"] = 80
    config["jobs"].remove("test")
with ctx.edit_lines(".gitignore") as lines:
    for line in lines:
        if line.text == "cache/":
            line.remove()
with ctx.edit_lines(".env") as lines:
    for line in lines:
        line.text = line.text.replace("NEW_KEY=", "OLD_KEY=")
with ctx.edit_lines("issues.jsonl") as lines:
    for line in lines.containing('"id"'):
        if line.value.pop("done", None) is None:
            line.remove()
"""
TYPESCRIPT_UP = """\
ctx.editToml('config.toml', (config) => {
  config.title = 'b';
  config.tool.x.since = config.tool.x.since.replace('-01-', '-02-');
  config.tool.x.limit = 3;
});
ctx.editYaml('config.yaml', (config) => {
  config.server.port = 81;
  config.jobs.push('test');
});
ctx.editLines('.gitignore', (lines) => {
  if (![...lines].some((line) => line.text === 'cache/')) lines.append('cache/');
});
await ctx.editLines(ctx.claude + '/.env', async (lines) => {
  for (const line of lines.containing('OLD_KEY=')) {
    await null;
    line.text = line.text.replace('OLD_KEY=', 'NEW_KEY=');
  }
});
ctx.editLines('issues.jsonl', (lines) => {
  for (const line of lines) {
    if (line.text) line.value.done = false;
  }
  lines.append({ id: 3 });
});
"""
TYPESCRIPT_DOWN = """\
ctx.editToml('config.toml', (config) => {
  config.title = 'a';
  config.tool.x.since = '2026-01-01';
  delete config.tool.x.limit;
});
ctx.editYaml('config.yaml', (config) => {
  config.server.port = 80;
  config.jobs = config.jobs.filter((job) => job !== 'test');
});
ctx.editLines('.gitignore', (lines) => {
  for (const line of lines) if (line.text === 'cache/') line.remove();
});
ctx.editLines('.env', (lines) => {
  for (const line of lines) line.text = line.text.replace('NEW_KEY=', 'OLD_KEY=');
});
ctx.editLines('issues.jsonl', (lines) => {
  for (const line of lines.containing('"id"')) {
    const { done, ...rest } = line.value;
    line.value = rest;
    if (done === undefined) line.remove();
  }
});
"""


@pytest.fixture
def node(folder, monkeypatch):
    """Have Node.js 24 alone in PATH."""
    monkeypatch.setenv("PATH", runtimes.folder_with(folder / "bin", node=runtimes.node()))


def write(project: Project) -> None:
    for name, content in FILES.items():
        project.write(name, content)


def read(project: Project) -> dict[str, bytes]:
    return {name: (project.claude / name).read_bytes() for name in FILES}


@pytest.mark.parametrize("language", ["python", "typescript"])
def test_every_editor_goes_up_and_back_to_the_same_bytes(project, node, language):
    write(project)
    if language == "python":
        project.python("1.0.0", PYTHON_UP, PYTHON_DOWN)
    else:
        project.typescript("1.0.0", TYPESCRIPT_UP, TYPESCRIPT_DOWN)
    project.upgrade()
    assert read(project) == EDITED
    project.downgrade()
    assert read(project) == FILES


LINES = """\
const big = ['\\ufeff'.length, 2];
ctx.editLines('a.jsonl', (lines) => {
  const seen = [];
  for (const line of lines) {
    seen.push(line.text);
    if (line.text.startsWith('#')) {
      line.insertBefore('above');
      line.insertAfter({ below: big });
      line.text += '!';
    } else if (line.text === 'old') {
      line.remove();
    } else if (line.text) {
      line.value.n = line.value.big + 1n;
      const text = line.text;
      line.text = text + ' ';
      line.value = { ...line.value, more: text.length };
    }
  }
  const all = '# c,old,{"big":9007199254740993,"f":1.0},\\udcff';
  if (seen.join() !== all) throw new Error(seen.join());
});
"""


def test_a_line_is_in_typescript_what_it_is_in_python(project, node):
    rows = b'\xef\xbb\xbf# c\r\nold\r\n{"big":9007199254740993,"f":1.0}\r\n\xff'
    project.write("a.jsonl", rows)
    project.typescript(
        "1.0.0", LINES.replace("else if (line.text)", "else if (line.text[0] === '{')")
    )
    project.upgrade()
    assert (project.claude / "a.jsonl").read_bytes() == (
        b'\xef\xbb\xbfabove\r\n# c!\r\n{"below":[1,2]}\r\n'
        b'{"big":9007199254740993,"f":1.0,"n":9007199254740994,"more":53} \r\n\xff'
    )


def test_many_lines_come_to_typescript_in_batches(project, node):
    count = 60_000
    project.write(
        "a.jsonl", "".join(f'{{"id":{number},"x":"{"y" * 30}"}}\n' for number in range(count))
    )
    project.typescript(
        "1.0.0",
        """
        let seen = 0;
        ctx.editLines('a.jsonl', (lines) => {
          for (const line of lines) {
            seen += 1;
            if (line.text.startsWith('{"id":59999,')) line.value.last = seen;
          }
        });
        ctx.editLines('a.jsonl', (lines) => {
          for (const line of lines.containing('"id":3,')) { line.remove(); break; }
        });
        """,
    )
    project.upgrade()
    rows = (project.claude / "a.jsonl").read_text().splitlines()
    assert len(rows) == count - 1
    assert rows[3].startswith('{"id":4,')
    assert rows[-1].endswith('"last":60000}')


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ("ctx.editToml('none', () => {})", "There is no file .claude/none to edit"),
        ("ctx.editLines('none', () => {})", "There is no file .claude/none to edit"),
        ("ctx.editToml('a.toml', () => {})", ".claude/a.toml cannot be read as TOML"),
        ("ctx.editToml('b.toml', (v) => { v.x = null })", "['x'] is None, which TOML cannot hold"),
        ("ctx.editYaml('a.toml', () => {})", ".claude/a.toml cannot be edited as YAML"),
        ("ctx.editLines('a.toml', (l) => { for (const x of l) x.value })",
         ".claude/a.toml cannot be read as JSON in line 1: Expecting value at character 1"),
        ("ctx.editLines('a.toml', (l) => { [...l]; [...l] })", "are read once, from the front"),
        ("ctx.editLines('a.toml', (l) => { [...l][0].remove() })", "this line has been passed"),
        ("ctx.editLines('a.toml', (l) => { l.append('a\\nb') })", "cannot hold a line end"),
        ("ctx.editLines('a.toml', (l) => { l.append(new Map()) })", "the line is a Map"),
        ("ctx.editLines('a.toml', (l) => { l.append('x'); throw new Error('mine') })", "mine"),
        ("void ctx.editLines('a.toml', () => new Promise(() => {}))", "was not finished when"),
    ],
)  # fmt: skip
def test_an_edit_that_cannot_be_made_is_told_and_undone(project, node, edit, message):
    project.write("a.toml", "x = [\n  b: [\n")
    project.write("b.toml", "")
    project.typescript("1.0.0", f"{edit};")
    assert message in fails_unchanged(project).message


@pytest.mark.parametrize(
    ("editor", "change"),
    [
        ("edit_toml", "value['a'] = 2"),
        ("edit_yaml", "value['a'] = 2"),
        ("edit_lines", "value.append('b = 2')"),
    ],
)
def test_an_editor_does_not_leave_the_state(project, folder, editor, change):
    outside = folder / "outside"
    outside.write_text("a: 1\n" if editor == "edit_yaml" else "a = 1\n")
    before = outside.read_bytes()
    project.python("1.0.0", f"with ctx.{editor}('../outside') as value:\n    {change}")
    error = fails_unchanged(project)
    assert isinstance(error, ForbiddenStatement)
    assert "../outside is not below .claude/" in error.message

    (project.claude / "link").symlink_to(outside)
    project.python("1.0.0", f"with ctx.{editor}('link') as value:\n    {change}")
    assert "link" in fails_unchanged(project).message
    assert outside.read_bytes() == before
