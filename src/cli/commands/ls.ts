import { Command } from "commander";
import { type Container, isTsdosError, type ObjectStat } from "../../index.ts";
import type { Session } from "../session.ts";

export function lsCommand(session: Session): Command {
  return new Command("ls")
    .description("list the keys of all objects, in ascending order")
    .option("-l, --long", "also size and where the object is")
    .action((options: { readonly long?: boolean }) => ls(session, options.long === true));
}

async function ls(session: Session, long: boolean): Promise<void> {
  const { output, signal } = session;
  await using container = await session.open();
  for await (const key of container.keys({ signal })) {
    if (!long) {
      const written = output.item({ key }, () => key);
      if (written !== undefined) await written;
      continue;
    }
    const stat = await statOrFail(session, container, key);
    // Undefined: deleted by somebody since.
    if (stat !== undefined) await output.item({ ...stat }, () => `${key}  ${stat.rawSize}  ${stat.where}`);
  }
}

/** What cannot be looked at does not hide the others. */
async function statOrFail(session: Session, container: Container, key: string): Promise<ObjectStat | undefined> {
  try {
    return await container.stat(key);
  } catch (error) {
    if (!isTsdosError(error, "ACCESS_DENIED") && !isTsdosError(error, "IO_ERROR")) throw error;
    await session.fail(error);
    return undefined;
  }
}
