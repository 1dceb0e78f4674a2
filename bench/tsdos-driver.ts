// Drives tsdos by its public entry, as built: one command of bench/protocol.ts per line on stdin, one answer per line
// on stdout. Each command measures its work alone: inputs are in memory before the clock starts, results are checked
// after it stopped. The container is opened and closed within.
import { closeSync, fstatSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type * as Tsdos from "../src/index.ts";
import { type Answer, type Command, type Found, mixKeys, sumEvery } from "./protocol.ts";

const { Container, fromFile }: typeof Tsdos = await import(new URL("../dist/index.js", import.meta.url).href);

type Container = Tsdos.Container;
type Measured = { readonly ms: number } & Found;

async function measure<T>(command: Command, work: (container: Container) => Promise<T>): Promise<[number, T]> {
  const profile = await startProfile(command);
  const start = performance.now();
  const container = await Container.open(command.path, { durability: command.sync ? "full" : "process" });
  const result = await work(container);
  await container.close();
  const ms = performance.now() - start;
  await profile?.();
  return [ms, result];
}

/** Starts a CPU profile if the driver was given a folder for profiles; what is returned ends it. */
async function startProfile({ op, where }: Command): Promise<(() => Promise<void>) | undefined> {
  const folder = process.argv[2];
  if (folder === undefined) return undefined;
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: 200 });
  await session.post("Profiler.start");
  return async () => {
    const { profile } = await session.post("Profiler.stop");
    session.disconnect();
    writeFileSync(
      join(folder, `${[op, where, process.pid].filter(Boolean).join("-")}.cpuprofile`),
      JSON.stringify(profile),
    );
  };
}

async function create(command: Command): Promise<Measured> {
  const start = performance.now();
  const container = await Container.create(command.path, { compression: command.compression! });
  await container.close();
  return { ms: performance.now() - start };
}

async function insert(command: Command): Promise<Measured> {
  const corpus = readFileSync(command.corpus!);
  const size = command.size!;
  const sources = Array.from({ length: command.count! }, (_, i) => corpus.subarray(i * size, (i + 1) * size));
  const [ms, keys] = await measure(command, async (container) => {
    const inserted: string[] = [];
    const options = { to: command.where!, compress: "no" } as const;
    for await (const { key } of container.insertMany(sources, options)) inserted.push(key);
    return inserted;
  });
  return { ms, objects: keys.length, keys: mixKeys(keys) };
}

async function insertFile(command: Command): Promise<Measured> {
  const options = { to: command.where!, compress: "no" } as const;
  const [ms, result] = await measure(command, (c) => c.insert(fromFile(command.file!), options));
  return { ms, objects: 1, key: result.key };
}

async function insertFileMany(command: Command): Promise<Measured> {
  const options = { to: command.where!, compress: "no" } as const;
  const [ms, results] = await measure(command, (c) =>
    Array.fromAsync(c.insertMany([fromFile(command.file!)], options)),
  );
  return { ms, objects: results.length, key: results[0]!.key };
}

/** What proves that content was read. */
interface Sample {
  objects: number;
  bytes: number;
  sum: number;
}

async function readWith(
  command: Command,
  work: (container: Container, keys: readonly string[], sample: Sample) => Promise<void>,
): Promise<Measured> {
  const keys = readFileSync(command.keys!, "latin1").trim().split("\n");
  const sample: Sample = { objects: 0, bytes: 0, sum: 0 };
  const [ms] = await measure(command, (container) => work(container, keys, sample));
  return { ms, ...sample };
}

function read(command: Command): Promise<Measured> {
  return readWith(command, async (container, keys, sample) => {
    for await (const batch of container.readMany(keys, { from: command.where! }).batches()) {
      for (const { key, bytes } of batch) {
        if (bytes === undefined) throw new Error(`${key} is not ${command.where}`);
        take(sample, bytes, command.stride!);
      }
    }
  });
}

function readSingle(command: Command): Promise<Measured> {
  return readWith(command, async (container, keys, sample) => {
    for (const key of keys) {
      take(sample, await there(await container.extract(key), command).bytes(), command.stride!);
    }
  });
}

/** The object, if it is where the command wants it to be read from. */
function there(object: Tsdos.StoredObject | undefined, { where }: Command): Tsdos.StoredObject {
  if (object?.where !== where) throw new Error(`an object is ${object?.where ?? "missing"}, not ${where}`);
  return object!;
}

function take(sample: Sample, content: Uint8Array, stride: number): void {
  sample.objects += 1;
  sample.bytes += content.length;
  sample.sum += sumEvery(stride, content, 0);
}

function stream(command: Command): Promise<Measured> {
  return readWith(command, async (container, keys, sample) => {
    for (const key of keys) {
      const object = there(await container.extract(key), command);
      let position = 0;
      for await (const piece of object.pieces()) {
        sample.sum += sumEvery(command.stride!, piece, position);
        position += piece.length;
      }
      sample.objects += 1;
      sample.bytes += position;
    }
  });
}

async function exportFile(command: Command): Promise<Measured> {
  const { ms } = await readWith(command, async (container, keys) => {
    await there(await container.extract(keys[0]!), command).toFile(command.target!);
  });
  return { ms, ...sampleFile(command.target!, command.stride!) };
}

function sampleFile(path: string, stride: number): Sample {
  const fd = openSync(path, "r");
  const bytes = fstatSync(fd).size;
  const byte = new Uint8Array(1);
  let sum = 0;
  for (let position = 0; position < bytes; position += stride) {
    readSync(fd, byte, 0, 1, position);
    sum += byte[0]!;
  }
  closeSync(fd);
  return { objects: 1, bytes, sum };
}

async function pack(command: Command): Promise<Measured> {
  const [ms] = await measure(command, (container) => container.pack({ clean: false, compress: "no" }));
  return { ms };
}

async function clean(command: Command): Promise<Measured> {
  const [ms] = await measure(command, (container) => container.clean());
  return { ms };
}

async function list(command: Command): Promise<Measured> {
  const [ms, keys] = await measure(command, async (container) => {
    const none: string[] = [];
    return none.concat(...(await Array.fromAsync(container.keys().batches())));
  });
  return { ms, objects: keys.length, keys: mixKeys(keys) };
}

const operations: Record<Command["op"], (command: Command) => Promise<Measured>> = {
  create,
  insert,
  "insert-file": insertFile,
  "insert-file-many": insertFileMany,
  read,
  "read-single": readSingle,
  stream,
  export: exportFile,
  pack,
  clean,
  list,
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  let answer: Answer;
  try {
    answer = { ok: true, ...(await operations[command.op](command)) };
  } catch (error) {
    answer = { ok: false, error: String(error instanceof Error ? error.stack : error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
