"""Index the words of every note that memory-keeper has."""

description = "Index the words of the notes"
metadata = {
    "author": "memory-search",
    "created_at": "2026-11-22T12:00:00Z",
    "tags": ["data"],
    "requires": {"memory-keeper": ">=1.0.0"},
}


def up(ctx):
    ctx.db.execute("CREATE TABLE words (word TEXT NOT NULL, note INTEGER NOT NULL)")
    notes = ctx.database("memory-keeper/state.db").execute("SELECT id, text FROM notes")
    for note, text in ctx.progress(notes.fetchall()):
        words = {(word.lower(), note) for word in text.split()}
        ctx.db.executemany("INSERT INTO words VALUES (?, ?)", sorted(words))
    ctx.db.execute("CREATE INDEX words_by_word ON words (word)")


def down(ctx):
    ctx.db.execute("DROP TABLE words")
