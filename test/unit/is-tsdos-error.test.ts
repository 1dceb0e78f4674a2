import assert from "node:assert/strict";
import { test } from "node:test";
import { type ErrorCode, isTsdosError, TsdosError } from "../../src/index.ts";

// Where isTsdosError said no to a code, the compiler took an error of ours for no error of ours any more, and there was no `code` to ask
// for: `error` was `never`. The compiler proves this one.
function codeOf(error: unknown): ErrorCode | "none" {
  if (!isTsdosError(error)) return "none";
  if (isTsdosError(error, "LOCKED")) {
    const locked: "LOCKED" = error.code;
    return locked;
  }
  return error.code;
}

test("an error that has another code is still one of ours", () => {
  assert.equal(codeOf(new TsdosError("LOCKED", "")), "LOCKED");
  assert.equal(codeOf(new TsdosError("IO_ERROR", "")), "IO_ERROR");
  assert.equal(codeOf(new Error("IO_ERROR")), "none");
});
