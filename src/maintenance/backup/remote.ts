import { spawn } from "node:child_process";
import { TsdosError } from "../../errors.ts";
import { GREETING } from "../../format/backup-protocol.ts";
import { Connection, ConnectionLost, type Fields } from "./connection.ts";

export interface RemoteOptions {
  /** Default `ssh`; words are separated by spaces. */
  readonly ssh?: string | undefined;
  /** What starts tsdos there. Default `tsdos`. */
  readonly remoteCommand?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A place on another machine. */
export interface RemotePlace {
  /** `[USER@]HOST`, as ssh takes it. */
  readonly host: string;
  /** Relative to the home folder there unless it is absolute. */
  readonly path: string;
}

/** Characters of what the other side prints as messages that are kept. */
const MESSAGES_MAX = 4000;
/** Milliseconds that the other side has to end once there is nothing more to do. */
const END_MS = 5000;
/** Milliseconds that it has once it was told to. */
const KILL_MS = 2000;
/** Milliseconds that its last messages have to come once it has ended. */
const MESSAGES_MS = 500;

/**
 * Reads `[USER@]HOST:PATH`; undefined for a path on this machine: one without a colon, or with a slash before it, such as `./a:b`.
 * @throws RangeError for a host that ssh would take for an option, or no path
 */
export function parseRemote(text: string): RemotePlace | undefined {
  const match = /^([^/:]+):(.*)$/s.exec(text);
  if (match === null) return undefined;
  const [, host = "", path = ""] = match;
  if (host.startsWith("-") || path === "" || path.includes("\0")) {
    throw new RangeError(`${JSON.stringify(text)} is not [USER@]HOST:PATH; write ./ before a path with a colon`);
  }
  return { host, path };
}

/** A tsdos on another machine that waits for what it is asked to do. */
export interface RemoteTsdos {
  readonly connection: Connection;
  /** Ends it. */
  close(): Promise<void>;
  /** What to say of an error that came of the connection: the other side may have told the reason. */
  explain(error: unknown): Promise<unknown>;
}

/**
 * Starts tsdos there through ssh and tells it what to do. Nothing of the user's is in the command line that the shell there reads, but
 * the remote command itself.
 * @throws TsdosError `IO_ERROR` when ssh fails, or there is no tsdos
 */
export async function connectRemote(place: RemotePlace, hello: Fields, options: RemoteOptions): Promise<RemoteTsdos> {
  const [program = "ssh", ...words] = (options.ssh ?? "ssh").split(" ").filter((word) => word !== "");
  const command = `${options.remoteCommand ?? "tsdos"} serve-backup`;
  const { signal } = options;
  signal?.throwIfAborted();
  const child = spawn(program, [...words, "--", place.host, command], { stdio: ["pipe", "pipe", "pipe"] });
  let messages = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    messages = `${messages}${text}`.slice(-MESSAGES_MAX);
  });
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`${program} cannot be started: ${error.message}`));
    child.once("exit", (code, signal) => {
      const end = (): void => resolve(`${program} ended with ${signal ?? `exit code ${code}`}`);
      // What it has started, such as the master of shared connections, may keep its standard error open for much longer.
      const timer = setTimeout(end, MESSAGES_MS);
      child.once("close", () => {
        clearTimeout(timer);
        end();
      });
    });
  });
  child.stdin.on("error", () => undefined);
  let timer: NodeJS.Timeout | undefined;
  const kill = (): void => {
    child.kill();
    clearTimeout(timer);
    timer = setTimeout(() => child.kill("SIGKILL"), KILL_MS);
  };
  // Whoever waits for what it says is told, whether it heeds the signal or not.
  const stop = (): void => {
    child.stdout.destroy();
    kill();
  };
  signal?.addEventListener("abort", stop, { once: true });
  const end = async (): Promise<void> => {
    // Nothing more is wanted; unread, it would keep the process from being over.
    child.stdout.destroy();
    timer ??= setTimeout(kill, END_MS);
    await ended;
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    child.stderr.destroy();
  };
  const said = (): string => (messages.trim() === "" ? "" : ` (it said: ${messages.trim()})`);
  const failure = async (why?: string): Promise<TsdosError> => {
    child.stdin.end();
    await end();
    const reason = why ?? (await ended);
    const advice = "check the host, and that tsdos is installed there, or say how it is started with --remote-command";
    return new TsdosError("IO_ERROR", `cannot reach tsdos on ${place.host}: ${reason}${said()}; ${advice}`);
  };
  const input = child.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const rest = await readGreeting(input, signal);
  signal?.throwIfAborted();
  if (rest === undefined) throw await failure();
  if (typeof rest === "string") throw await failure(`it printed ${JSON.stringify(rest)}, which is not ${whoIs(rest)}`);
  const connection = new Connection(input, child.stdin, rest);
  await connection.sendFields("request", hello);
  return {
    connection,
    async close() {
      connection.end();
      await end();
    },
    async explain(error) {
      signal?.throwIfAborted();
      if (!(error instanceof ConnectionLost)) return error;
      child.stdin.end();
      await end();
      const message = `${error.message} (host ${place.host}: ${await ended})${said()}; try again`;
      return new TsdosError("IO_ERROR", message, {}, error);
    },
  };
}

/** Which tsdos was expected where this was printed instead. */
function whoIs(printed: string): string {
  const isOther = printed.startsWith(GREETING.slice(0, GREETING.indexOf(" ") + 1));
  return isOther ? "the version of tsdos that is here: use the same on both sides" : "tsdos";
}

/** What follows the greeting; a text when something else was printed, undefined at the end. */
async function readGreeting(
  input: AsyncIterator<Buffer>,
  signal: AbortSignal | undefined,
): Promise<Buffer | string | undefined> {
  let read = Buffer.alloc(0);
  try {
    while (read.length < GREETING.length) {
      const next = await input.next();
      if (next.done) return read.length === 0 ? undefined : read.toString("latin1");
      read = Buffer.concat([read, next.value]);
      if (!GREETING.startsWith(read.toString("latin1", 0, GREETING.length))) return read.toString("latin1", 0, 80);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
  return read.subarray(GREETING.length);
}
