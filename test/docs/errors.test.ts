// docs/errors.md lists every code, with the exit code that the command line has for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { reportOf } from "../../src/cli/exit-codes.ts";
import { errorCodes, TsdosError } from "../../src/index.ts";
import { readText } from "./support.ts";

test("docs/errors.md documents every error code, in their order, with its exit code", () => {
  const rows = readText("docs/errors.md").matchAll(/^\| `([A-Z_]+)` \|.*\| (\d+) \|$/gm);
  const documented = Array.from(rows, ([, code, exitCode]) => [code, Number(exitCode)]);
  const actual = errorCodes.map((code) => [code, reportOf(new TsdosError(code, "")).exitCode]);
  assert.deepEqual(documented, actual);
});
