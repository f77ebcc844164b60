#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn api/<service>.json into the constant C tables that src/aws/model.h declares.

    tools/api/generate.py --out BUILD/api_tables.c      what the build does
    tools/api/generate.py --check                       CI: are api/*.json those of the botocore they name?

Input: the facts imported by import_model.py, and api/recorded.json, the few places where AWS's own messages differ
from the published models (order of enum values, patterns), and what the older model of a service that changed its
protocol says about the old one ("query": names of members, elements and errors). Output: one C file of static const data, the same bytes
for the same input.

Two facts are derived here rather than stored: the length limits that API Gateway's shape names spell out
("StringWithLengthBetween1And128"), and the name that validation messages use (first letter lowered).
"""

import argparse
import glob
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TYPES = {
    "structure": "STRUCTURE",
    "list": "LIST",
    "map": "MAP",
    "string": "STRING",
    "integer": "INTEGER",
    "long": "LONG",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "blob": "BLOB",
    "timestamp": "TIMESTAMP",
}
LOCATIONS = {
    None: "SL_IN_BODY",
    "uri": "SL_IN_URI",
    "querystring": "SL_IN_QUERY",
    "header": "SL_IN_HEADER",
    "headers": "SL_IN_HEADERS",
    "statusCode": "SL_IN_STATUS",
}
TIMES = {None: "DEFAULT", "unixTimestamp": "EPOCH", "iso8601": "ISO8601", "rfc822": "RFC822"}
PROTOCOLS = {
    "rest-json": "SL_PROTOCOL_REST_JSON",
    "rest-xml": "SL_PROTOCOL_REST_XML",
    "query": "SL_PROTOCOL_QUERY",
    "json": "SL_PROTOCOL_JSON",
    "smithy-rpc-v2-cbor": "SL_PROTOCOL_CBOR",
}


def c_string(text):
    """A C string literal of UTF-8 bytes; other bytes than printable ASCII as three octal digits."""
    out = []
    for byte in text.encode("utf-8"):
        char = chr(byte)
        if char in '"\\':
            out.append("\\" + char)
        elif 32 <= byte < 127:
            out.append("\\077" if char == "?" else char)  # no trigraphs
        else:
            out.append("\\%03o" % byte)
    return '"' + "".join(out) + '"'


def view(text):
    return "{0}" if text is None else f"{{{c_string(text)}, {len(text.encode('utf-8'))}}}"


def shown_name(name):
    return name[:1].lower() + name[1:]


class Service:
    """One service's facts, with recorded.json applied and every shape numbered."""

    def __init__(self, facts, recorded, patterns):
        self.facts = facts
        self.name = facts["service"]
        self.recorded = recorded.get(self.name, {})
        self.patterns = patterns
        self.shapes = {n: dict(s) for n, s in facts["shapes"].items()}
        self.apply_recorded()
        self.apply_query()
        self.order = {n: i for i, n in enumerate(sorted(self.shapes))}

    def apply_recorded(self):
        for name, shape in self.shapes.items():
            limits = re.search(r"WithLengthBetween(\d+)And(\d+)$", name)
            if limits and "max" not in shape:
                shape["min"], shape["max"] = int(limits[1]), int(limits[2])
            for old, new in self.recorded.get("replace", []):
                if "pattern" in shape:
                    shape["pattern"] = shape["pattern"].replace(old, new)
            if shape["t"] in ("list", "map"):
                shape["of_null"] = self.recorded.get("elements_not_null", False)
            if "enum" in shape:
                shape["enum_text"] = "[" + ", ".join(shape["enum"]) + "]"
        for name, changes in self.recorded.get("shapes", {}).items():
            shape = self.shapes[name]
            shape.update({k: v for k, v in changes.items() if k != "of_enum_text"})
            if "of_enum_text" in changes:  # a list that prints its elements' values in another order
                element = dict(self.shapes[shape["of"]], enum_text=changes["of_enum_text"])
                shape["of"] = f"{shape['of']}In{name}"
                self.shapes[shape["of"]] = element
        for path, changes in self.recorded.get("members", {}).items():
            structure, member = path.split(".")
            row = next(m for m in self.shapes[structure]["m"] if m[0] == member)
            assert changes == {"unconstrained": True}, path
            free = "Free" + row[1]
            self.shapes[free] = {"t": self.shapes[row[1]]["t"]}
            self.shapes[structure]["m"] = [[m[0], free, *m[2:]] if m[0] == member else m for m in self.shapes[structure]["m"]]

    def apply_query(self):
        """The names that a service's query protocol had, and errors that its model does not list."""
        query = self.recorded.get("query", {})
        for path, name in query.get("members", {}).items():
            structure, member = path.split(".")
            for row in self.shapes[structure]["m"]:
                if row[0] == member:
                    row[2:] = [{**(row[2] if len(row) > 2 else {}), "q": name}]
        for shape, name in query.get("elements", {}).items():
            self.shapes[shape]["w"] = name
        for shape, names in query.get("entries", {}).items():
            self.shapes[shape]["kw"], self.shapes[shape]["w"] = names
        for shape, (code, status) in query.get("errors", {}).items():
            self.shapes[shape]["err"].update(code=code, status=status)
        for shape, (code, status) in self.recorded.get("framework_errors", {}).items():
            self.shapes[shape] = {"t": "structure", "m": [], "err": {"status": status, "code": code, "framework": True}}
            for operation in self.facts["operations"].values():
                operation["errors"] = operation.get("errors", []) + [shape]
        for name, root in self.recorded.get("roots", {}).items():
            self.facts["operations"][name]["wrapper"] = root
        if self.facts.get("queryCompatible"):
            for name, operation in self.facts["operations"].items():
                if "out" in operation:
                    operation["wrapper"] = name + "Result"

    def c_name(self, kind):
        return f"{self.name}_{kind}"

    def ref(self, shape):
        return f"&{self.c_name('shapes')}[{self.order[shape]}]"

    def pattern_id(self, pattern):
        return self.patterns.setdefault(pattern, len(self.patterns) + 1)

    def member_row(self, owner, row, is_input):
        name, shape, flags = row[0], row[1], (row[2] if len(row) > 2 else {})
        location = LOCATIONS[flags.get("loc")]
        if owner.get("payload") == name:
            location = "SL_IN_PAYLOAD"
        shown = shown_name(name)
        # API Gateway's REST operations nest the body in one input object, and messages show it.
        if self.recorded.get("body_prefix") and is_input and location == "SL_IN_BODY":
            shown = is_input + "." + shown
        fields = [
            f".name = {view(name)}",
            f".wire = {view(flags.get('w', name))}",
            f".shown = {view(shown)}",
            f".shape = {self.ref(shape)}",
            f".location = {location}",
            f".time = SL_TIME_FORMAT_{TIMES[flags.get('ts')]}",
        ]
        if "q" in flags:
            fields.append(f".query = {view(flags['q'])}")
        fields += [f".{field} = true" for key, field in (("req", "required"), ("jsonvalue", "jsonvalue"), ("flat", "flat"), ("attr", "attribute"), ("streaming", "streaming")) if flags.get(key)]
        return "    {" + ", ".join(fields) + "},"

    def shape_row(self, name, shape, member_base):
        fields = [f".name = {view(name)}", f".type = SL_SHAPE_{TYPES[shape['t']]}", ".payload = -1"]
        if shape["t"] == "structure":
            if shape["m"]:
                fields += [f".members = &{self.c_name('members')}[{member_base}]", f".member_count = {len(shape['m'])}"]
            if "payload" in shape:
                fields[2] = f".payload = {[m[0] for m in shape['m']].index(shape['payload'])}"
            if "err" in shape:
                fields.append(f".error_status = {shape['err']['status']}")
                if shape["err"].get("framework"):
                    fields.append(".error_framework = true")
                if shape["err"].get("fault"):
                    fields.append(".error_fault = true")
                if "code" in shape["err"]:
                    fields.append(f".error_code = {view(shape['err']['code'])}")
        if "of" in shape:
            fields.append(f".of = {self.ref(shape['of'])}")
        if "key" in shape:
            fields.append(f".key = {self.ref(shape['key'])}")
        if "w" in shape:
            fields.append(f".of_wire = {view(shape['w'])}")
        if "kw" in shape:
            fields.append(f".key_wire = {view(shape['kw'])}")
        if "enum" in shape:
            fields += [f".enums = {self.c_name('enum')}_{self.order[name]}", f".enum_count = {len(shape['enum'])}"]
            fields.append(f".enum_text = {view(shape['enum_text'])}")
        if "pattern" in shape:
            fields += [f".pattern = {view(shape['pattern'])}", f".pattern_id = {self.pattern_id(shape['pattern'])}"]
        for key in ("min", "max"):
            if key in shape:
                fields += [f".{key} = {float(shape[key])!r}", f".has_{key} = true"]
        if "ts" in shape:
            fields.append(f".time = SL_TIME_FORMAT_{TIMES[shape['ts']]}")
        for key, field in (
            ("sensitive", "sensitive"),
            ("streaming", "streaming"),
            ("flat", "flat"),
            ("eventstream", "eventstream"),
            ("of_null", "of_null_text"),
            ("of_bare", "of_bare"),
        ):
            if shape.get(key):
                fields.append(f".{field} = true")
        return "    {" + ", ".join(fields) + "},"

    def shape_tables(self):
        names = sorted(self.shapes)
        inputs = {o["in"]: shown_name(n) + "Input" for n, o in self.facts["operations"].items() if "in" in o}
        members, rows, enums, base = [], [], [], 0
        for name in names:
            shape = self.shapes[name]
            rows.append(self.shape_row(name, shape, base))
            for member in shape.get("m", []):
                members.append(self.member_row(shape, member, inputs.get(name)))
                base += 1
            if "enum" in shape:
                values = ", ".join(view(v) for v in shape["enum"])
                enums.append(f"static const struct sl_str {self.c_name('enum')}_{self.order[name]}[] = {{{values}}};")
        shapes = self.c_name("shapes")
        out = [f"static const struct sl_shape {shapes}[{len(rows)}];"] + enums
        if members:
            out += [f"static const struct sl_member {self.c_name('members')}[{len(members)}] = {{"] + members + ["};"]
        return out + [f"static const struct sl_shape {shapes}[{len(rows)}] = {{"] + rows + ["};"]

    def operation_tables(self, first_index):
        out, rows, paths = [], [], []
        for index, (name, op) in enumerate(sorted(self.facts["operations"].items())):
            path, _, query = op["uri"].partition("?")
            segments = []
            for part in path.strip("/").split("/") if path.strip("/") else []:
                label = re.fullmatch(r"\{([^}+]+)(\+?)\}", part)
                greedy = ", .greedy = true" if label and label[2] else ""
                segments.append(f"{{.text = {view(label[1])}, .label = true{greedy}}}" if label else f"{{.text = {view(part)}}}")
            greedy = " | SL_PATH_GREEDY" if "greedy" in "".join(segments[-1:]) else ""
            paths.append(f"SL_PATH_METHOD('{op['method'][0]}', {len(op['method'])}) | {len(segments)}{greedy}")
            marks = []
            for pair in query.split("&") if query else []:
                key, _, value = pair.partition("=")
                marks.append(f"{{{view(key)}, {view(value)}}}")
            prefix = f"{self.name}_{index}"
            if segments:
                out.append(f"static const struct sl_segment {prefix}_segments[] = {{{', '.join(segments)}}};")
            if marks:
                out.append(f"static const struct sl_discriminator {prefix}_marks[] = {{{', '.join(marks)}}};")
            errors = ", ".join([self.ref(e) for e in op.get("errors", [])] + ["NULL"])
            out.append(f"static const struct sl_shape *const {prefix}_errors[] = {{{errors}}};")
            fields = [
                f".name = {view(name)}",
                f".service = &{self.c_name('service')}",
                f".method = {view(op['method'])}",
                f".uri = {view(op['uri'])}",
                f".segments = {prefix + '_segments' if segments else 'NULL'}",
                f".segment_count = {len(segments)}",
                f".discriminators = {prefix + '_marks' if marks else 'NULL'}",
                f".discriminator_count = {len(marks)}",
                f".status = {op['status']}",
                f".input = {self.ref(op['in']) if 'in' in op else 'NULL'}",
                f".output = {self.ref(op['out']) if 'out' in op else 'NULL'}",
                f".wrapper = {view(op.get('wrapper'))}",
                f".errors = {prefix}_errors",
                f".index = {first_index + index}",
            ]
            rows.append("    {" + ", ".join(fields) + "},")
        table = self.c_name("operations")
        out.append(f"static const uint16_t {self.c_name('paths')}[] = {{{', '.join(paths)}}};")
        return out + [f"static const struct sl_operation {table}[{len(rows)}] = {{"] + rows + ["};"]

    def service_row(self):
        f = self.facts
        fields = [
            f".name = {view(self.name)}",
            f".id = {view(f['serviceId'])}",
            f".api_version = {view(f['apiVersion'])}",
            f".endpoint_prefix = {view(f['endpointPrefix'])}",
            f".signing_name = {view(f['signingName'])}",
            f".xml_namespace = {view(f.get('xmlNamespace') or self.recorded.get('namespace') or self.recorded.get('query', {}).get('namespace'))}",
            f".target_prefix = {view(f.get('targetPrefix'))}",
            f".json_version = {view(f.get('jsonVersion'))}",
            f".error_prefix = {view(self.recorded.get('error_prefix', ''))}",
            f".query_compatible = {'true' if f.get('queryCompatible') else 'false'}",
            f".source = {view(f['source'])}",
            f".protocol = {PROTOCOLS[f['protocol']]}",
            f".partial = {'true' if f.get('partial') else 'false'}",
            f".operations = {self.c_name('operations')}",
            f".operation_count = {len(f['operations'])}",
            f".paths = {self.c_name('paths')}",
        ]
        return [f"static const struct sl_service {self.c_name('service')} = {{{', '.join(fields)}}};"]


def generate(folder):
    with open(os.path.join(folder, "recorded.json"), encoding="utf-8") as f:
        recorded = json.load(f)
    patterns, out, services, total = {}, [], [], 0
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        if os.path.basename(path) == "recorded.json":
            continue
        with open(path, encoding="utf-8") as f:
            service = Service(json.load(f), recorded, patterns)
        out += ["", f"// {service.name}", f"static const struct sl_service {service.c_name('service')};"]
        out += service.shape_tables() + service.operation_tables(total) + service.service_row()
        services.append(f"&{service.c_name('service')}")
        total += len(service.facts["operations"])
    out += ["", "const struct sl_service *const sl_services[] = {" + ", ".join(services) + ", NULL};"]
    out += [f"const uint16_t sl_operation_total = {total};", f"const uint16_t sl_pattern_total = {len(patterns)};"]
    head = [
        "// SPDX-License-Identifier: Apache-2.0",
        "// Written by tools/api/generate.py from api/*.json: do not edit. See src/aws/model.h.",
        "// clang-format off",
        '#include "aws/model.h"',
    ]
    return "\n".join(head + out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--api", default=os.path.join(ROOT, "api"), help="folder of the JSON files")
    parser.add_argument("--out", help="C file to write")
    parser.add_argument("--check", action="store_true", help="exit 1 if api/*.json are stale (needs botocore)")
    args = parser.parse_args()
    if args.check:
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
        import import_model

        sys.argv = [sys.argv[0], "--check", "--out", args.api]
        return import_model.main()
    text = generate(args.api)
    if args.out:
        with open(args.out, "w", encoding="utf-8") as f:
            f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
