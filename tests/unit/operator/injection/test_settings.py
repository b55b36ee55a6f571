"""The administrator's settings, the JSON patches, quantities."""

import json
from decimal import Decimal
from typing import Any

import jsonpatch
import pytest

from outrider_operator.core.injection_config import ENV_CONFIG, ConfigError, from_env
from outrider_operator.core.json_patch import PatchError, Patching, apply
from outrider_operator.core.quantity import parse_quantity

LEAST = {"trackerUrl": "https://t.test:8443", "image": "i:1"}


def test_settings_are_read_from_json_with_durations_and_quantities() -> None:
    """Every kind of value in its written form."""
    text = json.dumps({**LEAST, "linger": "1m", "spoolLimit": "2Gi", "capture": "none", "imagePullSecrets": ["a"]})
    found = from_env({ENV_CONFIG: text})
    assert (found.linger, found.spool_limit, found.capture, found.image_pull_secrets) == (60, 2 << 30, "none", ("a",))
    assert found.ca is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", 'OUTRIDER_INJECTION is not set: it must be a JSON object with at least "trackerUrl" and "image"'),
        ("{", "OUTRIDER_INJECTION must be a JSON object"),
        ("[]", "OUTRIDER_INJECTION must be a JSON object, not"),
        ("{}", r"missing settings \['image', 'trackerUrl'\]"),
        (json.dumps({**LEAST, "colour": 1}), r"unknown settings \['colour'\]; known are"),
        (json.dumps({**LEAST, "trackerUrl": "tracker"}), "trackerUrl='tracker' must be https://host:port"),
        (json.dumps({**LEAST, "image": "a b"}), "image='a b' must be the name of the sidecar's image"),
        (json.dumps({**LEAST, "linger": "soon"}), "'soon' is not a duration"),
        (json.dumps({**LEAST, "capture": "shell"}), "'shell' is not a valid Capture"),
        (json.dumps({**LEAST, "burstable": {"limits": {"cpu": "much"}}}), "burstable.limits: 'much' is not a quantity"),
        (json.dumps({**LEAST, "burstable": {"limit": {}}}), r"burstable may have requests and limits, not \['limit'\]"),
        (
            json.dumps({**LEAST, "guaranteed": {"limits": {"cpu": "1", "memory": "1Gi"}}}),
            "guaranteed: requests and limits must be equal",
        ),
        (json.dumps({**LEAST, "guaranteed": {}}), "guaranteed: cpu and memory must both be set"),
    ],
)
def test_bad_settings_stop_the_process_with_a_sentence(text: str, sentence: str) -> None:
    """At start, where somebody looks, and not at the first pod."""
    with pytest.raises(ConfigError, match=sentence):
        from_env({ENV_CONFIG: text} if text else {})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("100m", Decimal("0.1")),
        ("1.5Gi", Decimal(3 << 29)),
        ("2e3", Decimal(2000)),
        ("1E", Decimal(10**18)),
        ("1Ei", Decimal(2**60)),
        (".5", Decimal("0.5")),
        (3, Decimal(3)),
        ("0", Decimal(0)),
    ],
)
def test_quantities(text: object, value: Decimal) -> None:
    """As Kubernetes documents them."""
    assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["", "1 Gi", "Gi", "1gi", "0x10", "1e", "1e999", None, "1m5"])
def test_what_is_no_quantity_is_refused(text: object) -> None:
    """With the text in the message."""
    with pytest.raises(ValueError, match="is not a quantity such as"):
        parse_quantity(text)


def test_patching_agrees_with_an_independent_library() -> None:
    """Missing and null parents, keys with slashes and tildes, items of lists."""
    document: dict[str, Any] = {"a": {"list": [{"x": 1}], "null": None, "empty": []}, "b": 1}
    patching = Patching(document)
    patching.put(2, "b")
    patching.put("v", "a", "slash/and~tilde")
    patching.append({"y": 1}, "a", "list")
    patching.append(1, "a", "null")
    patching.append(1, "a", "empty")
    patching.append(2, "a", "empty")
    patching.put_in_map("k", "v", "labels")
    patching.put_in_map("k/2", "v", "labels")
    patching.put(5, "a", "list", 0, "x")
    expected = {
        "a": {"list": [{"x": 5}, {"y": 1}], "null": [1], "empty": [1, 2], "slash/and~tilde": "v"},
        "b": 2,
        "labels": {"k": "v", "k/2": "v"},
    }
    assert patching.document == expected
    assert jsonpatch.apply_patch(document, patching.operations) == expected
    assert document["b"] == 1


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/missing/x", "value": 1},
        {"op": "replace", "path": "/missing", "value": 1},
        {"op": "replace", "path": "/list/1", "value": 1},
        {"op": "add", "path": "/list/0/x", "value": 1},
        {"op": "remove", "path": "/list", "value": None},
        {"op": "test", "path": "/list", "value": [1]},
        {"op": "add", "path": "", "value": {}},
    ],
)
def test_an_operation_that_does_not_apply_is_refused(operation: dict[str, Any]) -> None:
    """The API server would refuse the pod for it."""
    with pytest.raises(PatchError):
        apply({"list": [1]}, [operation])
