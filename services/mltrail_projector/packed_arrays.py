"""Columns of cells as PostgreSQL's binary arrays, made by numpy: psycopg looks at each element of a list in Python,
which took longer than the database needed to write the rows.

The format is that of `array_send` in PostgreSQL's `arrayfuncs.c`: dimensions, whether there are NULLs, the elements'
OID, length and lower bound, then each element's size (-1: NULL) and bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

import numpy as np
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, PyFormat
from psycopg.pq import Format
from sqlalchemy import BigInteger, Connection, Dialect, Double, Integer, LargeBinary
from sqlalchemy.types import Text, TypeEngine, UserDefinedType

_HEADER, _SIZE = Struct(">iiIii"), Struct(">i")
_NULL = _SIZE.pack(-1)


@dataclass(frozen=True, slots=True)
class PackedArray:
    """A parameter that goes to the server as it is."""

    oid: int
    data: bytes


class PackedColumn(UserDefinedType[Sequence[Any]]):
    """The type of a parameter that is an array of a column's cells."""

    cache_ok = True
    render_bind_cast = True

    def __init__(self, name: str, array_oid: int, element_oid: int, number: str | None) -> None:
        self.name = name
        self.array_oid = array_oid
        self.element_oid = element_oid
        self.number = number

    def get_col_spec(self, **_: object) -> str:
        """Return the type's name in SQL."""
        return f"{self.name}[]"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], PackedArray]:
        """Return what packs the cells."""
        return self._pack

    def _pack(self, cells: Sequence[Any]) -> PackedArray:
        has_null = None in cells
        if self.number is not None and not has_null:
            elements = np.empty(len(cells), dtype=[("size", ">i4"), ("value", self.number)])
            elements["size"] = elements.dtype["value"].itemsize
            elements["value"] = cells
            packed = elements.tobytes()
        else:
            packed = b"".join([part for cell in cells for part in self._element(cell)])
        return PackedArray(self.array_oid, _HEADER.pack(1, has_null, self.element_oid, len(cells), 1) + packed)

    def _element(self, cell: Any) -> tuple[bytes, ...]:
        if cell is None:
            return (_NULL,)
        if self.number is not None:
            cell = np.array(cell, dtype=self.number).tobytes()
        elif isinstance(cell, str):
            cell = cell.encode()
        return (_SIZE.pack(len(cell)), cell)


_COLUMNS: tuple[tuple[type[TypeEngine[Any]], PackedColumn], ...] = (  # a BigInteger is an Integer to SQLAlchemy
    (BigInteger, PackedColumn("int8", 1016, 20, ">i8")),
    (Integer, PackedColumn("int4", 1007, 23, ">i4")),
    (Double, PackedColumn("float8", 1022, 701, ">f8")),
    (LargeBinary, PackedColumn("bytea", 1001, 17, None)),
    (Text, PackedColumn("text", 1009, 25, None)),
)


def packed_column(of: TypeEngine[Any]) -> PackedColumn:
    """Return the type of a parameter that holds cells of a column of this type.

    Raises:
        TypeError: no table that is written in sets has such a column yet.
    """
    for kind, packed in _COLUMNS:
        if isinstance(of, kind):
            return packed
    raise TypeError(f"columns of {of!r} can't be packed; add their type's OIDs")


def take_packed_arrays(connection: Connection) -> None:
    """Let the connection take `PackedArray` for a parameter."""
    if "mltrail_packed_arrays" not in connection.info:
        driver: Any = connection.connection.driver_connection
        driver.adapters.register_dumper(PackedArray, _Dumper)
        connection.info["mltrail_packed_arrays"] = True


class _Dumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: PackedArray) -> Buffer | None:
        return obj.data

    def get_key(self, obj: PackedArray, format: PyFormat) -> tuple[type, ...]:
        return (PackedArray, _OID_TYPES[obj.oid])

    def upgrade(self, obj: PackedArray, format: PyFormat) -> Dumper:
        dumper = type(self)(PackedArray)
        dumper.oid = obj.oid
        return dumper


_OID_TYPES: dict[int, type] = {packed.array_oid: type(packed.name, (), {}) for _, packed in _COLUMNS}
"""Psycopg wants a class where it keeps a dumper for each kind of value."""
