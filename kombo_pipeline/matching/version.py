"""The versions of the matching rules, read without the libraries that matching needs (numpy, scipy)."""

import json
from functools import cache
from importlib import resources
from typing import Final

IDENTIFIERS: Final = "identifiers-2"
"""The version of the identifier rules: of the modules `identifiers`, `addresses`, `ats_pages`, `job_pages`, `codes`,
`objections`, and of the word lists that `objections` reads. Change it with each of those rules: stored keys are then
computed again, and the identifiers of all own jobs are compared again."""


@cache
def versions() -> tuple[str, ...]:
    """Return the versions that `core.integrations.matched_with` contains when its jobs were matched by these rules."""
    weights = json.loads(resources.files(__package__).joinpath("weights.json").read_text("utf-8"))
    return (str(weights["version"]), IDENTIFIERS)
