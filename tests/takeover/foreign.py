"""Ledgers as other tools write them, in SQL; looked up in the versions that the comments name."""

import sqlite3
from contextlib import closing
from pathlib import Path

LEDGERS = {
    # amacneil/dbmate 2.28, pkg/driver/sqlite/sqlite.go
    "dbmate": """
        CREATE TABLE IF NOT EXISTS "schema_migrations" (version varchar(128) primary key);
        INSERT INTO schema_migrations VALUES ('20230202120000'), ('20230101120000');
    """,
    # pressly/goose 3.26, internal/dialect/dialectquery/sqlite3.go; a down and an up again after it
    "goose": """
        CREATE TABLE goose_db_version (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            version_id INTEGER NOT NULL,
            is_applied INTEGER NOT NULL,
            tstamp TIMESTAMP DEFAULT (datetime('now'))
        );
        INSERT INTO goose_db_version (version_id, is_applied)
        VALUES (0, 1), (1, 1), (2, 1), (3, 1), (3, 0), (2, 0), (2, 1);
    """,
    # golang-migrate/migrate 4.19, database/sqlite3/sqlite3.go
    "golang-migrate": """
        CREATE TABLE IF NOT EXISTS schema_migrations (version uint64,dirty bool);
        CREATE UNIQUE INDEX IF NOT EXISTS version_unique ON schema_migrations (version);
        INSERT INTO schema_migrations VALUES (2, 0);
    """,
    # knex/knex 3.3, lib/migrations/migrate/table-creator.js, through its SQLite dialect
    "knex": """
        CREATE TABLE `knex_migrations` (`id` integer not null primary key autoincrement,
            `name` varchar(255), `batch` integer, `migration_time` datetime);
        CREATE TABLE `knex_migrations_lock` (`index` integer not null primary key autoincrement,
            `is_locked` integer);
        INSERT INTO knex_migrations (name, batch, migration_time) VALUES
            ('20230101120000_create_users.js', 1, 1672574400000),
            ('20230202120000_addEmail.ts', 1, 1675339200000);
        INSERT INTO knex_migrations_lock (is_locked) VALUES (0);
    """,
    # sqlalchemy/alembic 1.20, alembic/ddl/impl.py (and made by it, in test_real_tools.py)
    "alembic": """
        CREATE TABLE alembic_version (
            version_num VARCHAR(32) NOT NULL,
            CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
        );
        INSERT INTO alembic_version VALUES ('ae1027a6acf3');
    """,
    # drizzle-team/drizzle-orm 0.45, drizzle-orm/src/sqlite-core/dialect.ts: SERIAL is no rowid
    "drizzle": """
        CREATE TABLE IF NOT EXISTS "__drizzle_migrations" (
            id SERIAL PRIMARY KEY,
            hash text NOT NULL,
            created_at numeric
        );
        INSERT INTO "__drizzle_migrations" ("hash", "created_at")
        VALUES ('bb', 1675339200000), ('aa', 1672574400000);
    """,
    # simonw/sqlite-utils 4.2, sqlite_utils/migrations.py (and made by it, in test_real_tools.py)
    "sqlite-utils": """
        CREATE TABLE "_sqlite_migrations" (
            "id" INTEGER PRIMARY KEY, "migration_set" TEXT, "name" TEXT, "applied_at" TEXT
        );
        INSERT INTO _sqlite_migrations VALUES
            (1, 'app', 'm001_create_users', '2026-07-04 12:00:00+00:00'),
            (2, 'app', 'm002_add_email', '2026-07-04 12:00:00+00:00');
    """,
    # The table that docs/design.md gives, with the original's rows: a rollback stays as `down`.
    "original": """
        CREATE TABLE migrations (
            id INTEGER PRIMARY KEY AUTOINCREMENT, version TEXT NOT NULL UNIQUE,
            description TEXT NOT NULL, applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
            applied_by TEXT DEFAULT 'system', execution_time_ms INTEGER NOT NULL,
            checksum TEXT NOT NULL, direction TEXT NOT NULL CHECK (direction IN ('up', 'down'))
        );
        INSERT INTO migrations (version, description, execution_time_ms, checksum, direction)
        VALUES ('1.0.0', 'a', 1, 'x', 'up'), ('1.1.0', 'b', 1, 'x', 'down');
    """,
    "user_version": "PRAGMA user_version = 2;",
}


def database(path: Path, script: str) -> Path:
    """Run SQL on a database, which is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path
