"""MLflow's ViewType as requests carry it: by name or by number."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from mltrail_api.search.expression import ViewType

_BY_NUMBER = {1: ViewType.ACTIVE_ONLY, 2: ViewType.DELETED_ONLY, 3: ViewType.ALL}
_BY_WORD = {view_type.name: view_type for view_type in ViewType} | {str(n): found for n, found in _BY_NUMBER.items()}


def _view_type(value: object) -> ViewType:
    if type(value) is int and value in _BY_NUMBER:
        return _BY_NUMBER[value]
    if isinstance(value, str) and value in _BY_WORD:
        return _BY_WORD[value]
    raise PydanticCustomError("view_type", "expected ACTIVE_ONLY, DELETED_ONLY or ALL")


AnyViewType = Annotated[ViewType, BeforeValidator(_view_type)]
"""In a query the number is a text."""
