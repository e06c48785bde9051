"""{{name}}: what this site wants of its updates. Between the contract and the rules, which are in files of their own."""

import json

from componentize_py_types import Err
from wit_world import exports
{{imports}}

KEYS = {{{keys}}}


def settings() -> dict:
    """What the site says in `[plugin.config]`. An unknown key is an error: a typo that goes unnoticed is a policy that does not hold."""
    said = json.loads(config.get())
    for key in said:
        if key not in KEYS:
            raise Err(f"[plugin.config]: unknown key `{key}`")
    return said
