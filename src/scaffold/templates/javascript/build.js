// Makes {{name}}.wasm: the component, and behind it the section that says what it wants to be allowed.

import { readFileSync, writeFileSync } from "node:fs";
import { componentize } from "@bytecodealliance/componentize-js";

// A length as WebAssembly writes it.
function length(number) {
  return number < 128 ? [number] : [(number % 128) + 128, ...length(Math.floor(number / 128))];
}

// A custom section.
function section(name, content) {
  const body = [...length(name.length), ...Buffer.from(name), ...content];
  return Buffer.from([0, ...length(body.length), ...body]);
}

// A plugin decides and logs: of the web's own functions none is needed.
const { component } = await componentize({
  sourcePath: "plugin.js",
  witPath: "wit",
  worldName: "plugin",
  disableFeatures: ["stdio", "random", "clocks", "http", "fetch-event"],
});
const requests = section("cowhand:requests", readFileSync("requests.json"));
writeFileSync("{{name}}.wasm", Buffer.concat([component, requests]));
