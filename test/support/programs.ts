import { join } from "node:path";

const test = join(import.meta.dirname, "..");

/**
 * A program that tests start, by its path below `test/` without the ending: bundled, if `scripts/test.ts` has just done that, since
 * it starts in less than half of the time so; otherwise its source.
 */
export function testProgram(name: string): string {
  const bundled = process.env["TSDOS_TEST_PROGRAMS"];
  return bundled === undefined ? join(test, `${name}.ts`) : join(bundled, `${name}.js`);
}
