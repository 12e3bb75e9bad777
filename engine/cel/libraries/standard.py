"""CEL's standard functions on values of every kind: sizes, types and conversions (github.com/google/cel-spec, doc/langdef.md)."""

from __future__ import annotations

from typing import Any

from engine.cel.conversions import (
    bool_of_string,
    double_of_string,
    int_of_double,
    int_of_duration,
    int_of_string,
    int_of_time,
    int_of_uint,
    to_string,
    uint_of_double,
    uint_of_int,
    uint_of_string,
)
from engine.cel.declarations import CEL, function
from engine.cel.times import to_duration, to_timestamp
from engine.cel.values import type_of


def _same(value: Any) -> Any:
    return value


FUNCTIONS = (
    function("size", "Characters of a string, bytes, items of a list, keys of a map.", "size('abc') + [1].size() == 4", CEL, {
        form: len for kind in ("string", "bytes", "list(A)", "map(A, B)")
        for form in (f"size({kind}) -> int", f"{kind}.size() -> int")
    }),
    function("int", "A whole number: from a double (towards zero), a decimal string, or a timestamp (seconds since 1970).",
             "int('12') == 12", CEL, {
        "int(int) -> int": _same, "int(uint) -> int": int_of_uint, "int(double) -> int": int_of_double, "int(bool) -> int": int,
        "int(string) -> int": int_of_string, "int(timestamp) -> int": int_of_time, "int(duration) -> int": int_of_duration,
    }),
    function("uint", "A whole number that is not negative, of a type of its own.", "uint('12') == 12u", CEL, {
        "uint(uint) -> uint": _same, "uint(int) -> uint": uint_of_int, "uint(double) -> uint": uint_of_double,
        "uint(string) -> uint": uint_of_string,
    }),
    function("double", "A number with a fraction: from an int, a uint or a string.", "double('1.5') == 1.5", CEL, {
        "double(double) -> double": _same, "double(int) -> double": float, "double(uint) -> double": float,
        "double(string) -> double": double_of_string,
    }),
    function("string", "Text: timestamps as RFC 3339 with Z, durations in seconds such as `90s`.", "string(1.5) == '1.5'", CEL, {
        f"string({kind}) -> string": to_string
        for kind in ("string", "bool", "int", "uint", "double", "bytes", "timestamp", "duration")
    }),
    function("bytes", "Bytes: of a string in UTF-8.", "bytes('é').size() == 2", CEL, {
        "bytes(bytes) -> bytes": _same, "bytes(string) -> bytes": lambda value: value.encode("utf-8", "surrogatepass"),
    }),
    function("bool", "true or false: from a string such as `true`, `t`, `1`, `false`, `f`, `0`.", "bool('true')", CEL, {
        "bool(bool) -> bool": _same, "bool(string) -> bool": bool_of_string,
    }),
    function("timestamp", "A time: from a string such as `2026-01-24T22:30:00Z`, or seconds since 1970.",
             "timestamp(0) == timestamp('1970-01-01T00:00:00Z')", CEL, {
        "timestamp(timestamp) -> timestamp": _same, "timestamp(string) -> timestamp": to_timestamp,
        "timestamp(int) -> timestamp": to_timestamp,
    }),
    function("duration", "A duration: from a string such as `1h30m`, `90s`, `250ms`.", "duration('60m') == duration('1h')", CEL, {
        "duration(duration) -> duration": _same, "duration(string) -> duration": to_duration,
        "duration(int) -> duration": lambda value: to_duration(f"{value}ns"),
    }),
    function("dyn", "The same value, of which nothing is known before it is evaluated.", "dyn(1) == 1", CEL,
             {"dyn(A) -> dyn": _same}),
    function("type", "The type of a value, such as `int`, `string`, `list`, `map`, `null_type`.", "type(1) == int", CEL,
             {"type(A) -> type": type_of}),
)  # fmt: skip
