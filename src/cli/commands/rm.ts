import { Command } from "commander";
import { missing, readKeys } from "../keys.ts";
import type { Session } from "../session.ts";
import { count } from "../units.ts";

export function rmCommand(session: Session): Command {
  return new Command("rm")
    .description("delete objects and print their keys; exit code 3 if any was missing")
    .argument("[KEY...]")
    .option("--from-file <FILE>", "read the keys from a file, one a line (- is standard input)")
    .action((keys: string[], options: { readonly fromFile?: string }) => rm(session, keys, options.fromFile));
}

async function rm(session: Session, given: readonly string[], fromFile: string | undefined): Promise<void> {
  const { output, signal } = session;
  output.goOnWithoutReader();
  await using container = await session.open();
  let total = 0;
  for await (const keys of readKeys({ keys: given, fromFile }, signal)) {
    const deleted = new Set<string>(await container.delete(keys, { signal }));
    total += deleted.size;
    for (const key of new Set(keys)) {
      if (deleted.has(key)) await output.item({ key }, () => key);
      else await session.fail(missing(key));
    }
  }
  session.finished({ objects: total });
  await session.summary(`${count(total, "object")} deleted`);
}
