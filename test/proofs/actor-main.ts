// `node actor-main.ts CONTAINER NUMBER SEED PAUSE [VERB...]` does one thing after the other, with pauses of up to PAUSE
// milliseconds, until its input ends: the verbs given, or all that the container's format version has. What it is told:
// `go`: begin · `read KEY`: it is there · `forget KEY`: it may be deleted from now on · `own KEY ID`: delete it when you like
// · `gone KEY`: it was deleted, check that · `again KEY ID`: it was deleted, insert it when you like.
import { once } from "node:events";
import { flushCompileCache } from "node:module";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { isTsdosError } from "../../src/index.ts";
import { Actor } from "./actor.ts";
import { READY, say } from "./lines.ts";
import { verbs } from "./verbs.ts";

const [root, number, seed, pause, ...chosen] = process.argv.slice(2) as [string, string, string, string];

const input = createInterface({ input: process.stdin });
let ended = false;
input.on("close", () => {
  ended = true;
});
// What follows may be killed; the next ones start faster.
flushCompileCache();
console.log(READY);
await Promise.race([once(input, "line"), once(input, "close")]);

const actor = new Actor(root, Number(number), Number(seed));
const toCheck: string[] = [];
const told: Readonly<Record<string, (key: string, id: number) => unknown>> = {
  read: (key) => actor.known.add(key),
  forget: (key) => actor.known.delete(key),
  own: (key, id) => actor.mine.set(key, id),
  gone: (key) => toCheck.push(key),
  again: (key, id) => actor.gone.set(key, id),
};
input.on("line", (line) => {
  const [what, key, id] = line.split(" ") as [string, string, string];
  told[what]?.(key, Number(id));
});

/** An open container of version 2 may see for a while what others have deleted; one that is opened now may not. */
async function checkGone(): Promise<void> {
  if (toCheck.length === 0) return;
  await using container = await actor.another();
  for (const key of toCheck.splice(0)) {
    if (await container.has(key)) throw new Error(`${key} was deleted and is back`);
    say("=", key);
  }
}

say(">", "open");
await actor.open();
say("<", "open");
const { formatVersion } = actor.container;
const names =
  chosen.length > 0
    ? chosen
    : Object.entries(verbs).flatMap(([name, { share, version }]) =>
        version === undefined || version === formatVersion ? Array<string>(share).fill(name) : [],
      );
/** A process of disk-objectstore can begin a pack just before we do; then we are refused at once. */
async function act(verb: string): Promise<void> {
  try {
    await verbs[verb]?.act(actor);
    say("<", verb);
  } catch (error) {
    if (formatVersion === 2 || !isTsdosError(error, "LOCKED")) throw error;
    say("<", `${verb}-locked`);
  }
}

let doing = "gone";
try {
  while (!ended) {
    await checkGone();
    doing = actor.pick(names);
    say(">", doing);
    await act(doing);
    doing = "gone";
    await sleep(actor.below(Number(pause) + 1));
  }
} catch (error) {
  say("x", doing, (error as Error).stack?.replaceAll("\n", " | "));
  process.exitCode = 1;
}
await actor.close();
