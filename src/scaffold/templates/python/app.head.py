"""{{name}}: a site's policy for its updates.

Connects the contract to the rules, which are in files of their own.
"""

import json

from componentize_py_types import Err
from wit_world import exports
{{imports}}

KEYS = {{{keys}}}


def settings() -> dict:
    """Returns the site's `[plugin.config]`.

    An unknown key is an error, because a typo that goes unnoticed is a policy that is not applied.
    """
    said = json.loads(config.get())
    for key in said:
        if key not in KEYS:
            raise Err(f"[plugin.config]: unknown key `{key}`")
    return said
