import { Command } from "commander";
import { missing, readKeys } from "../keys.ts";
import type { Session } from "../session.ts";
import { count, exactSize } from "../units.ts";

interface RmFlags {
  readonly fromFile?: string;
  readonly dryRun?: boolean;
}

export function rmCommand(session: Session): Command {
  return new Command("rm")
    .description("delete objects and print their keys; exit code 3 if any was missing")
    .argument("[KEY...]")
    .option("--from-file <FILE>", "read the keys from a file, one a line (- is standard input)")
    .option("--dry-run", "only tell what would be deleted")
    .action((keys: string[], flags: RmFlags) => rm(session, keys, flags));
}

async function rm(session: Session, given: readonly string[], { fromFile, dryRun = false }: RmFlags): Promise<void> {
  const { output, signal } = session;
  output.goOnWithoutReader();
  await using container = await session.open();
  let objects = 0;
  let bytes = 0;
  for await (const keys of readKeys({ keys: given, fromFile }, signal)) {
    for await (const { key, deleted, rawSize = 0 } of container.deleteMany(keys, { signal, dryRun })) {
      if (!deleted) {
        await session.fail(missing(key));
        continue;
      }
      objects++;
      bytes += rawSize;
      await output.item(dryRun ? { key, rawSize, dryRun } : { key }, () => key);
    }
  }
  session.finished({ objects, bytes });
  const summary = `${count(objects, "object")} ${dryRun ? "would be " : ""}deleted, ${exactSize(bytes)}`;
  await (dryRun ? session.note(summary) : session.summary(summary));
}
