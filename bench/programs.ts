import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { python } from "../test/support/python.ts";
import { rsdosDriver } from "../test/support/rsdos.ts";

/** In the order of the table's columns. */
export const programNames = ["rsdos", "dos", "tsdos"] as const;
export type ProgramName = (typeof programNames)[number];

export interface Program {
  readonly name: ProgramName;
  readonly title: string;
  /** Program and arguments of its driver. */
  readonly command: readonly string[];
}

const project = join(import.meta.dirname, "..");

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd: project, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim();
}

/** Builds what has to be built, and tells how to start the drivers. With `profiles`, tsdos leaves CPU profiles there. */
export function preparePrograms(names: readonly ProgramName[], profiles: string | undefined): Program[] {
  const prepare: Record<ProgramName, () => Omit<Program, "name">> = {
    rsdos: () => ({ title: "rsdos 0.2.0", command: [rsdosDriver({ build: true })] }),
    dos: () => {
      if (python === undefined) throw new Error("disk-objectstore is not there: run `npm run setup:python`");
      return { title: "disk-objectstore 1.5.0", command: [python, join(import.meta.dirname, "dos_driver.py")] };
    },
    tsdos: () => {
      run(process.execPath, "scripts/build.ts");
      const driver = fileURLToPath(import.meta.resolve("./tsdos-driver.ts"));
      return { title: "tsdos", command: [process.execPath, driver, ...(profiles === undefined ? [] : [profiles])] };
    },
  };
  return names.map((name) => ({ name, ...prepare[name]() }));
}

/** Versions of what was measured and of what ran it. */
export function describeVersions(programs: readonly Program[]): string[] {
  const versions = [`Node ${process.version}, SQLite ${process.versions["sqlite"]}`];
  for (const { name } of programs) {
    if (name === "dos") versions.push(run(python!, "--version"));
    if (name === "rsdos") {
      const lock = readFileSync(join(import.meta.dirname, "rsdos-driver/Cargo.lock"), "utf8");
      const ring = /name = "ring"\nversion = "(.*)"/.exec(lock)?.[1];
      versions.push(`${run("rustc", "--version")}, ring ${ring}`);
    }
  }
  return versions;
}

/** True or false where the kernel tells whether the processor has instructions for SHA-256. */
export function hasShaInstructions(): boolean | undefined {
  if (!existsSync("/proc/cpuinfo")) return undefined;
  return /^(flags|Features)\s*:.*\b(sha_ni|sha2)\b/m.test(readFileSync("/proc/cpuinfo", "utf8"));
}
