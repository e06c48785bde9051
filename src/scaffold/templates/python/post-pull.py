"""Stops an update whose images have one of the tags in `refuse`."""


def is_refused(reference: str, tags: list[str]) -> bool:
    """Whether an image's tag is in the list."""
    _, _, tag = reference.rpartition("/")[2].partition(":")
    return (tag or "latest") in tags
