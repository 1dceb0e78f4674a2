import assert from "node:assert/strict";
import { truncateSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileBytes } from "../../src/cli/files.ts";
import { isTsdosError } from "../../src/errors.ts";
import { temporaryFolder } from "../support/folders.ts";

// A file whose name is not UTF-8 is not read by the library. When it was cut meanwhile, what had been read was stored, and acknowledged.
test("a file that is cut while it is read fails, whatever its name", async () => {
  const path = Buffer.concat([Buffer.from(`${temporaryFolder()}/`), Buffer.of(0x78, 0xff)]);
  writeFileSync(path, Buffer.alloc(2_000_000));
  const pieces = fileBytes(path, new AbortController().signal);
  let got = (await pieces.next()).value?.length as number;
  truncateSync(path, 1_000_000);
  const reading = async (): Promise<void> => {
    for await (const piece of pieces) got += piece.length;
  };
  await assert.rejects(reading(), (error) => {
    assert.ok(isTsdosError(error, "SOURCE_FAILED"));
    assert.match(error.message, /cannot read .*x\\xff: it was cut from 2000000 bytes to 1000000/);
    return true;
  });
  assert.equal(got, 1_000_000);
});
