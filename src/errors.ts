/** Who holds a lock, as written by the holder. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
  /** ISO 8601 time at which the lock was taken. */
  readonly since: string;
  /** What the holder does, for example `pack`. */
  readonly doing: string;
}

/** The closed list of error codes. Messages may change between releases, codes may not. See docs/errors.md. */
export const errorCodes = [
  "INVALID_KEY",
  "INVALID_CONFIG",
  "UNSUPPORTED_VERSION",
  "UNSUPPORTED_CODEC",
  "NOT_A_CONTAINER",
  "ALREADY_EXISTS",
  "NOT_FOUND",
  "SOURCE_FAILED",
  "CORRUPT_OBJECT",
  "CORRUPT_INDEX",
  "LOCKED",
  "NO_SPACE",
  "ACCESS_DENIED",
  "IO_ERROR",
  "CLOSED",
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface ErrorDetails {
  /** The file or folder that the error is about. */
  readonly path?: string;
  /** The object that the error is about. */
  readonly key?: string;
  /** Byte offset in `path`. */
  readonly offset?: number;
  /** The operating system's error code, such as `ENOSPC`. */
  readonly errno?: string;
  readonly holder?: LockHolder;
}

/** The one error class of tsdos: `code` says what happened, `details` where, `cause` why. */
export class TsdosError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "TsdosError";
    this.code = code;
    this.details = details;
  }
}

/** True when `error` is a {@link TsdosError}, of the given code if one is given: an error that has another code stays one for the compiler. */
export function isTsdosError(error: unknown): error is TsdosError;
export function isTsdosError<Code extends ErrorCode>(
  error: unknown,
  code: Code,
): error is TsdosError & { readonly code: Code };
export function isTsdosError(error: unknown, code?: ErrorCode): boolean {
  return error instanceof TsdosError && (code === undefined || error.code === code);
}
