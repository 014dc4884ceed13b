"""Arrays of numbers as bytes at rest: compressed by pcodec, or as they are where pcodec does not give them back."""

from __future__ import annotations

from collections.abc import Sequence

import msgpack
import numpy as np
import numpy.typing as npt
from pcodec import ChunkConfig, standalone  # type: ignore[import-untyped]

from mltrail_core.errors import Invalid

_COMPRESSED, _PLAIN = 1, 0
_LEVEL = 4
"""Of 12: level 8 takes half as long again for 2 % less."""

Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]


def pack(arrays: Sequence[Numbers]) -> bytes:
    """Return the arrays, of int64 or float64, bit by bit as they are, as msgpack [[how, type, bytes], …]."""
    packed: bytes = msgpack.packb([_pack_one(array) for array in arrays])
    return packed


def unpack(packed: bytes) -> list[npt.NDArray[np.int64]]:
    """Return the arrays that `pack` was given; those of float64 show their bits as int64."""
    return [_unpack_one(*parts) for parts in msgpack.unpackb(packed)]


def _pack_one(array: Numbers) -> list[object]:
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    try:
        compressed = standalone.simple_compress(plain, ChunkConfig(compression_level=_LEVEL))
        again = standalone.simple_decompress(compressed)
    except RuntimeError:  # what pcodec can't take, it says so; the bytes themselves are always right
        again = None
    is_given_back = again is not None and again.dtype == plain.dtype and again.tobytes() == plain.tobytes()
    if is_given_back and len(compressed) < plain.nbytes:
        return [_COMPRESSED, plain.dtype.kind, compressed]
    return [_PLAIN, plain.dtype.kind, plain.tobytes()]


def _unpack_one(how: int, kind: str, packed: bytes) -> npt.NDArray[np.int64]:
    if how == _PLAIN:
        return np.frombuffer(packed, dtype="<i8")
    if how == _COMPRESSED:
        unpacked = standalone.simple_decompress(packed)
        if unpacked is not None and unpacked.dtype.kind == kind:
            bits: npt.NDArray[np.int64] = unpacked.view(np.int64)
            return bits
    raise Invalid(f"a chunk's column is packed in a way ({how!r}, {kind!r}) that this version of mltrail does not know")
