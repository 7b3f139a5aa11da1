"""Which rules of matching this code has, told without the libraries that matching needs."""

import json
from functools import cache
from importlib import resources
from typing import Final

IDENTIFIERS: Final = "identifiers-2"
"""Names the rules of `identifiers` and of what it is made of: addresses, codes, and the tables of `objections`. Whoever
changes one of them gives it another name: then stored keys are computed again, and all own jobs are decided again."""


@cache
def versions() -> tuple[str, ...]:
    """Return the names that `core.integrations.matched_with` holds when jobs were matched by this code's rules."""
    weights = json.loads(resources.files(__package__).joinpath("weights.json").read_text("utf-8"))
    return (str(weights["version"]), IDENTIFIERS)
