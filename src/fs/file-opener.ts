import fs from "node:fs";

/**
 * Who has a file open, as far as /proc tells: another process; for certain nobody; or that cannot be known.
 * `program` is the process's name, such as `python3`; its arguments may be secret.
 */
export type Opener =
  | { readonly kind: "process"; readonly pid: number; readonly program: string }
  | { readonly kind: "nobody" | "unknown" };

/** The first PID namespace of a Linux kernel (`PROC_PID_INIT_INO` in linux/proc_ns.h): its /proc shows every process. */
const FIRST_PID_NAMESPACE = "pid:[4026531836]";
/** File systems that no other machine can be using (linux/magic.h): ext4, xfs, btrfs, tmpfs, zfs. */
const LOCAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x2fc12fc1]);

/** Reads /proc, which takes milliseconds. Answers "unknown" on other systems. Our own process does not count. */
export function openerOf(path: string): Opener {
  try {
    return openerOnLinux(path);
  } catch {
    return { kind: "unknown" };
  }
}

/** True when this process has the file open, in whatever thread; false also where that cannot be told. */
export function isOpenHere(path: string): boolean {
  try {
    return hasOpen("/proc/self", fs.statSync(path, { bigint: true })) ?? false;
  } catch {
    return false;
  }
}

function openerOnLinux(path: string): Opener {
  const file = fs.statSync(path, { bigint: true });
  const me = process.geteuid?.();
  let complete =
    LOCAL_FILE_SYSTEMS.has(fs.statfsSync(path).type) &&
    fs.readlinkSync("/proc/self/ns/pid") === FIRST_PID_NAMESPACE &&
    // Of other users /proc may hide the processes, and it hides what they have open.
    (me === 0 || file.uid === BigInt(me ?? -1));
  for (const name of fs.readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const found = hasOpen(`/proc/${pid}`, file);
    if (found) return { kind: "process", pid, program: programOf(pid) };
    complete &&= found !== undefined;
  }
  return { kind: complete ? "nobody" : "unknown" };
}

/** Undefined when a process that might have it open does not let us look. */
function hasOpen(folder: string, file: fs.BigIntStats): boolean | undefined {
  const stat = (path: string): fs.BigIntStats | undefined => {
    try {
      return fs.statSync(path, { bigint: true });
    } catch {
      return undefined;
    }
  };
  try {
    return fs.readdirSync(`${folder}/fd`).some((fd) => {
      const open = stat(`${folder}/fd/${fd}`);
      return open?.ino === file.ino && open.dev === file.dev;
    });
  } catch {
    // It has ended meanwhile, or is somebody else's, who did not make the file.
    return stat(folder)?.uid === file.uid ? undefined : false;
  }
}

function programOf(pid: number): string {
  try {
    return fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}
