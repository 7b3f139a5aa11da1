"""The guard against changes too large to believe: so many jobs would end at once that a person decides."""

from typing import Final

# Both must be exceeded: a small customer may close 3 of 4 jobs in a day, a large one 30 of 5,000.
HELD_ABOVE_JOBS: Final = 10
HELD_ABOVE_SHARE: Final = 0.2


def is_held(*, ending: int, living: int) -> bool:
    """Whether a change that ends `ending` of `living` jobs at once must wait for a person."""
    return ending > HELD_ABOVE_JOBS and ending > HELD_ABOVE_SHARE * living
