"""What arrived of a run, in the JSON that `/api/v1/runs/{run_id}/delivery` answers and the command line prints."""

from __future__ import annotations

from collections.abc import Mapping

from mltrail._delivery import Arrived, ProcessDelivery, Rejection
from mltrail._reader.mlflow_json import items
from mltrail_core.errors import Unavailable


def arrived_of(answer: object) -> Arrived:
    """Return what the answer says.

    Raises:
        Unavailable: it is no such thing, so whoever answered is not an mltrail of this version.
    """
    match answer:
        case {"is_complete": bool(is_complete), "producers": list(), "rejections": list(), **rest}:
            status, behind = rest.get("status"), rest.get("unprojected_records")
            return Arrived(
                status=status if isinstance(status, str) else None,
                is_complete=is_complete,
                processes=tuple(_process(item) for item in items(answer, "producers")),
                rejected=tuple(_rejection(item) for item in items(answer, "rejections")),
                unprojected_records=behind if isinstance(behind, int) else 0,
            )
    raise Unavailable(f"the answer describes no delivery: {str(answer)[:200]}; is it an mltrail of another version?")


def _process(item: Mapping[str, object]) -> ProcessDelivery:
    host = item.get("host")
    return ProcessDelivery(
        producer=str(item.get("producer", "")),
        host=host if isinstance(host, str) else None,
        process_id=_whole(item.get("process_id")),
        rank=_whole(item.get("rank")),
        received=str(item.get("intervals", "")),
        missing=str(item.get("missing", "")),
        last_sequence=_whole(item.get("last_sequence")),
        is_complete=item.get("is_complete") is True,
        last_seen_us=_whole(item.get("last_seen_us")) or 0,
    )


def _rejection(item: Mapping[str, object]) -> Rejection:
    event = item.get("wire_name")
    return Rejection(
        event if isinstance(event, str) else None, str(item.get("reason", "")), str(item.get("message", ""))
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
