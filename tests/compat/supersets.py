"""Why ours answers otherwise than stock on purpose: the reasons that several cases share."""

from __future__ import annotations

HALF_PARSED = "a field that can't be read is refused; stock goes on as if it had not been sent"
DATABASE_ERROR = "the error says what is wrong; stock passes an error of its database on"
LAST_OF_TWO = "a tag said twice keeps its last value; stock fails on a constraint of its database"
CHECKED_KEYS = "keys are checked wherever they are written; stock checks only some of its endpoints"
DEFAULTS = "what is left out has a default; stock demands it or takes it for zero"
INFINITY = "±Infinity is kept; stock makes the largest number of it"
