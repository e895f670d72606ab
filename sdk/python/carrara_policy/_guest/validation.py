"""World ``manifest-validation``."""

from __future__ import annotations

from . import surroundings

surroundings.close_clock()

import policy as _author  # noqa: E402, F401  (the author's module)
from wit_world.exports import manifest_validator  # noqa: E402

from .. import validation  # noqa: E402
from .._policy import registered  # noqa: E402
from . import configuration  # noqa: E402

_SEVERITIES = {"error": manifest_validator.Severity.ERROR, "warning": manifest_validator.Severity.WARNING}

_function = registered(validation.WORLD)

Configuration = configuration.exported(_function)


class ManifestValidator:
    def validate(self, proposal: manifest_validator.Proposal) -> list[manifest_validator.Finding]:
        surroundings.close_files()
        findings = validation.answer(_function, proposal)
        surroundings.flush()
        return [
            manifest_validator.Finding(_SEVERITIES[it.severity], it.code, it.path, it.message, it.hint) for it in findings
        ]
