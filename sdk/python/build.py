"""Builds a policy: makes a component of the author's module, this SDK and CPython (componentize-py).

    python build.py --world WORLD --project FOLDER --wit FOLDER --out FILE

Runs in an environment that has what requirements.txt names. The project's ``policy.py`` may import modules that lie beside it.
Nothing is downloaded. An error names the source's line where there is one; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

GUESTS = {
    "role-authorization": "authorization",
    "marble-admission": "admission",
    "manifest-validation": "validation",
}


def main() -> int:
    options = _options()
    os.environ["RUST_BACKTRACE"] = "0"
    # Where modules are looked for besides the project and this SDK; other environments would put theirs into the component.
    os.environ["VIRTUAL_ENV"] = sys.prefix
    os.environ.pop("PYTHONPATH", None)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = options.out.with_name(f".{options.out.name}.{os.getpid()}")
    sys.argv = [
        "componentize-py", "--quiet", "--wit-path", str(options.wit), "--world", options.world, "componentize",
        "--stub-wasi", "--python-path", str(options.project), "--python-path", str(HERE),
        f"carrara_policy._guest.{GUESTS[options.world]}", "--output", str(temporary),
    ]  # fmt: skip
    import componentize_py

    try:
        code = int(componentize_py.script() or 0)
        if code == 0:
            os.replace(temporary, options.out)
        return code
    except AssertionError as error:
        print(_shown(str(error)), file=sys.stderr)
        return 1
    finally:
        temporary.unlink(missing_ok=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Builds a policy.")
    parser.add_argument("--world", choices=GUESTS, required=True)
    for name in ("--project", "--wit", "--out"):
        parser.add_argument(name, type=Path, required=True)
    return parser.parse_args()


def _shown(error: str) -> str:
    """What an author can use of an error: without the frames of Rust and of this SDK."""
    error = error.split("\nStack backtrace:")[0].split("\n\nCaused by:")[0].rstrip()
    lines, kept = error.split("\n"), []
    skipping = False
    for line in lines:
        if line.startswith("  File "):
            skipping = "/carrara_policy/" in line
        elif not line.startswith("    "):
            skipping = False
        if not skipping:
            kept.append(re.sub(r'File "/\d+/', 'File "', line))
    return "\n".join(kept)


if __name__ == "__main__":
    sys.exit(main())
