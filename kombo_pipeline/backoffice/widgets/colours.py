"""The colour of the chip of each code, as a class of style.css: good, info, warn, bad, or none."""

from collections.abc import Mapping
from typing import Final

from kombo_pipeline import vocabulary
from kombo_pipeline.vocabulary import Band, LinkState

BANDS: Final[Mapping[Band, str]] = dict(zip(vocabulary.BANDS, ("good", "info", "warn", ""), strict=True))
"""From the likeliest band to the least likely one."""
DECISIONS: Final[Mapping[vocabulary.Decision, str]] = {
    "accepted": "good",
    "rejected": "bad",
    "no_counterpart": "warn",
    "unsure": "info",
    "undone": "",
}
LINK_STATES: Final[Mapping[LinkState, str]] = {"active": "good", "suspended": "warn", "retired": ""}
