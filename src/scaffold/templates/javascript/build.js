// Builds {{name}}.wasm: the component, followed by the section with its requests.

import { readFileSync, writeFileSync } from "node:fs";
import { componentize } from "@bytecodealliance/componentize-js";

// Encodes a length as WebAssembly does.
function length(number) {
  return number < 128 ? [number] : [(number % 128) + 128, ...length(Math.floor(number / 128))];
}

// Encodes a custom section.
function section(name, content) {
  const body = [...length(name.length), ...Buffer.from(name), ...content];
  return Buffer.from([0, ...length(body.length), ...body]);
}

// A plugin decides and logs, so it needs no web APIs.
const { component } = await componentize({
  sourcePath: "plugin.js",
  witPath: "wit",
  worldName: "plugin",
  disableFeatures: ["stdio", "random", "clocks", "http", "fetch-event"],
});
const requests = section("cowhand:requests", readFileSync("requests.json"));
writeFileSync("{{name}}.wasm", Buffer.concat([component, requests]));
