import { join } from "node:path";
import { Child } from "../support/child-processes.ts";
import { testProgram } from "../support/programs.ts";
import { type Line, parseLine } from "./lines.ts";

// Actors are started by the thousand: what they are compiled to is kept.
process.env["NODE_COMPILE_CACHE"] ??= join(import.meta.dirname, "../../.cache/compile");

const MAIN = testProgram("proofs/actor-main");

export interface ActorOptions {
  readonly root: string;
  /** Another one for each actor of a container. */
  readonly number: number;
  readonly seed: number;
  /** Up to so many milliseconds between two things that it does. */
  readonly pauseMs?: number;
  /** All by default. */
  readonly verbs?: readonly string[];
  readonly limitMs?: number | undefined;
  readonly onLine: (line: Line) => void;
}

/** An actor in a process of its own. */
export class ActorProcess extends Child {
  /** What it does now. */
  doing: string | undefined;
  /** Why it failed. */
  failure: string | undefined;
  /** When it has said something last. */
  lastTime = 0n;
  #isReady = false;

  constructor(options: ActorOptions, command: readonly string[] = [process.execPath, MAIN]) {
    const { root, number, seed, pauseMs = 0, verbs = [] } = options;
    super([...command, root, ...[number, seed, pauseMs].map(String), ...verbs], {
      limitMs: options.limitMs,
      onLine: (text) => {
        const line = parseLine(text);
        if (line === undefined) this.#isReady = true;
        else this.#take(line, options.onLine);
      },
    });
  }

  #take(line: Line, onLine: (line: Line) => void): void {
    this.lastTime = line.time;
    if (line.sign === ">") this.doing = line.subject;
    if (line.sign === "<") this.doing = undefined;
    if (line.sign === "x") this.failure = `${line.subject}: ${line.detail.replaceAll(" | ", "\n")}`;
    onLine(line);
  }

  /** Waits until it has been started, which takes longer than most of what it does. */
  ready(): Promise<void> {
    return this.until(() => this.#isReady);
  }

  /** Waits until everything has come that it had said at this moment: until something has that it said later. */
  async hasSaidAll(moment: bigint): Promise<void> {
    await this.until(() => this.lastTime > moment);
  }

  /** Has it begin, and waits until it has, however busy the machine is. What it is told before this is lost. */
  begin(): Promise<void> {
    this.say("go");
    return this.until(() => this.lastTime > 0n);
  }
}
