"""From candidates to links: what identifiers decide, what a person answers, and what follows from both."""
