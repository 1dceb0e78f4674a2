import assert from "node:assert/strict";
import { test } from "node:test";
import { isTsdosError } from "../../src/errors.ts";
import { noise } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";

test("a pack that another program cuts while an object is moved in it is an error, and no endless loop", async () => {
  const memory = emptyMemoryFolder();
  const content = noise(6_000_000, 1);
  let isCut = false;
  // Behind what compression has not made smaller stands the content itself, to be moved to the beginning.
  const fs = new InterceptedFileSystem(memory, ({ name, path, position }) => {
    if (name === "read" && path.endsWith("0.pack") && (position ?? 0) > content.length + 10_000) {
      const file = memory.open(path, "update");
      memory.truncate(file, 0);
      memory.close(file);
      isCut = true;
    }
    return undefined;
  });
  const { combined, close } = openOn(fs, {});
  try {
    await assert.rejects(
      () => combined.insert(content, { to: "packed", compress: "yes" }),
      (error) => isTsdosError(error, "IO_ERROR") && /another program has cut .*0\.pack/.test(error.message),
    );
    assert.ok(isCut);
  } finally {
    close();
  }
});
