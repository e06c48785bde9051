"""Keeps images whose reference begins with one of `keep`."""


def is_kept(references: list[str], keep: list[str]) -> bool:
    """Whether one of an image's references begins with one of the list."""
    return any(reference.startswith(prefix) for reference in references for prefix in keep)
