# SPDX-License-Identifier: Apache-2.0
"""The function of test_seven_languages.py, in Python: does what its event says."""

import os
import time

count = 0


def fail(message):
    raise ValueError(message)


def handler(event, context):
    global count
    count += 1
    do = event["do"]
    print("doing", do)
    if do == "echo":
        return event["value"]
    if do == "env":
        return os.environ.get(event["value"])
    if do == "count":
        return count
    if do == "sleep":
        time.sleep(1000)
    return fail(event["value"])
