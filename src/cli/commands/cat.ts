import { Command, Option } from "commander";
import { parseKey, type StoredObject } from "../../index.ts";
import { type ByteRange, parseRange, selectRange } from "../arguments.ts";
import { missing } from "../keys.ts";
import type { Session } from "../session.ts";

interface CatOptions {
  readonly range?: ByteRange;
  readonly from: "auto" | "loose" | "packed";
}

export function catCommand(session: Session): Command {
  return new Command("cat")
    .alias("cat-file")
    .description("write the content of objects to standard output")
    .argument("<KEY...>")
    .option("--range <BYTES>", "FIRST-LAST (both included), FIRST- or -COUNT, counted from 0", parseRange)
    .addOption(
      new Option("--from <WHERE>", "read only what is there").choices(["auto", "loose", "packed"]).default("auto"),
    )
    .action((keys: string[], options: CatOptions) => cat(session, keys, options));
}

async function cat(session: Session, texts: readonly string[], { range, from }: CatOptions): Promise<void> {
  const { output, signal } = session;
  const keys = texts.map((text) => parseKey(text));
  await using container = await session.open();
  for (const key of keys) {
    const object = await container.extract(key, from === "auto" ? { signal } : { signal, from });
    if (object === undefined) await session.fail(missing(key, from === "auto" ? undefined : from));
    else for await (const chunk of select(object, range)) await output.bytes(chunk);
  }
}

function select(object: StoredObject, range: ByteRange | undefined): AsyncIterable<Uint8Array> {
  if (range === undefined) return object;
  const { start, end } = selectRange(range, object.rawSize);
  return object.slice(start, end);
}
