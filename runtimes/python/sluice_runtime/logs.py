# SPDX-License-Identifier: Apache-2.0
"""The logging integration AWS gives Python functions, installed when the user's code first imports `logging`.

A handler on the root logger writes `[LEVEL]\\t<time>Z\\t<request id>\\t<message>`, or JSON objects with
AWS_LAMBDA_LOG_FORMAT=JSON. AWS_LAMBDA_LOG_LEVEL sets the root logger's level. Field names and order, and what happens
to `extra` attributes and exceptions, are those of AWS's interface client.
"""

import json
import logging
import os
import sys
import time
import traceback

from . import State

_DATE = "%Y-%m-%dT%H:%M:%SZ"
_TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
# Attributes every record has; whatever else is on one came through `extra`.
_OWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "aws_request_id", "tenant_id", "taskName"}
# default=str: a log record with a value JSON does not know must not be lost.
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


class JsonFormatter(logging.Formatter):
    def __init__(self):
        super().__init__(datefmt=_DATE)

    def format(self, record):
        level = min(50, max(0, record.levelno)) // 10 * 10
        kind, value, tb = record.exc_info or (None, None, None)
        result = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": logging.getLevelName(level),
            "message": record.msg if isinstance(record.msg, dict) and not record.args else record.getMessage(),
            "logger": record.name,
            "stackTrace": traceback.format_tb(tb) if kind else None,
            "errorType": kind.__name__ if kind else None,
            "errorMessage": str(value) if kind else None,
            "requestId": record.aws_request_id,
            "location": "%s:%s:%s" % (record.pathname, record.funcName, record.lineno) if kind else None,
            "tenantId": record.tenant_id,
        }
        for key, extra in vars(record).items():
            if key not in _OWN and key not in result:
                result[key] = extra
        return _encode({k: v for k, v in result.items() if v is not None}) + "\n"


class LambdaLoggerHandler(logging.Handler):
    """Writes formatted records to whatever sys.stdout is at that moment, as AWS's does."""

    def emit(self, record):
        try:
            sys.stdout.write(self.format(record))
        except Exception:
            self.handleError(record)


class LambdaLoggerFilter(logging.Filter):
    def filter(self, record):
        record.aws_request_id = State.request_id
        record.tenant_id = State.tenant_id
        return True


def install():
    logging.Formatter.converter = time.gmtime
    handler = LambdaLoggerHandler()
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter(_TEXT, "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(LambdaLoggerFilter())
    root = logging.getLogger()
    root.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = "DEBUG" if level == "TRACE" else level
    if isinstance(logging.getLevelName(level), int):
        root.setLevel(level)
