# SPDX-License-Identifier: Apache-2.0
"""Recorded cases about what is a name of a function, and what a qualifier."""

import re

import botocore.exceptions

from replay import ACCOUNT, ECHO, ROLE, case
from support import zip_bytes

ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:my-function"
PLACE = ARN.replace("us-east-1", "invalid-region")
NAMES = {
    "function_name_is_single_invalid": ("*", None),
    "invalid_characters_in_function_name": ("my-function!", None),
    "invalid_characters_in_qualifier": ("my-function", "invalid!"),
    "qualifier_too_long0": ("my-function", "a" * 129),
    "qualifier_too_long1": ("my-function:" + "a" * 65, None),
    "qualifier_too_long": ("my-function", "a" * 129),
    "function_name_and_qualifier_too_long": ("my-function:" + "a" * 65, None),
    "function_name_too_long": ("a" * 65, None),
    "function_name_too_long_and_invalid_region": (PLACE + "a" * 170, None),
    "full_arn_and_qualifier_too_long_and_invalid_region": (f"{PLACE}-" + "a" * 170, "a" * 129),
    "invalid_account_id_in_partial_arn": ("invalid-account:function:my-function", None),
    "invalid_region_in_arn": (PLACE, None),
    "non_lambda_arn": (f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance:i-1234567890abcdef0", None),
    "full_arn_with_multiple_qualifiers": (ARN + ":1:2", None),
    "incomplete_arn": (ARN.rsplit(":", 1)[0], None),
    "partial_arn_with_extra_qualifier": ("function:my-function:$LATEST:extra", None),
    "latest_version_with_additional_qualifier": (ARN + ":$LATEST", "1"),
    "lowercase_latest_qualifier": ("my-function", "$latest"),
    "missing_region_in_arn": (ARN.replace("us-east-1", ""), None),
    "missing_account_id_in_arn": (ARN.replace(ACCOUNT, ""), None),
    "misspelled_latest_in_arn": (ARN + ":$LATES", None),
}
CODE = {"Role": ROLE, "Runtime": "python3.12", "Handler": "index.handler", "Code": {"ZipFile": zip_bytes(ECHO)}}


def as_recorded(error):
    """A refusal in the form that these cases were recorded in: the list of failed constraints, or the message."""
    code, message = error["Code"], error["Message"]
    failed = re.match(r"(\d+) validation errors? detected: (.*)", message, re.DOTALL)
    if not failed:
        return {"Code": code, "Message": message}
    return {"Code": code, "Count": int(failed[1]), "Errors": sorted(re.split(r"; (?=Value )", failed[2]))}


for method in ("get_function", "delete_function", "invoke", "create_function"):
    for name, (function, qualifier) in NAMES.items():

        @case(f"test_function_name_and_qualifier_validation[{name}-{method}]", method=method, function=function, qualifier=qualifier)
        def _(r, method, function, qualifier):
            if not r.recorded:  # AWS had nothing against it, or the recorder did not look
                return
            arguments = {"FunctionName": function, **({"Qualifier": qualifier} if qualifier else {})}
            if method == "create_function":
                recorded = r.recorded[f"{method}_exception"].get("Errors", [""])[0]
                sent = re.match(r"Value '(.*?)' at 'functionName'", recorded)
                arguments = {"FunctionName": sent[1] if sent else function, **CODE}
            try:
                r.quiet(method, **arguments)
                r.problems.append("was not refused")
            except botocore.exceptions.ClientError as error:
                found = as_recorded(error.response["Error"])
            if "Errors" in r.recorded[f"{method}_exception"]:
                r.recorded[f"{method}_exception"]["Errors"].sort()
            r.see(f"{method}_exception", found)
