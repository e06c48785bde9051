// {{name}}: a site's policy for its updates. Connects the contract to the rules, which are in files
// of their own.

import { get } from "cowhand:hooks/config@0.1.0";
{{imports}}
const KEYS = [{{keys}}];

// Returns the site's `[plugin.config]`. An unknown key is an error, because a typo that goes
// unnoticed is a policy that is not applied.
function settings() {
  const said = JSON.parse(get());
  for (const key of Object.keys(said)) {
    if (!KEYS.includes(key)) throw `[plugin.config]: unknown key \`${key}\``;
  }
  return said;
}
