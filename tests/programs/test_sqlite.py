"""SQLite, built by Emscripten: a library with an imported memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlite_host import Database, SQLiteError

import wasmine

LoadProgram = Callable[[str], wasmine.Module]


@pytest.fixture
def database(load_program: LoadProgram, runtime: wasmine.Runtime) -> Database:
    """An empty database in memory."""
    return Database(runtime, load_program("sqlite"))


def test_rows_are_inserted_indexed_and_found(database: Database) -> None:
    database.execute("CREATE TABLE fruit (id INTEGER PRIMARY KEY, name TEXT UNIQUE, price REAL, note)")
    database.execute("INSERT INTO fruit (name, price) VALUES ('apple', 0.25), ('quince', 1.5), ('Birne', 1e300)")
    database.execute("CREATE INDEX by_price ON fruit (price DESC)")
    rows = database.execute("SELECT id, name, price, note FROM fruit WHERE price > 1 ORDER BY name COLLATE NOCASE")
    assert rows == [("3", "Birne", "1.0e+300", None), ("2", "quince", "1.5", None)]
    plan = database.execute("EXPLAIN QUERY PLAN SELECT name FROM fruit WHERE price = 1.5")
    assert plan[0][-1] == "SEARCH fruit USING INDEX by_price (price=?)"
    assert database.execute("SELECT sqlite_version()") == [("3.41.2",)]


def test_many_rows_and_a_rollback(database: Database) -> None:
    database.execute("CREATE TABLE number (n INTEGER, square INTEGER, text TEXT)")
    count = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 500) "
    database.execute(f"INSERT INTO number {count} SELECT n, n * n, printf('%08.3f', n / 7.0) FROM c")
    database.execute("BEGIN")
    database.execute("DELETE FROM number WHERE n % 2")
    assert database.execute("SELECT count(*) FROM number") == [("250",)]
    database.execute("ROLLBACK")
    rows = database.execute("SELECT count(*), sum(square), min(text), max(text) FROM number")
    assert rows == [("500", str(sum(n * n for n in range(1, 501))), "0000.143", "0071.429")]


def test_errors_are_told(database: Database) -> None:
    with pytest.raises(SQLiteError, match="no such table: absent"):
        database.execute("SELECT * FROM absent")
    with pytest.raises(SQLiteError, match='near "SELEC": syntax error'):
        database.execute("SELEC 1")
    database.execute("CREATE TABLE once (n UNIQUE)")
    database.execute("INSERT INTO once VALUES (1)")
    with pytest.raises(SQLiteError, match=r"UNIQUE constraint failed: once\.n"):
        database.execute("INSERT INTO once VALUES (1)")


def test_files_cannot_be_reached(database: Database) -> None:
    with pytest.raises(SQLiteError, match="unable to open database"):
        database.execute("ATTACH 'other.db' AS other")
