import { LineProcess } from "../test/support/line-process.ts";
import type { Program } from "./programs.ts";
import type { Answer, Command } from "./protocol.ts";

/** A running driver, which is given commands one after the other. */
export class Driver implements AsyncDisposable {
  readonly #process: LineProcess;
  readonly #title: string;

  constructor(program: Program) {
    this.#title = program.title;
    this.#process = new LineProcess(program.command);
  }

  async run(command: Command): Promise<Answer & { ok: true }> {
    const answer = (await this.#process.ask(command)) as Answer;
    if (!answer.ok) throw new Error(`${this.#title} failed at ${JSON.stringify(command)}: ${answer.error}`);
    return answer;
  }

  /** Lets the driver end, and waits for that. */
  end(): Promise<void> {
    return this.#process.end();
  }

  /** Whoever waits for an answer is told that the driver ended. */
  kill(): void {
    this.#process.kill();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}
