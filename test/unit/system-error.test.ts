import assert from "node:assert/strict";
import { constants } from "node:os";
import { test } from "node:test";
import { fileError } from "../../src/cli/files.ts";
import { fromSystemError } from "../../src/fs/system-error.ts";

const DQUOT: number = -constants.errno.EDQUOT;
/** The two forms in which Node gives out what it has no name for. */
const OVER_QUOTA = [
  Object.assign(new Error("UNKNOWN: unknown error, write"), { code: "UNKNOWN", errno: DQUOT, syscall: "write" }),
  Object.assign(new Error(`Unknown system error ${DQUOT}: Unknown system error ${DQUOT}, open '/a'`), {
    code: `Unknown system error ${DQUOT}`,
    errno: DQUOT,
    syscall: "open",
  }),
];

// Node has no name for EDQUOT, and calls it UNKNOWN. A quota that was reached was an IO_ERROR that said "unknown error", though
// the documents promise NO_SPACE.
for (const system of OVER_QUOTA) {
  test(`a quota that is reached is NO_SPACE, though Node calls it ${system.code}`, () => {
    const error = fromSystemError(system, "write", "/a");
    assert.equal(error.code, "NO_SPACE");
    assert.match(error.message, /^cannot write \/a: disk quota exceeded \(EDQUOT\); free some space and run it again/);
    assert.deepEqual(error.details, { path: "/a", errno: "EDQUOT" });
    const ofTheUser = fileError("write", "/a", system);
    assert.equal(ofTheUser.code, "NO_SPACE");
    assert.equal(ofTheUser.message, "cannot write /a: disk quota exceeded");
    assert.deepEqual(ofTheUser.details, { path: "/a", errno: "EDQUOT" });
  });
}

test("errors that Node knows by their number alone have their names, all others stay as they are", () => {
  const [stale, damaged] = [constants.errno.ESTALE, 117].map((number) =>
    fromSystemError({ code: "UNKNOWN", errno: -number, message: "UNKNOWN: unknown error, read" }, "read", "/a"),
  );
  assert.match(stale?.message ?? "", /^cannot read \/a: stale file handle \(ESTALE\)$/);
  if (process.platform === "linux") assert.match(damaged?.message ?? "", /damaged \(EUCLEAN\); check the file system/);
  for (const [errno, name] of [
    [-2, "ENOENT"],
    [-4094, "UNKNOWN"],
    [undefined, "ERR_ACCESS_DENIED"],
  ] as const) {
    const { details } = fromSystemError({ code: name, errno, message: `${name}: words, open` }, "open", "/a");
    assert.equal(details.errno, name);
  }
});
