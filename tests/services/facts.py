"""What the contract must know of the databases that the tests run it on."""

from __future__ import annotations

import datetime

from omniduct.testing import Facts, Setting, Type, Value
from omniduct.testing.logical import STANDARD

_INTEGERS = {
    "int8": Type("TINYINT", "int8"),
    "int16": Type("SMALLINT", "int16"),
    "int32": Type("INTEGER", "int32"),
    "int64": Type("BIGINT", "int64"),
}
_DECIMALS = {
    f"decimal({digits}, {scale})": Type(f"DECIMAL({digits}, {scale})", f"decimal128({digits}, {scale})")
    for digits, scale in ((12, 2), (38, 0), (38, 10))
}

DUCKDB = Facts(
    "DuckDB",
    types={
        **_INTEGERS,
        **{
            f"uint{bits}": Type(name, f"uint{bits}")
            for bits, name in ((8, "UTINYINT"), (16, "USMALLINT"), (32, "UINTEGER"), (64, "UBIGINT"))
        },
        **_DECIMALS,
        "boolean": Type("BOOLEAN", "bool"),
        "float32": Type("FLOAT", "float"),
        "float32 specials": Type("FLOAT", "float"),
        "float64": Type("DOUBLE", "double"),
        "float64 specials": Type("DOUBLE", "double"),
        "text": Type("VARCHAR", "string"),
        "bytes": Type("BLOB", "binary"),
        "date": Type("DATE", "date32[day]"),
        "time": Type("TIME", "time64[us]"),
        "timestamp": Type("TIMESTAMP", "timestamp[us]"),
        "timestamp with zone": Type("TIMESTAMPTZ", "timestamp[us, tz=UTC]"),
        "interval": Type(
            "INTERVAL",
            "month_day_nano_interval",
            cannot={"bind": "DuckDB's driver binds no months"},
        ),
        "json": Type("JSON", "extension<arrow.json>"),
        "array of int32": Type("INTEGER[]", "list<l: int32>"),
        "uuid": Type("UUID", "extension<arrow.uuid>"),
        "enum": Type(
            "ENUM('sad', 'so so')",
            "dictionary<values=string, indices=uint8, ordered=0>",
            pandas="category",
            polars="Categorical",
            written="string",
        ),
    },
    cannot={"empty_names": "DuckDB has no empty names"},
    rows="SELECT range AS n FROM range({n})",
    fails_late="SELECT CASE WHEN range = 500000 THEN 'x' ELSE '1' END::INT AS n FROM range(600000)",
    endless="SELECT count(*) FROM range(100000) a(i), range(100000) b(j), range(100) WHERE hash(i + j) = 1",
    setting=Setting("TimeZone", "Asia/Tokyo", "SELECT current_setting('TimeZone')"),
    literals={bytes: lambda value: f"unhex('{value.hex()}')"},
)

_NO_UNSIGNED = "PostgreSQL's integers are signed"


POSTGRESQL = Facts(
    "PostgreSQL",
    types={
        **_INTEGERS,
        **_DECIMALS,
        "int8": "PostgreSQL has no integers of 8 bits",
        **{f"uint{bits}": _NO_UNSIGNED for bits in (8, 16, 32, 64)},
        "boolean": Type("BOOLEAN", "bool"),
        "float32": Type("REAL", "float"),
        "float32 specials": Type("REAL", "float"),
        "float64": Type("DOUBLE PRECISION", "double"),
        "float64 specials": Type("DOUBLE PRECISION", "double"),
        "text": Type("TEXT", "string"),
        "bytes": Type("BYTEA", "binary"),
        "date": Type("DATE", "date32[day]"),
        "time": Type("TIME", "time64[us]"),
        "timestamp": Type("TIMESTAMP", "timestamp[us]"),
        "timestamp with zone": Type("TIMESTAMPTZ", "timestamp[us, tz=UTC]"),
        "interval": Type("INTERVAL", "month_day_nano_interval"),
        "json": Type("JSONB", "extension<arrow.json>"),
        "array of int32": Type("INTEGER[]", "list<item: int32>"),
        "uuid": Type("UUID", "extension<arrow.uuid>"),
        "enum": Type("contract_mood", "string"),
    },
    cannot={
        "empty_names": "PostgreSQL has no empty names",
        "nul": "PostgreSQL's texts hold no NUL",
    },
    rows="SELECT n FROM generate_series(0, {n} - 1) AS s(n)",
    fails_late="SELECT 1 / (n - 30000) AS n FROM generate_series(0, 40000) AS s(n)",
    endless="SELECT pg_sleep(600)",
    setting=Setting("timezone", "Asia/Tokyo", "SELECT current_setting('timezone')"),
    literals={
        bytes: lambda value: f"'\\x{value.hex()}'",
        list: lambda value: "'{" + ", ".join("NULL" if n is None else str(n) for n in value) + "}'",
    },
)

_FEW_TYPES = "SQLite stores integers, floats, texts and bytes, and nothing else"
_ROWS = "WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < {n} - 1) SELECT n FROM r"

SQLITE = Facts(
    "SQLite",
    types={
        **dict.fromkeys(STANDARD, _FEW_TYPES),
        "int64": Type("INTEGER", "int64"),
        "float64": Type("REAL", "double"),
        "text": Type("TEXT", "string"),
        "bytes": Type("BLOB", "binary"),
        "float64 specials": "a NaN is null to SQLite, and a zero has no sign",
    },
    cannot={"types_of_empty_results": "SQLite knows the types of values, not of columns"},
    rows=_ROWS,
    # the least integer has no absolute value
    fails_late=f"SELECT iif(n = 30000, abs({-(2**63)}), n) AS n FROM ({_ROWS.format(n=40000)})",
    setting=Setting("cache_size", 1234, "PRAGMA cache_size"),
)

_NO_SPECIALS = "MariaDB has neither NaN nor infinity, and a zero has no sign"

MARIADB = Facts(
    "MariaDB",
    types={
        **dict.fromkeys(STANDARD, "MariaDB has no such type"),
        **_INTEGERS,
        **_DECIMALS,
        "uint8": Type("TINYINT UNSIGNED", "uint8"),
        "uint16": Type("SMALLINT UNSIGNED", "uint16"),
        "uint32": Type("INTEGER UNSIGNED", "uint32"),
        "uint64": Type("BIGINT UNSIGNED", "uint64"),
        "boolean": Type("BOOLEAN", "int8", values=[1, 0]),
        # it shows six digits of a FLOAT, so a frame's floats of 32 bits are stored as DOUBLE
        "float32": Type("FLOAT", "float", values=[0.0, -1.5, 1.5 * 2.0**10], written="double"),
        "float32 specials": _NO_SPECIALS,
        "float64": Type("DOUBLE", "double"),
        "float64 specials": _NO_SPECIALS,
        "text": Type("LONGTEXT", "string"),
        "bytes": Type("LONGBLOB", "binary"),
        "date": Type("DATE", "date32[day]"),
        "time": Type(
            "TIME(6)",
            "duration[us]",
            values=[
                Value(datetime.timedelta(0), "'00:00:00'"),
                Value(datetime.timedelta(hours=23, microseconds=1), "'23:00:00.000001'"),
                Value(datetime.timedelta(hours=-800), "'-800:00:00'"),
            ],
        ),
        "timestamp": Type("DATETIME(6)", "timestamp[us]"),
        "timestamp with zone": "MariaDB keeps no zone with an instant",
        "json": Type("JSON", "string"),
        "uuid": Type("UUID", "string", values=["00112233-4455-6677-8899-aabbccddeeff"]),
        "enum": Type("ENUM('sad', 'so so')", "string"),
    },
    cannot={
        "transactional_ddl": "MariaDB commits what is open before it makes a table",
    },
    rows="SELECT seq - 1 AS n FROM seq_1_to_{n}",
    fails_late="SELECT 30000 - seq AS n FROM seq_1_to_40000",  # an unsigned number cannot be less than 0
    endless="SELECT SLEEP(600)",
    setting=Setting("time_zone", "+09:00", "SELECT @@session.time_zone"),
    literals={str: lambda value: "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"},
)

_IN_STEPS = "Firebird fills no table in the transaction that makes it"
_FIREBIRD_ROWS = """
    SELECT row_number() OVER () - 1 AS n
    FROM (SELECT 1 AS one FROM rdb$types a, rdb$types b, rdb$types c, rdb$types d ROWS {n}) AS r
"""


def _with_four_digits(value: datetime.datetime | datetime.time) -> str:
    """A time in the parts of a second that Firebird takes."""
    return f"'{str(value)[:-2] if value.microsecond else value}'"


FIREBIRD = Facts(
    "Firebird",
    types={
        **dict.fromkeys(STANDARD, "Firebird has no such type"),
        "boolean": Type("BOOLEAN", "bool"),
        "int16": Type("SMALLINT", "int16"),
        "int32": Type("INTEGER", "int32"),
        "int64": Type("BIGINT", "int64"),
        "decimal(12, 2)": Type("NUMERIC(12, 2)", "decimal128(12, 2)"),
        "decimal(38, 0)": "Firebird 3 has exact numbers of 18 digits",
        "decimal(38, 10)": "Firebird 3 has exact numbers of 18 digits",
        "float32": Type("FLOAT", "float"),
        "float32 specials": "Firebird has no words for them",
        "float64": Type("DOUBLE PRECISION", "double", values=[0.0, 0.1, -1e308, 2.0**53]),
        "float64 specials": "Firebird has no words for them",
        "text": Type("BLOB SUB_TYPE TEXT", "string"),
        "bytes": Type("BLOB", "binary"),
        "date": Type("DATE", "date32[day]"),
        "time": Type(
            "TIME",
            "time64[us]",
            values=[datetime.time(0), datetime.time(12, 30, 0, 100), datetime.time(23, 59, 59, 999900)],
        ),
        "timestamp": Type(
            "TIMESTAMP",
            "timestamp[us]",
            values=[
                datetime.datetime(1, 1, 1),
                datetime.datetime(1969, 12, 31, 23, 59, 59, 999900),
                datetime.datetime(9999, 12, 31, 23, 59, 59, 999900),
            ],
        ),
        "timestamp with zone": "Firebird 3 has no zones",
    },
    cannot={
        "empty_names": "Firebird has no empty names",
        "schemas": "Firebird has no schemas",
        "session_properties": "Firebird has settings of the server and of transactions",
        "temporary_tables": "Firebird's temporary tables are there for all: only their rows are not",
        "transactional_ddl": _IN_STEPS,
        "test_a_percent_sign_is_modulo": "Firebird has mod()",
        "test_what_stood_in_the_text_stays_beside_a_bound_value": "Firebird has mod()",
        "test_filling_a_table_is_a_part_of_it[delete_rows]": _IN_STEPS,
        **{
            f"test_{what}[{which}]": "Firebird counts ten-thousandths of a second"
            for what, whiches in (
                ("a_column_of_any_arrow_type_is_stored_whole", ("time", "timestamp", "timestamp with zone")),
                ("a_bound_value_arrives_as_it_is", ("time-18", "timestamp-19")),
            )
            for which in whiches
        },
    },
    rows=_FIREBIRD_ROWS,
    fails_late=f"SELECT 1 / (n - 30000) AS n FROM ({_FIREBIRD_ROWS.format(n=40000)}) AS s",
    endless="SELECT count(*) FROM rdb$types a, rdb$types b, rdb$types c, rdb$types d",
    dual=" FROM rdb$database",
    upper=True,
    literals={datetime.datetime: _with_four_digits, datetime.time: _with_four_digits},
)
