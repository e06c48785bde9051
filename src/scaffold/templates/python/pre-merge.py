"""Holds an update back while a commit's subject has one of the `hold-words`."""


def held_by(subjects: list[str], words: list[str]) -> str | None:
    """The first subject that holds the update back."""
    return next((subject for subject in subjects if any(word in subject for word in words)), None)
