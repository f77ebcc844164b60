# SPDX-License-Identifier: Apache-2.0
"""Says hello, to a direct invocation ({"name": "Ada"}) and behind an HTTP API (?name=Ada)."""


def handler(event, context):
    name = (event.get("queryStringParameters") or event).get("name", "world")
    return {"message": "Hello, %s!" % name, "runtime": "python"}
