import { Argument, Command } from "commander";
import type { ObjectStat } from "../../index.ts";
import type { Session } from "../session.ts";

type Where = ObjectStat["where"];

export function inspectCommand(session: Session): Command {
  return new Command("inspect")
    .description("list the loose or the packed objects: key, size, stored size, codec, pack and offset")
    .addArgument(new Argument("<WHERE>").choices(["loose", "packed"]))
    .action((where: Where) => inspect(session, where));
}

async function inspect(session: Session, where: Where): Promise<void> {
  const { output, signal } = session;
  await using container = await session.open();
  for await (const stat of container.inspect(where, { signal })) {
    const written = output.item({ ...stat }, () => line(stat));
    if (written !== undefined) await written;
  }
}

function line({ key, rawSize, storedSize, codec, packId, offset }: ObjectStat): string {
  const place = packId === undefined ? "" : `  ${packId}  ${offset}`;
  return `${key}  ${rawSize}  ${storedSize}  ${codec}${place}`;
}
