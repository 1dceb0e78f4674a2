import { existsSync, readdirSync, readlinkSync } from "node:fs";

/** For the `skip` option of tests: false, or why nobody can tell here what is open. */
export const skipWithoutOpenFiles: string | false = !existsSync("/proc/self/fd") && "needs /proc";

/** The paths that a process has open; none when it has ended. */
export function openFiles(pid: number | "self"): string[] {
  const folder = `/proc/${pid}/fd`;
  const paths: string[] = [];
  try {
    for (const fd of readdirSync(folder)) {
      try {
        paths.push(readlinkSync(`${folder}/${fd}`));
      } catch {
        // Closed meanwhile, as that of the listing itself is.
      }
    }
  } catch {
    // It has not begun, or has just ended.
  }
  return paths;
}
