import { constants } from "node:os";
import { type ErrorCode, TsdosError } from "../errors.ts";

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "NO_SPACE",
  EDQUOT: "NO_SPACE",
  EFBIG: "NO_SPACE",
  EROFS: "ACCESS_DENIED",
  EACCES: "ACCESS_DENIED",
  EPERM: "ACCESS_DENIED",
  /** Node's permission model. */
  ERR_ACCESS_DENIED: "ACCESS_DENIED",
  ENOENT: "NOT_FOUND",
};

const TOO_MANY_OPEN = "raise the limit (`ulimit -n`) and run it again; nothing that was acknowledged is lost";
const NO_PLAIN_FILE = "there is a pipe, socket or device where a plain file should be: move it away";
const ERRNO_ADVICE: Readonly<Record<string, string>> = {
  EMFILE: TOO_MANY_OPEN,
  ENFILE: TOO_MANY_OPEN,
  EUCLEAN: "check the file system (fsck), then run `validate`",
  ERR_ACCESS_DENIED: "Node's --permission forbids it, and every sync: with it, containers can be read, and little more",
  EIO: "check the disk",
  ELOOP: "it is a link that leads to itself: remove it, or put in its place what should be there",
  ESPIPE: NO_PLAIN_FILE,
  ENXIO: NO_PLAIN_FILE,
  EISDIR: "there is a folder where a file should be: move it away",
  EFBIG:
    "files may not become that large here, by `ulimit -f` or by the file system (FAT: 4 GiB); with a smaller `pack_size_target` in config.json, packs stay smaller; nothing that was acknowledged is lost",
};
const ADVICE: Partial<Record<ErrorCode, string>> = {
  NO_SPACE: "free some space and run it again; nothing that was acknowledged is lost",
  ACCESS_DENIED: "check the permissions, and whether the file system is mounted read-only",
};

/** What Node has no words for, as it has none of its own for what it knows by the number alone. */
const REASONS: Readonly<Record<string, string>> = {
  EDQUOT: "disk quota exceeded",
  ESTALE: "stale file handle",
  EUCLEAN: "the structures of the file system are damaged",
};
/** Of Linux; Node's constants do not have it. */
const EUCLEAN = 117;

/** The name of a system error, such as `ENOENT`. Node knows some by their number alone and calls them `UNKNOWN`, as a quota that is reached. */
function errnoOf({ code, errno }: NodeJS.ErrnoException): string {
  if (errno === undefined || (code !== undefined && /^E[A-Z0-9_]+$/.test(code))) return code ?? "unknown";
  if (errno === -EUCLEAN && process.platform === "linux") return "EUCLEAN";
  const named = Object.entries(constants.errno).find(([, number]) => number === -errno);
  return named?.[0] ?? code ?? "unknown";
}

/** A TsdosError for what the operating system said. */
export function fromSystemError(error: unknown, action: string, path: string): TsdosError {
  const system = error as NodeJS.ErrnoException;
  const errno = errnoOf(system);
  const code = CODES[errno] ?? "IO_ERROR";
  const advice = ERRNO_ADVICE[errno] ?? ADVICE[code];
  const reason = REASONS[errno] ?? /^[A-Z0-9]+: ([^,]*)/.exec(system.message)?.[1] ?? system.message;
  return new TsdosError(
    code,
    `cannot ${action} ${path}: ${reason} (${errno})${advice === undefined ? "" : `; ${advice}`}`,
    { path, errno },
    error,
  );
}
