// Tests of the rules: `npm test`. To test the whole plugin: `cowhand plugin test`.

import assert from "node:assert/strict";
import { test } from "node:test";
{{imports}}
