import { createHash } from "node:crypto";
import { isTsdosError, TsdosError } from "../../errors.ts";
import { frameTypes } from "../../format/backup-protocol.ts";
import {
  type Connection,
  ConnectionLost,
  errorFromFields,
  errorToFields,
  type Fields,
  fieldsOf,
} from "./connection.ts";
import type { BackupSubject, BackupTarget, BeginOptions, FileOffer, FinishOptions, PutFile } from "./target.ts";

/** The sender has taken a file back. */
class Cancelled extends Error {}

/** Entries in one offer at most. */
const OFFER_MAX = 65_536;

/** Does with a target, if there is one, what the other end of the connection asks for, until that ends; its result, if it tells one. */
export async function serveTarget(
  connection: Connection,
  target: BackupTarget | undefined,
): Promise<Fields | undefined> {
  for (let frame = await connection.next(); frame !== undefined; frame = await connection.next()) {
    const fields = fieldsOf(frame);
    if (frame.type === frameTypes.result) {
      if (fields["error"] !== undefined) throw errorFromFields(fields["error"]);
      return fields;
    } else if (frame.type === frameTypes.request && target !== undefined) {
      await connection.sendFields("reply", await answerTo(connection, target, fields));
    } else {
      throw new ConnectionLost(new Error(`a frame of type ${frame.type} was not expected`));
    }
  }
  return undefined;
}

/** As {@link serveTarget}, for an other end that must tell a result. */
export async function resultOf(...given: Parameters<typeof serveTarget>): Promise<Fields> {
  const result = await serveTarget(...given);
  if (result === undefined) throw new ConnectionLost();
  return result;
}

async function answerTo(connection: Connection, target: BackupTarget, fields: Fields): Promise<object> {
  const file = fields["method"] === "put" ? new ReceivedFile(connection) : undefined;
  try {
    return { ok: (await answer(target, fields, file)) ?? null };
  } catch (error) {
    if (error instanceof Cancelled) return { ok: null };
    return { error: errorToFields(error) };
  } finally {
    // Whatever became of it, what follows is the next request.
    await file?.drain();
  }
}

async function answer(target: BackupTarget, fields: Fields, file: ReceivedFile | undefined): Promise<unknown> {
  const { method } = fields;
  switch (method) {
    case "begin":
      return target.begin(fields["subject"] as BackupSubject, fields["options"] as BeginOptions);
    case "offer":
      return target.offer(offersIn(fields["files"]));
    case "find":
      return target.find(textIn(fields, "path"), fields["hashUpTo"] as number | undefined);
    case "put":
      return target.put(fileIn(fields["file"]), (file as ReceivedFile).chunks());
    case "drop":
      return target.drop(textIn(fields, "path"));
    case "removable":
      return target.removable(fields["keep"] as number | undefined);
    case "finish":
      return target.finish(fields["options"] as FinishOptions);
    default:
      throw new TsdosError(
        "IO_ERROR",
        `a request ${JSON.stringify(method)} is not known; use the same tsdos on both sides`,
      );
  }
}

function textIn(fields: Fields, name: string): string {
  const text = fields[name];
  if (typeof text === "string") return text;
  throw new TsdosError("IO_ERROR", `a request has no ${name}`);
}

function offersIn(value: unknown): FileOffer[] {
  const isOffer = (one: unknown): boolean => {
    const { path, size, sha256 } = Object(one) as Fields;
    return typeof path === "string" && Number.isSafeInteger(size) && typeof sha256 === "string";
  };
  if (Array.isArray(value) && value.length <= OFFER_MAX && value.every(isOffer)) return value as FileOffer[];
  throw new TsdosError("IO_ERROR", "a request offers no files");
}

function fileIn(value: unknown): PutFile {
  const { path, base, mtimeMs } = Object(value) as Fields;
  const { base: number, length } = Object(base) as Fields;
  const hasBase =
    base === undefined || (Number.isInteger(number) && Number.isSafeInteger(length) && Number(length) >= 0);
  const hasTime = mtimeMs === undefined || Number.isFinite(mtimeMs);
  if (typeof path === "string" && hasBase && hasTime) return value as PutFile;
  throw new TsdosError("IO_ERROR", "a request names no file");
}

/** The bytes of a file as they come. */
class ReceivedFile {
  readonly #connection: Connection;
  #ended = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    const hash = createHash("sha256");
    for (;;) {
      const frame = await this.#connection.next();
      if (frame === undefined) throw new ConnectionLost();
      if (frame.type === frameTypes.data) {
        hash.update(frame.payload);
        yield frame.payload;
        continue;
      }
      this.#ended = true;
      const { cancelled, sha256 } = fieldsOf(frame);
      if (cancelled === true) throw new Cancelled();
      if (sha256 === hash.digest("hex")) return;
      throw new TsdosError("IO_ERROR", "a file was changed on its way through the connection; try again");
    }
  }

  async drain(): Promise<void> {
    try {
      if (!this.#ended) for await (const _ of this.chunks());
    } catch (error) {
      if (!(error instanceof Cancelled) && !isTsdosError(error)) throw error;
    }
  }
}
