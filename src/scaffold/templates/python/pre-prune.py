"""Keeps images whose reference begins with an entry in `keep`."""


def is_kept(references: list[str], keep: list[str]) -> bool:
    """Returns True if one of an image's references begins with an entry in the list."""
    return any(reference.startswith(prefix) for reference in references for prefix in keep)
