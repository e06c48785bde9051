// The rules, on this machine: `npm test`. The whole plugin: `cowhand plugin test`.

import assert from "node:assert/strict";
import { test } from "node:test";
{{imports}}
