"""Postpones an update while a commit's subject contains one of the `hold-words`."""


def held_by(subjects: list[str], words: list[str]) -> str | None:
    """Returns the first subject that postpones the update."""
    return next((subject for subject in subjects if any(word in subject for word in words)), None)
