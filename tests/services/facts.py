"""What the contract must know of the databases that the tests run it on."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from decimal import Decimal

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
        **{f"uint{bits}": Type(name, f"uint{bits}") for bits, name in (
            (8, "UTINYINT"), (16, "USMALLINT"), (32, "UINTEGER"), (64, "UBIGINT")
        )},
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
        "interval": Type("INTERVAL", "month_day_nano_interval"),
        "json": Type("JSON", "extension<arrow.json>"),
        "array of int32": Type("INTEGER[]", "list<l: int32>"),
        "uuid": Type("UUID", "extension<arrow.uuid>"),
        "enum": Type(
            "ENUM('sad', 'so so')",
            "dictionary<values=string, indices=uint8, ordered=0>",
            pandas="category",
            polars="Enum(categories=['sad', 'so so'])",
        ),
    },
    cannot={"empty_names": "DuckDB has no empty names"},
    rows="SELECT range AS n FROM range({n})",
    fails_late="SELECT CASE WHEN range = 500000 THEN 'x' ELSE '1' END::INT AS n FROM range(600000)",
    endless="SELECT count(*) FROM range(100000) a(i), range(100000) b(j), range(100) c(k) WHERE hash(i + j + k) = 1",
    setting=Setting("TimeZone", "Asia/Tokyo", "SELECT current_setting('TimeZone')"),
    literals={bytes: lambda value: f"unhex('{value.hex()}')"},
)
