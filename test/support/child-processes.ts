import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const LIMIT_MS = 60_000;

export interface ChildOptions {
  /** Called with each line that it says; without it they are kept in `lines`. */
  readonly onLine?: (line: string) => void;
  /** After so many milliseconds it is killed. Default: one minute. */
  readonly limitMs?: number | undefined;
}

/** Another process, which is told lines and says lines. */
export class Child {
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly lines: string[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(command: readonly string[], options: ChildOptions = {}) {
    this.#process = spawn(command[0] as string, command.slice(1), {
      stdio: ["pipe", "pipe", "inherit"],
      timeout: options.limitMs ?? LIMIT_MS,
      killSignal: "SIGKILL",
    });
    this.#ended = once(this.#process, "close");
    this.#process.stdin?.on("error", () => undefined);
    const onLine = options.onLine ?? ((line: string) => this.lines.push(line));
    createInterface({ input: this.#process.stdout as NonNullable<ChildProcess["stdout"]> }).on("line", (line) => {
      onLine(line);
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
  said(count: number): Promise<void> {
    return this.until(() => this.lines.length >= count);
  }

  /** Waits until this is so after a line that it has said. */
  async until(isSo: () => boolean): Promise<void> {
    const ended = this.#ended.then(() => true);
    while (!isSo()) {
      let wake = (): void => undefined;
      const more = new Promise<boolean>((resolve) => {
        wake = () => resolve(false);
        this.#waiting.add(wake);
      });
      const over = await Promise.race([more, ended]);
      this.#waiting.delete(wake);
      if (over && !isSo()) assert.fail(`it ended and had said: ${this.lines.join("\n")}`);
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
