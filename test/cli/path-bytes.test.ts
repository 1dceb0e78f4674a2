import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { cliTest } from "./support.ts";

/** Node reads such a path as another one, and the container was made there. */
cliTest("a container in a folder whose name is not UTF-8 is refused, and nothing is made", async (work) => {
  const { code, stderr } = work.shell("mkdir sub && cd sub && mkdir $(printf 'caf\\351') && cd caf* && tsdos init");
  assert.equal(code, 2);
  assert.match(stderr, /not UTF-8/);
  assert.equal(readdirSync(work.path("sub")).length, 1);
});
