"""SQL migrations as Prisma, Drizzle, Atlas, Diesel and people write them, through every command.

They rebuild tables between two switches of foreign keys, each in its own words.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from plugin_migrate.errors import StepFailed
from plugin_migrate.plan import plan_upgrade
from plugin_migrate.rehearsal.preview import preview
from plugin_migrate.rehearsal.verify import verify
from plugin_migrate.version import Version
from project import Project, fails_unchanged

BASE = """
CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, manager INTEGER REFERENCES users(id));
CREATE TABLE posts (
  id INTEGER PRIMARY KEY, title TEXT,
  author_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE
);
INSERT INTO users VALUES (1, 'a@x', NULL), (2, 'b@x', 1);
INSERT INTO posts VALUES (10, 'one', 1), (20, 'two', 2), (21, 'three', 2);
"""


class Shape(NamedTuple):
    """One file as a tool writes it, and the option after both of its markers."""

    up: str
    down: str
    option: str = ""


def rebuilt(columns: str, copied: str, temporary: str = "users_new") -> str:
    return (
        f"CREATE TABLE {temporary} ({columns});\n"
        f"INSERT INTO {temporary} SELECT {copied} FROM users;\n"
        "DROP TABLE users;\n"
        f"ALTER TABLE {temporary} RENAME TO users;\n"
    )


OLD = "id INTEGER PRIMARY KEY, email TEXT, manager INTEGER REFERENCES users(id)"
NEW = "id INTEGER PRIMARY KEY, email TEXT NOT NULL, manager INTEGER REFERENCES users(id)"
BACK = rebuilt(OLD, "id, email, manager", "users_old")

PRISMA = """-- RedefineTables
PRAGMA defer_foreign_keys=ON;
PRAGMA foreign_keys=OFF;
CREATE TABLE "new_users" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "email" TEXT NOT NULL,
    "manager" INTEGER,
    CONSTRAINT "users_manager_fkey" FOREIGN KEY ("manager") REFERENCES "users" ("id")
      ON DELETE SET NULL ON UPDATE CASCADE
);
INSERT INTO "new_users" ("email", "id", "manager") SELECT "email", "id", "manager" FROM "users";
DROP TABLE "users";
ALTER TABLE "new_users" RENAME TO "users";
CREATE UNIQUE INDEX "users_email_key" ON "users"("email");
PRAGMA foreign_keys=ON;
PRAGMA defer_foreign_keys=OFF;
"""
DRIZZLE = """PRAGMA foreign_keys=OFF;--> statement-breakpoint
CREATE TABLE `__new_users` (
\t`id` integer PRIMARY KEY NOT NULL,
\t`email` text NOT NULL,
\t`manager` integer,
\tFOREIGN KEY (`manager`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
INSERT INTO `__new_users`("id", "email", "manager") SELECT "id", "email", "manager" FROM `users`;\
--> statement-breakpoint
DROP TABLE `users`;--> statement-breakpoint
ALTER TABLE `__new_users` RENAME TO `users`;--> statement-breakpoint
PRAGMA foreign_keys=ON;
"""
ATLAS = f"""-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_users" table
{rebuilt("id integer, email text NOT NULL, manager integer, PRIMARY KEY (id)", "*", "`new_users`")}
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
"""
BY_THE_BOOK = f"""
PRAGMA foreign_keys=OFF;
{rebuilt(NEW, "id, email, manager")}
CREATE INDEX posts_author ON posts(author_id);
CREATE VIEW writers AS SELECT DISTINCT author_id FROM posts;
PRAGMA foreign_key_check;
PRAGMA foreign_keys=ON;
"""

SHAPES = {
    "prisma": Shape(PRISMA, f"PRAGMA foreign_keys=OFF;\n{BACK}PRAGMA foreign_keys=ON;"),
    "drizzle": Shape(DRIZZLE, f"PRAGMA foreign_keys=OFF;{BACK}PRAGMA foreign_keys=ON;"),
    "atlas": Shape(ATLAS, f"PRAGMA foreign_keys = off;\n{BACK}PRAGMA foreign_keys = on;"),
    "diesel": Shape(
        f"PRAGMA foreign_keys=off;\n\n{rebuilt(NEW, 'id, email, manager', '_users_new')}\n"
        "PRAGMA foreign_keys=on;",
        f"PRAGMA foreign_keys=off;\n{BACK}\nPRAGMA foreign_keys=on;",
    ),
    "the twelve steps of SQLite's manual": Shape(
        BY_THE_BOOK,
        f"DROP VIEW writers; DROP INDEX posts_author; PRAGMA foreign_keys=OFF; {BACK}"
        "PRAGMA foreign_key_check; PRAGMA foreign_keys=ON;",
    ),
    "goose's markers kept as comments": Shape(
        f"-- +goose Up\n-- +goose StatementBegin\nPRAGMA foreign_keys = 0;\n"
        f"{rebuilt(NEW, 'id, email, manager')}PRAGMA foreign_keys = 1;\n-- +goose StatementEnd",
        f"-- +goose Down\nPRAGMA foreign_keys = 0;\n{BACK}PRAGMA foreign_keys = 1;",
    ),
    "sql-migrate's markers, and a switch to the other side": Shape(
        "-- +migrate Up notransaction\nPRAGMA foreign_keys = ON;\nCREATE TABLE tags (\n"
        "  post INTEGER REFERENCES posts(id) ON DELETE CASCADE, tag TEXT);\n"
        "INSERT INTO tags SELECT id, 'old' FROM posts;",
        "-- +migrate Down\nPRAGMA foreign_keys = ON;\nDROP TABLE tags;",
    ),
    "switches in the middle, quoted and in capitals": Shape(
        f"CREATE TABLE log (x);\npragma FOREIGN_KEYS = 'OFF';\n{rebuilt(NEW, '*')}"
        "PRAGMA main.foreign_keys(YES);\nINSERT INTO log VALUES (1);",
        f"DROP TABLE log;\nPRAGMA foreign_keys(false);\n{BACK}PRAGMA foreign_keys(true);",
    ),
    "legacy renaming, as Rails and Django do it": Shape(
        "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON;\n"
        'ALTER TABLE "users" RENAME TO "users__old";\n'
        f'CREATE TABLE "users" ({NEW});\n'
        'INSERT INTO "users" SELECT id, email, manager FROM "users__old";\n'
        'DROP TABLE "users__old";\n'
        "PRAGMA legacy_alter_table = OFF; PRAGMA foreign_keys = ON;",
        f"PRAGMA foreign_keys = OFF; {BACK} PRAGMA foreign_keys = ON;",
    ),
    "a rebuild that leaves rows without their parent": Shape(
        "PRAGMA foreign_keys=OFF;\nCREATE TABLE u (id INTEGER PRIMARY KEY, email TEXT, manager"
        " INTEGER);\nINSERT INTO u SELECT * FROM users WHERE manager IS NOT NULL;\n"
        "CREATE TABLE kept AS SELECT * FROM users WHERE manager IS NULL;\n"
        "DROP TABLE users;\nALTER TABLE u RENAME TO users;\nPRAGMA foreign_keys=ON;",
        "PRAGMA foreign_keys=OFF;\n"
        f"CREATE TABLE users_old ({OLD});\n"
        "INSERT INTO users_old SELECT * FROM kept UNION SELECT * FROM users;\n"
        "DROP TABLE users;\nALTER TABLE users_old RENAME TO users;\nDROP TABLE kept;\n"
        "PRAGMA foreign_keys=ON;",
        "foreign_keys:unchecked",
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_migration_of_a_real_project_goes_through_every_command(
    project: Project, name: str
) -> None:
    shape = SHAPES[name]
    project.sql("1.0.0", BASE)
    project.upgrade()
    before, posts = project.dump(), project.query("SELECT * FROM posts")
    schema = project.query("SELECT type, name, tbl_name FROM sqlite_schema ORDER BY name")
    project.sql("1.1.0", shape.up, shape.down, shape.option)

    (verified,) = verify(project.workspace(), [Version(1, 1, 0)])
    assert verified.error is None
    assert verified.repeatable
    assert not [finding for finding in verified.findings if not finding.is_note]
    previewed = preview(project.workspace(), plan_upgrade, "upgrade")
    assert previewed.run.error is None
    assert [database.path for database in previewed.databases]
    assert project.dump() == before

    project.upgrade()
    assert project.query("SELECT * FROM posts") == posts
    project.downgrade("1.0.0")
    assert project.query("SELECT * FROM users ORDER BY id") == [(1, "a@x", None), (2, "b@x", 1)]
    assert project.query("SELECT * FROM posts") == posts
    assert schema == project.query("SELECT type, name, tbl_name FROM sqlite_schema ORDER BY name")


def test_rows_without_their_parent_are_called_foreign_key_and_the_way_on_is_named(
    project: Project,
) -> None:
    shape = SHAPES["a rebuild that leaves rows without their parent"]
    project.sql("1.0.0", BASE)
    project.upgrade()
    project.sql("1.1.0", shape.up, shape.down)
    error = fails_unchanged(project)
    assert isinstance(error, StepFailed)
    assert error.message.startswith("FOREIGN KEY constraint failed")
    assert error.details == ("posts: 1 row(s) refer to rows that users does not have",)
    assert "-- migrate:up foreign_keys:unchecked" in (error.hint or "")


def test_a_note_does_not_make_verify_fail_and_says_what_it_is(project: Project) -> None:
    project.sql("1.0.0", BASE, "DROP TABLE posts; DROP TABLE users;")
    project.sql("1.1.0", SHAPES["prisma"].up, SHAPES["prisma"].down)
    done = project.cli("verify", "1.1.0", "--lint-only")
    assert done.returncode == 0, done.stdout
    assert "note(s)" in done.stdout
    assert "foreign-keys-pragma" in done.stdout


def test_what_an_unchecked_step_left_does_not_fail_the_steps_after_it(project: Project) -> None:
    shape = SHAPES["a rebuild that leaves rows without their parent"]
    project.sql("1.0.0", BASE)
    project.sql("1.1.0", shape.up, shape.down, shape.option)
    project.sql("1.2.0", "UPDATE posts SET title = 'new' WHERE id = 10;")
    project.upgrade()
    project.sql("1.3.0", "INSERT INTO posts VALUES (30, 'x', 9);")
    assert "FOREIGN KEY" in fails_unchanged(project).message


def test_unchecked_is_not_enforced_either(project: Project) -> None:
    project.sql("1.0.0", BASE)
    project.sql("1.1.0", "DELETE FROM users WHERE id = 2;", options="foreign_keys:unchecked")
    project.upgrade()
    assert project.query("SELECT count(*) FROM posts") == [(3,)]
