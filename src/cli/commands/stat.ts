import { Command } from "commander";
import { type ObjectStat, parseKey } from "../../index.ts";
import { missing } from "../keys.ts";
import type { Session } from "../session.ts";
import { exactSize } from "../units.ts";

export function statCommand(session: Session): Command {
  return new Command("stat")
    .description("tell size and place of objects; exit code 3 if any is missing")
    .argument("<KEY...>")
    .action((keys: string[]) => stat(session, keys));
}

async function stat(session: Session, texts: readonly string[]): Promise<void> {
  const { output } = session;
  output.goOnWithoutReader();
  const keys = texts.map((text) => parseKey(text));
  await using container = await session.open();
  for (const key of keys) {
    const found = await container.stat(key);
    if (found === undefined) await session.fail(missing(key));
    else await output.report(found, rows(found));
  }
}

function rows(stat: ObjectStat): [string, string][] {
  const { key, where, rawSize, storedSize, codec, packId, offset } = stat;
  const place = packId === undefined ? where : `${where}, in pack ${packId} at byte ${offset}`;
  return [
    ["key", key],
    ["size", exactSize(rawSize)],
    ["stored", exactSize(storedSize)],
    ["codec", codec],
    ["where", place],
  ];
}
