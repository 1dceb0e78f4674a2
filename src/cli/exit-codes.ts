import { type ErrorCode, isTsdosError } from "../index.ts";

/** The exit codes of `tsdos`; see docs/cli.md. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  integrity: 4,
  locked: 5,
  noSpace: 6,
} as const;

/** 128 and the signal's number, as shells have it. SIGHUP: the terminal was closed. */
export const signalExitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

const exitCodeOf: Readonly<Record<ErrorCode, number>> = {
  INVALID_KEY: exitCodes.usage,
  INVALID_CONFIG: exitCodes.integrity,
  UNSUPPORTED_VERSION: exitCodes.failure,
  UNSUPPORTED_CODEC: exitCodes.failure,
  NOT_A_CONTAINER: exitCodes.failure,
  ALREADY_EXISTS: exitCodes.failure,
  NOT_FOUND: exitCodes.notFound,
  SOURCE_FAILED: exitCodes.failure,
  CORRUPT_OBJECT: exitCodes.integrity,
  CORRUPT_INDEX: exitCodes.integrity,
  LOCKED: exitCodes.locked,
  NO_SPACE: exitCodes.noSpace,
  ACCESS_DENIED: exitCodes.failure,
  IO_ERROR: exitCodes.failure,
  CLOSED: exitCodes.failure,
};

/** The command line itself is wrong. */
export class UsageError extends Error {}

/** Whoever read standard output has gone away (`| head`). */
export class OutputClosed extends Error {}

/** An error as the command line reports it. */
export interface ErrorReport {
  /** An error code of the store, or `USAGE`, or `INTERNAL` for what nobody expected. */
  readonly code: ErrorCode | "USAGE" | "INTERNAL";
  readonly message: string;
  readonly details: object;
  readonly exitCode: number;
}

/** Where a relative path, or the folder of the container that is used if none is named, has nothing to start from. */
const NO_FOLDER =
  "the current folder was removed, or its path is too long; go to another one, or give all paths from the root, also with -p";

export function reportOf(error: unknown): ErrorReport {
  if (isTsdosError(error)) {
    return { code: error.code, message: error.message, details: error.details, exitCode: exitCodeOf[error.code] };
  }
  const hasNoFolder = error instanceof Error && "syscall" in error && error.syscall === "uv_cwd";
  const message = hasNoFolder ? NO_FOLDER : error instanceof Error ? error.message : String(error);
  if (hasNoFolder || error instanceof UsageError)
    return { code: "USAGE", message, details: {}, exitCode: exitCodes.usage };
  return { code: "INTERNAL", message, details: {}, exitCode: exitCodes.failure };
}
