"""Says in the log how a run ended. Replace it by what shall be told to whom."""

import json


def outcome(event: str) -> str | None:
    """The end of the run in words; none for other events."""
    told = json.loads(event)
    return f"the run ended: {told['message']}" if told["event"] == "outcome" else None
