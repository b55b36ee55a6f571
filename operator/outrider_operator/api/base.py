"""What all models of the API share: spelling on the wire, unknown fields, strings that are cut, durations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

DURATION_PATTERN: Final = r"^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$"
_DURATION = re.compile(r"(?:(?P<h>[0-9]{1,5})h)?(?:(?P<m>[0-9]{1,5})m)?(?:(?P<s>[0-9]{1,6})s)?")


class Model(BaseModel):
    """A piece of an object. Unknown fields are dropped, so that an older controller reads what a newer one stored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
        ser_json_inf_nan="strings",
    )

    def to_wire(self) -> dict[str, Any]:
        """The object as the API server takes it: camelCase, absent fields left out, times as RFC 3339 strings."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def parse_duration(text: str) -> int:
    """Seconds of a duration such as ``90s``, ``10m`` or ``1h30m``.

    Raises:
        ValueError: the text is empty or is no such duration; the message says what one looks like.

    """
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration such as 30s, 10m or 1h30m")
    hours, minutes, seconds = (int(match[unit] or 0) for unit in "hms")
    return hours * 3600 + minutes * 60 + seconds


@dataclass(frozen=True)
class Between:
    """Marks a string as a duration from low to high; the API server says so with a CEL rule."""

    low: str
    high: str

    def check(self, text: str) -> str:
        """The text, if it is such a duration; raises ValueError with a sentence if not."""
        if not parse_duration(self.low) <= parse_duration(text) <= parse_duration(self.high):
            raise ValueError(f"{text} is not between {self.low} and {self.high}")
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        rule = {
            "rule": f"duration(self) >= duration('{self.low}') && duration(self) <= duration('{self.high}')",
            "message": f"must be a duration between {self.low} and {self.high}, such as 30s, 10m or 1h30m",
        }
        bounds = {"minLength": 2, "maxLength": 20, "pattern": DURATION_PATTERN}
        return {**handler(schema), **bounds, "x-kubernetes-validations": [rule]}


def clip(text: str, limit: int) -> str:
    """The text in at most limit bytes of UTF-8, with an ellipsis where it was cut."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit:
        return raw.decode("utf-8")
    return raw[: limit - 3].decode("utf-8", "ignore") + "…"


@dataclass(frozen=True)
class Clip:
    """Marks a status string that is cut to limit bytes: a refused status write would hide all the rest too."""

    limit: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(lambda text: clip(text, self.limit), handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "maxLength": self.limit}


@dataclass(frozen=True)
class Last:
    """Marks a status list of which only the last count items are kept."""

    count: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(lambda items: items[-self.count :], handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "maxItems": self.count}


def list_map(*keys: str) -> dict[str, Any]:
    """Schema marks of a list that server-side apply merges by the given fields."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
