import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

const CHILD = join(import.meta.dirname, "../concurrency/child.ts");
const LIMIT_MS = 60_000;

/** Another process, playing a role of test/concurrency/child.ts. */
export class Child {
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly lines: string[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(role: string, container: string, argument = "") {
    this.#process = spawn(process.execPath, [CHILD, role, container, argument], {
      stdio: ["pipe", "pipe", "inherit"],
      timeout: LIMIT_MS,
      killSignal: "SIGKILL",
    });
    this.#ended = once(this.#process, "close");
    this.#process.stdin?.on("error", () => undefined);
    createInterface({ input: this.#process.stdout as NonNullable<ChildProcess["stdout"]> }).on("line", (line) => {
      this.lines.push(line);
      for (const wake of this.#waiting) wake();
    });
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  say(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }

  endInput(): void {
    this.#process.stdin?.end();
  }

  /** Waits until it has said so many lines. */
  async said(count: number): Promise<void> {
    const ended = this.#ended.then(() => true);
    while (this.lines.length < count) {
      let wake = (): void => undefined;
      const more = new Promise<boolean>((resolve) => {
        wake = () => resolve(false);
        this.#waiting.add(wake);
      });
      const over = await Promise.race([more, ended]);
      this.#waiting.delete(wake);
      if (over && this.lines.length < count) assert.fail(`it ended and had said: ${this.lines.join("\n")}`);
    }
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }

  /** Waits for its end, which must be a good one. */
  async succeeds(): Promise<void> {
    await this.#ended;
    assert.equal(this.#process.exitCode, 0, this.lines.filter((line) => !/^[+-]/.test(line)).join("\n"));
  }
}
