# SPDX-License-Identifier: Apache-2.0
"""JSON off the fast path: results with unusual types, and events that are not JSON.

AWS encodes with simplejson, whose rules differ from the standard library's: bytes inside a result are text, objects
with `_asdict` (named tuples) are objects, Decimal is a number with its own digits. `encode` rewrites such values to
plain ones and then uses the C encoder. Each raised message is the one AWS's client gives.
"""

import os
import sys

from . import Fault, encode_plain, refuse

_KEYS = (str, int, float, bool, type(None))


class _Rewrite:
    """One result being rewritten. Decimals become unguessable strings, which `restore` turns into bare numbers."""

    def __init__(self):
        self.token = "\u0001" + os.urandom(12).hex()
        self.numbers = []
        self.inside = set()
        self.decimal = getattr(sys.modules.get("decimal"), "Decimal", ())

    def value(self, value):
        if isinstance(value, bytes):
            return str(value, "utf-8")
        if value is None or isinstance(value, (str, int, float)):
            return value
        if isinstance(value, self.decimal):
            if value.is_nan():
                return float("nan")
            self.numbers.append(str(value))
            return "%s%d." % (self.token, len(self.numbers) - 1)
        as_dict = getattr(value, "_asdict", None)
        if not isinstance(value, (dict, list, tuple)) and not callable(as_dict):
            refuse(value)
        if id(value) in self.inside:
            raise ValueError("Circular reference detected")
        self.inside.add(id(value))
        if isinstance(value, dict):
            rewritten = {self.key(k): self.value(v) for k, v in value.items()}
        elif callable(as_dict):
            rewritten = {self.key(k): self.value(v) for k, v in as_dict().items()}
        else:
            rewritten = [self.value(item) for item in value]
        self.inside.discard(id(value))
        return rewritten

    @staticmethod
    def key(key):
        if isinstance(key, bytes):
            return str(key, "utf-8")
        if not isinstance(key, _KEYS):
            text = "keys must be str, int, float, bool or None, not %s"
            raise TypeError(text % type(key).__name__)
        return key

    def restore(self, text):
        if not self.numbers:
            return text
        parts = text.split('"' + self.token.replace("\u0001", "\\u0001"))
        out = [parts[0]]
        for part in parts[1:]:
            index, _, rest = part.partition('."')
            out.append(self.numbers[int(index)] + rest)
        return "".join(out)


def encode(value):
    rewrite = _Rewrite()
    return rewrite.restore(encode_plain(rewrite.value(value)))


def _refuse_constant(name):
    raise ValueError("Expecting value: %s is not JSON" % name)


def decode(body):
    import json

    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except Exception as e:
        raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % e) from None
