# SPDX-License-Identifier: Apache-2.0
"""What happens when the user's code fails: AWS's error object, its log line, and the report of a failed start.

Loaded at the first failure only: `traceback` brings linecache and tokenize with it. The shapes are those of AWS's
interface client for Python: errorMessage, errorType, requestId, stackTrace (frames as traceback.format_list gives
them); the log line joins its parts by carriage returns, so that it stays one record.
"""

import os
import sys
import time
import traceback

from . import EXIT_WAIT, Fault, encode

_INDENT = "\u00a0"  # log viewers swallow leading blanks; AWS prints no-break spaces instead
_OWN = __file__.rpartition("/")[0]
_OWN_SCRIPT = _OWN.rpartition("/")[0] + "/bootstrap.py"


def _message(value):
    try:
        return str(value)
    except Exception as e:  # an exception whose __str__ fails must not end the runtime
        return "<unprintable %s: %s>" % (type(value).__name__, type(e).__name__)


def _frames(tb):
    """The formatted frames from the user's first one on."""
    frames = [(f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(tb)]
    for i, frame in enumerate(frames):
        if not frame[0].startswith(_OWN + "/") and frame[0] != _OWN_SCRIPT:
            return traceback.format_list(frames[i:])
    return []


def describe(exc_info, request_id=""):
    """AWS's error object for the exception being handled."""
    kind, value, tb = exc_info
    if isinstance(value, Fault):
        message, error_type, trace = value.message, value.kind, value.trace or []
    else:
        message, error_type, trace = _message(value), kind.__name__, _frames(tb)
    return {"errorMessage": message, "errorType": error_type, "requestId": request_id, "stackTrace": trace}


def body(report):
    return encode(report).encode("utf-8", "backslashreplace")


def _indented(line):
    text = line.lstrip(" ")
    return _INDENT * (len(line) - len(text)) + text


def log(report):
    """Writes the `[ERROR]` line, or its JSON form with AWS_LAMBDA_LOG_FORMAT=JSON."""
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        sys.stdout.write(encode({"timestamp": now, "level": "ERROR", **report}) + "\n")
        return
    first = "[ERROR] " + report["errorType"]
    if report["errorMessage"]:
        first += ": " + report["errorMessage"]
    lines = [first, "Traceback (most recent call last):"]
    for entry in report["stackTrace"]:
        lines += [_indented(line) for line in entry.splitlines()]
    sys.stdout.write("\r".join(lines) + "\n")


def fail(api, exc_info, path, error_type, status):
    """Reports what keeps this process from serving, to that path of the Runtime API, and ends it."""
    report = describe(exc_info)
    log(report)
    sys.stdout.flush()
    try:
        api.post_last(path, body(report), error_type or report["errorType"])
    except Exception as e:
        text = "[ERROR] %s not reported within %.0f s: %s\n" % (
            path.replace("/", " "), EXIT_WAIT, _message(e) or type(e).__name__)
        sys.stderr.write(text)
    sys.exit(status)


def fail_init(api, exc_info):
    """Reports that the handler could not be loaded, and ends the process."""
    fail(api, exc_info, "init/error", None, 1)
