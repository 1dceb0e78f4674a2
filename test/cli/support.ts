import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Container, type CreateOptions } from "../../src/index.ts";
import { builtMain } from "../support/built.ts";
import { temporaryFolder } from "../support/folders.ts";
import { smallDisk } from "../support/mounts.ts";
import { openFiles } from "../support/open-files.ts";
import { testProgram } from "../support/programs.ts";

const project = join(import.meta.dirname, "../..");
/** Programs start three times as fast when the types are stripped, and the sources compiled, only once. */
process.env["NODE_COMPILE_CACHE"] = join(project, ".cache/compile");

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
}

/** A temporary folder for one test; programs run in it. */
export class Workspace {
  readonly folder: string;

  constructor(folder: string = temporaryFolder()) {
    this.folder = folder;
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  write(name: string, content: string | Uint8Array, mode = 0o644): string {
    mkdirSync(join(this.path(name), ".."), { recursive: true });
    writeFileSync(this.path(name), content, { mode });
    return this.path(name);
  }

  /** Creates `./container` and puts contents into it; returns their keys. */
  async container(
    contents: readonly (string | Uint8Array)[] = [],
    where: "loose" | "packed" = "loose",
    options: CreateOptions = {},
  ): Promise<string[]> {
    await using container = await Container.create(this.path("container"), options);
    const sources = contents.map((content) => Buffer.from(content));
    const results = await Array.fromAsync(container.insertMany(sources, { to: where, durability: "process" }));
    return results.map(({ key }) => key);
  }

  start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
    return new Running(this.spawn(args, env));
  }

  /** Starts the command line in this folder; nobody reads what it prints. */
  spawn(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
    const { TSDOS_PATH: _, ...inherited } = process.env;
    return spawn(process.execPath, [builtMain, ...args], { cwd: this.folder, env: { ...inherited, ...env } });
  }

  async run(args: readonly string[], { input = "", env = {} }: RunOptions = {}): Promise<Finished> {
    const { child, finished } = this.start(args, env);
    // A program that ends without reading its input is no failure of the test.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    return finished;
  }

  /** Runs one command line after the other in one process, for what is not about the process: a start takes most of the time. */
  runAll(cases: readonly (readonly string[])[]): Finished[] {
    const names = ["cases", "out", "err"].map((name) => join(temporaryFolder(), name)) as [string, string, string];
    const [list, out, err] = names;
    writeFileSync(list, JSON.stringify(cases));
    const [stdout, stderr] = [openSync(out, "a"), openSync(err, "a")];
    const { TSDOS_PATH: _, ...env } = process.env;
    const child = spawnSync(process.execPath, [testProgram("cli/many-runs"), list], {
      cwd: this.folder,
      env,
      stdio: ["ignore", stdout, stderr, "pipe"],
      timeout: 60_000,
    });
    for (const file of [stdout, stderr]) closeSync(file);
    assert.equal(child.status, 0, readFileSync(err, "utf8"));
    const ran = JSON.parse(String(child.output[3])) as [number, number, number][];
    const [printed, told] = [readFileSync(out), readFileSync(err)];
    return ran.map(([code, stdoutEnd, stderrEnd], i) => {
      const [, stdoutStart = 0, stderrStart = 0] = ran[i - 1] ?? [];
      return {
        code,
        stdout: printed.toString("utf8", stdoutStart, stdoutEnd),
        stderr: told.toString("utf8", stderrStart, stderrEnd),
      };
    });
  }

  /** Runs a shell command line in this folder; `tsdos` is the program. */
  shell(line: string, env: NodeJS.ProcessEnv = {}): Finished {
    const script = `tsdos() { "${process.execPath}" "${builtMain}" "$@"; }\n${line}`;
    const { status, stdout, stderr } = spawnSync("bash", ["-c", script], {
      cwd: this.folder,
      env: { ...process.env, ...env },
      encoding: "utf8",
    });
    return { code: status, stdout, stderr };
  }

  /** What unfinished work has left in the container. */
  leftovers(): string[] {
    try {
      return readdirSync(this.path("container", "sandbox"));
    } catch {
      return [];
    }
  }

  async isValid(): Promise<boolean> {
    await using container = await Container.open(this.path("container"));
    return (await container.validate()).valid;
  }

  async allKeys(): Promise<string[]> {
    await using container = await Container.open(this.path("container"));
    // Not before all of them are there is the container closed.
    return await Array.fromAsync(container.keys());
  }

  /** Flips one byte of the only file of the container whose name ends so. */
  damage(ending: string, offset: number): string {
    const names = readdirSync(this.path("container"), { recursive: true, encoding: "utf8" });
    const name = names.find((each) => each.endsWith(ending));
    if (name === undefined) throw new Error(`no ${ending} in the container`);
    const file = this.path("container", name);
    const bytes = readFileSync(file);
    bytes[offset] = (bytes[offset] ?? 0) ^ 0xff;
    writeFileSync(file, bytes);
    return file;
  }
}

/** A program that runs; what it prints is collected. */
export class Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly finished: Promise<Finished>;
  #stdout = "";

  constructor(child: ChildProcessWithoutNullStreams) {
    this.child = child;
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      this.#stdout += chunk;
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    this.finished = Promise.all([ended, text(child.stderr)]).then(([code, stderr]) => ({
      code,
      stdout: this.#stdout,
      stderr,
    }));
  }

  /** Waits until it has printed a line. */
  async firstLine(): Promise<string> {
    while (!this.#stdout.includes("\n")) await once(this.child.stdout, "data");
    return this.#stdout.slice(0, this.#stdout.indexOf("\n"));
  }
}

export function lines(output: string): string[] {
  return output.split("\n").filter((line) => line !== "");
}

export function json(output: string): Record<string, unknown>[] {
  return lines(output).map((line) => JSON.parse(line) as Record<string, unknown>);
}

interface JsonError {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** The first error that a program printed under `--json`. */
export function errorOf({ stderr }: Finished): JsonError | undefined {
  return json(stderr)[0]?.["error"] as JsonError | undefined;
}

/** A test with a folder of its own. */
export function cliTest(
  name: string,
  run: (workspace: Workspace, context: TestContext) => Promise<void>,
  skip: string | false = false,
): void {
  test(name, { skip }, (context) => run(new Workspace(), context));
}

/** A test in a small file system of its own, which may be mounted anew; skipped where it cannot be mounted. */
export function mountTest(
  name: string,
  mebibytes: number,
  run: (workspace: Workspace, remountReadOnly: () => void) => Promise<void>,
): void {
  test(name, async (context) => {
    const disk = smallDisk(context, mebibytes);
    if (disk !== undefined) await run(new Workspace(disk.folder), () => disk.remount("ro"));
  });
}

/** Waits until a program has a file open. */
export async function hasOpen({ child }: Running, path: string): Promise<void> {
  while (!openFiles(child.pid as number).includes(path)) {
    assert.equal(child.exitCode, null, "it ended too soon");
    await sleep(5);
  }
}
