import { CommanderError } from "commander";
import { OutputClosed, signalExitCodes, UsageError } from "./exit-codes.ts";
import { createProgram } from "./program.ts";
import { Session } from "./session.ts";

/** How long a reader that takes nothing may hold up the end of an interrupted run. */
const LAST_FLUSH_MS = 1000;

/** Runs one command line (without `node` and the script's name); resolves with the exit code, everything written. */
export async function run(args: readonly string[]): Promise<number> {
  const controller = new AbortController();
  let interrupted: number | undefined;
  for (const [name, code] of Object.entries(signalExitCodes)) {
    process.once(name, () => {
      // The second time the system ends the process, also one that waits for a file in vain: a store survives that.
      for (const each of Object.keys(signalExitCodes)) process.removeAllListeners(each);
      interrupted = code;
      controller.abort();
    });
  }
  const session = new Session(controller.signal);
  // Errors of the command line itself come before its options are known.
  session.configure({ path: "", json: args.includes("--json"), debug: args.includes("--debug") });
  try {
    await createProgram(session).parseAsync([...args], { from: "user" });
    await session.output.flush();
  } catch (error) {
    if (interrupted === undefined && !(error instanceof OutputClosed)) await fail(session, error, args);
  }
  if (interrupted === undefined) {
    await session.close();
    return session.exitCode;
  }
  await session.note("interrupted; what was printed is done");
  const ending = session.output.flush().then(() => session.close());
  await Promise.race([ending.catch(() => {}), new Promise((resolve) => setTimeout(resolve, LAST_FLUSH_MS))]);
  return interrupted;
}

async function fail(session: Session, error: unknown, args: readonly string[]): Promise<void> {
  // Help and version are printed, and then thrown by the parser.
  const isHelp = error instanceof CommanderError && error.exitCode === 0;
  // What was said before the failure comes out before it.
  try {
    await session.output.flush();
  } catch (unwritten) {
    if (isHelp && !(unwritten instanceof OutputClosed)) await session.fail(unwritten);
  }
  if (!isHelp) await session.fail(error instanceof CommanderError ? usageError(error, args) : error);
}

function usageError({ code, message }: CommanderError, args: readonly string[]): UsageError {
  if (code !== "commander.help") {
    // What was perhaps meant is on a line of its own there.
    const text = message.replace(/^error: /, "").replaceAll("\n", " ");
    // As with `git init DIR`.
    return new UsageError(code === "commander.excessArguments" ? `${text} The container is given with -p DIR.` : text);
  }
  // What the parser would do: print the help, as an error.
  const [asked] = args.slice(args.indexOf("help") + 1);
  if (args.includes("help") && asked !== undefined) return new UsageError(`unknown command '${asked}'`);
  // The only command that has commands of its own.
  const program = args.at(-1) === "optimize" ? "tsdos optimize" : "tsdos";
  return new UsageError(`no command was given; '${program} --help' lists them`);
}
