"""The site's side wins for the paths in `ours`: files, and directories that end with `/`."""


def is_ours(path: str, ours: list[str]) -> bool:
    """Returns True if a path is in the list."""
    return any(path == entry or entry.endswith("/") and path.startswith(entry) for entry in ours)
