import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import type { Program } from "./programs.ts";
import type { Answer, Command } from "./protocol.ts";

/** A running driver, which is given commands one after the other. */
export class Driver implements Disposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #interface: Interface;
  readonly #title: string;

  constructor(program: Program) {
    this.#title = program.title;
    const [file, ...args] = program.command;
    // In a process group of its own, so that Ctrl-C reaches the harness alone, which ends the drivers.
    this.#child = spawn(file!, args, { stdio: ["pipe", "pipe", "inherit"], detached: true });
    this.#child.on("error", (error) => this.#child.stdout!.destroy(error));
    // A driver that died is noticed by its missing answer.
    this.#child.stdin!.on("error", () => {});
    this.#interface = createInterface({ input: this.#child.stdout! });
    this.#lines = this.#interface[Symbol.asyncIterator]();
  }

  async run(command: Command): Promise<Answer & { ok: true }> {
    this.#child.stdin!.write(`${JSON.stringify(command)}\n`);
    const line = await this.#lines.next();
    if (line.done) throw new Error(`the driver of ${this.#title} ended at ${JSON.stringify(command)}`);
    const answer = JSON.parse(line.value) as Answer;
    if (!answer.ok) throw new Error(`${this.#title} failed at ${JSON.stringify(command)}: ${answer.error}`);
    return answer;
  }

  /** Lets the driver end by itself, as its input ends, and waits for that. */
  async end(): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin!.end();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await exited;
  }

  [Symbol.dispose](): void {
    this.#interface.close();
    this.#child.kill("SIGKILL");
  }
}
