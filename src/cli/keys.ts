import { isTsdosError, type ObjectKey, parseKey, TsdosError, type Where } from "../index.ts";
import { UsageError } from "./exit-codes.ts";
import { inputName, readLines } from "./files.ts";

/** Where the keys of a command come from: its arguments, or lines of a file (`-` is standard input). */
export interface KeysGiven {
  readonly keys: readonly string[];
  readonly fromFile?: string | undefined;
}

/** At most so many keys are handed on at once. */
const BATCH_KEYS = 16_384;

/**
 * The keys in batches, however many there are. Those given as arguments are all read before the first is handed on.
 * @throws TsdosError `INVALID_KEY`, which names the line.
 */
export async function* readKeys(given: KeysGiven, signal: AbortSignal): AsyncGenerator<readonly ObjectKey[]> {
  const { keys, fromFile } = given;
  if (keys.length > 0 === (fromFile !== undefined))
    throw new UsageError("give keys, or a file of keys with --from-file");
  if (fromFile === undefined) {
    yield keys.map((key) => parseKey(key));
    return;
  }
  let number = 0;
  let batch: ObjectKey[] = [];
  for await (const lines of readLines(fromFile, signal)) {
    for (const line of lines) {
      number++;
      const text = line.trim();
      if (text === "") continue;
      batch.push(parseLine(text, `${inputName(fromFile)}, line ${number}`));
      if (batch.length < BATCH_KEYS) continue;
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

/** The keys of a file, one by one. A file that cannot be read, or does not begin with keys, is told before anything else is done. */
export async function keysIn(file: string, signal: AbortSignal): Promise<AsyncIterable<ObjectKey>> {
  const batches = readKeys({ keys: [], fromFile: file }, signal);
  const first = await batches.next();
  return oneByOne(first.done ? [] : first.value, batches);
}

async function* oneByOne(
  first: readonly ObjectKey[],
  batches: AsyncIterable<readonly ObjectKey[]>,
): AsyncGenerator<ObjectKey> {
  yield* first;
  for await (const keys of batches) yield* keys;
}

function parseLine(text: string, where: string): ObjectKey {
  try {
    return parseKey(text);
  } catch (error) {
    if (!isTsdosError(error)) throw error;
    throw new TsdosError(error.code, `${where}: ${error.message}`, error.details, error);
  }
}

/** The error for an object that is not there, or not in the place that was asked for. */
export function missing(key: string, where?: Where): TsdosError {
  return new TsdosError("NOT_FOUND", `no ${where === undefined ? "" : `${where} `}object ${key}`, { key });
}
