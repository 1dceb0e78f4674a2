import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { NewFile } from "../../src/cli/files.ts";
import { isTsdosError } from "../../src/index.ts";
import { temporaryFolder } from "../support/folders.ts";

test("a new file appears whole, or not at all, also when it cannot get its name", () => {
  const folder = temporaryFolder();
  {
    using file = new NewFile(join(folder, "written"));
    file.line("one");
    file.bytes(Buffer.from("two"));
    file.commit();
    using left = new NewFile(join(folder, "left"));
    left.line("one");
  }
  assert.equal(readFileSync(join(folder, "written"), "utf8"), "one\ntwo");
  const occupied = join(folder, "occupied");
  const write = (): void => {
    using file = new NewFile(occupied);
    file.line("one");
    mkdirSync(occupied);
    file.commit();
  };
  assert.throws(write, (error) => isTsdosError(error, "IO_ERROR"));
  assert.deepEqual(readdirSync(folder).sort(), ["occupied", "written"]);
});
