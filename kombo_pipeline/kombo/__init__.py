"""The other side of the wire: what Kombo sends, how it fails, and how to ask it."""
