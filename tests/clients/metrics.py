"""Reads Prometheus' text format with Prometheus' own Python library and nothing of this project.

Takes the text from standard input. Prints JSON: {"family": {"type", "help", "samples": [[name, labels, value]]}}. A family that
the parser does not take, or that is there twice, ends it with an error, and so does a histogram that does not add up.
"""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = {}
for family in text_string_to_metric_families(sys.stdin.read()):
    if family.name in families:
        sys.exit(f"{family.name} is there twice")
    samples = [[sample.name, sample.labels, sample.value] for sample in family.samples]
    families[family.name] = {"type": family.type, "help": family.documentation, "samples": samples}

for name, family in families.items():
    if family["type"] != "histogram":
        continue
    last = {}
    for sample, labels, value in family["samples"]:
        series = tuple(sorted((key, text) for key, text in labels.items() if key != "le"))
        if sample.endswith("_bucket"):
            if value < last.get(series, 0):
                sys.exit(f"buckets of {name} {series} do not grow")
            last[series] = value
        if sample.endswith("_count") and value != last.get(series):
            sys.exit(f"the last bucket of {name} {series} is not the count")

json.dump(families, sys.stdout)
