"""What Python's jinja2, set up as transformers sets it up, renders.

Reads {"now": seconds, "jobs": [{"template": text, "variables": [{...}, ...]}, ...]} from the standard input and writes
a list for each job: {"text": ...} or {"error": ..., "raised": whether the template refused} for each of its variables.
Lists may be changed by templates, which transformers' sandbox refuses and some templates need.
"""

import datetime
import json
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import SandboxedEnvironment


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


class Raised(Exception):
    pass


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def raise_exception(message):
    raise Raised(message)


def main():
    request = json.load(sys.stdin)
    now = datetime.datetime.fromtimestamp(request["now"])
    environment = SandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols, jinja2.ext.do]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = now.strftime
    answers = []
    for job in request["jobs"]:
        rendered = []
        try:
            template = environment.from_string(job["template"])
        except Exception as error:
            line = getattr(error, "lineno", None)
            rendered = [{"error": f"{type(error).__name__}: {error}", "raised": False, "line": line}] * len(job["variables"])
            answers.append(rendered)
            continue
        for variables in job["variables"]:
            try:
                rendered.append({"text": template.render(**variables)})
            except Exception as error:
                rendered.append({"error": f"{type(error).__name__}: {error}", "raised": isinstance(error, Raised)})
        answers.append(rendered)
    json.dump(answers, sys.stdout)


main()
