"""Stops an update if an image has one of the tags in `refuse`."""


def is_refused(reference: str, tags: list[str]) -> bool:
    """Returns True if an image's tag is in the list."""
    _, _, tag = reference.rpartition("/")[2].partition(":")
    return (tag or "latest") in tags
