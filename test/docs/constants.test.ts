// docs/architecture.md names every folder of src, and the values of constants that it gives are those of the code.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { project, readText } from "./support.ts";

const UNITS: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** The value of `const NAME = A * B ** C`, with numbers in any spelling. */
function valueIn(code: string, name: string): number {
  const expression = new RegExp(`^(?:export )?const ${name}(?:: number)? = ([\\d_*. ]+);$`, "m").exec(code)?.[1];
  assert.ok(expression !== undefined, `there is no constant ${name}`);
  return expression
    .replaceAll("_", "")
    .split(/(?<!\*)\*(?!\*)/)
    .map((factor) => factor.split("**").map(Number))
    .reduce((product, [base = 1, power = 1]) => product * base ** power, 1);
}

test("the constants in docs/architecture.md are those of the code", () => {
  const rows = readText("docs/architecture.md").matchAll(/\| `(\w+)` in `([\w/.-]+)` \| (\d+)(?: (\w+))? \|$/gm);
  const documented = Array.from(rows);
  assert.ok(documented.length > 15);
  for (const [, name = "", file = "", digits, unit] of documented) {
    const expected = Number(digits) * (unit === undefined ? 1 : (UNITS[unit] ?? Number.NaN));
    assert.equal(valueIn(readText(`src/${file}`), name), expected, `${name} in ${file}`);
  }
});

test("docs/architecture.md names every folder and every leaf of src", () => {
  const page = readText("docs/architecture.md");
  const left = readdirSync(join(project, "src"), { withFileTypes: true })
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .filter((name) => !page.includes(`\n  ${name} `));
  assert.deepEqual(left, []);
});
