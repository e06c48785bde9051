// {{name}}: what this site wants of its updates. Between the contract and the rules, which are in files of their own.

import { get } from "cowhand:hooks/config@0.1.0";
{{imports}}
const KEYS = [{{keys}}];

// What the site says in `[plugin.config]`. An unknown key is an error: a typo that goes unnoticed is a policy that does not hold.
function settings() {
  const said = JSON.parse(get());
  for (const key of Object.keys(said)) {
    if (!KEYS.includes(key)) throw `[plugin.config]: unknown key \`${key}\``;
  }
  return said;
}
