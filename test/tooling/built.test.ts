// What `npm run build` makes is bundled: here is tried what that could break, which the tests of the sources do not see.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { builtLibrary, builtMain } from "../support/built.ts";
import { temporaryFolder } from "../support/folders.ts";

const project = join(import.meta.dirname, "../..");
const index = JSON.stringify(pathToFileURL(builtLibrary));

function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const options = { encoding: "utf8", timeout: 60_000, env: { ...process.env, ...env } } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, args, options);
  assert.equal(status, 0, stderr);
  return stdout;
}

/** Says how many threads were started, and what they failed with: whoever starts them does without, when they fail. */
function threadsOf(work: string, env: NodeJS.ProcessEnv = {}): { online: number; failures: string[] } {
  const script = `
    import { Container } from ${index};
    let online = 0;
    const failures = [];
    process.on("worker", (worker) => {
      worker.on("online", () => online++);
      worker.on("error", (error) => failures.push(String(error)));
    });
    const container = await Container.create(${JSON.stringify(join(temporaryFolder(), "container"))}, { compression: "zstd" });
    ${work}
    await container.close();
    console.log(JSON.stringify({ online, failures }));`;
  return JSON.parse(run(["--input-type=module", "-e", script], env));
}

test("the built library finds the threads that compress", () => {
  const { online, failures } = threadsOf(`
    const many = Array.from({ length: 3000 }, (_, i) => Buffer.from((i + " and so on; ").repeat(200)));
    for await (const _ of container.insertMany(many));
    await container.pack({ threads: 2 });`);
  assert.deepEqual(failures, []);
  assert.ok(online > 0);
});

test("the built library finds the threads that validate", () => {
  const { online, failures } = threadsOf(`
    const large = Array.from({ length: 40 }, (_, i) => new Uint8Array(3 * 1024 ** 2).fill(i));
    for await (const _ of container.insertMany(large, { to: "packed", compress: "no" }));
    await container.validate({ threads: 2 });`);
  assert.deepEqual(failures, []);
  assert.ok(online > 0);
});

test("the built library finds the thread that hashes, without native calls", () => {
  const work = `await container.insert(new Uint8Array(130 * 1024 ** 2), { compress: "no" });`;
  assert.deepEqual(threadsOf(work, { TSDOS_NATIVE: "off" }), { online: 1, failures: [] });
});

test("the built library works within a program that is bundled as CommonJS, without threads", async () => {
  const folder = temporaryFolder();
  const source = join(folder, "program.js");
  const program = join(folder, "program.cjs");
  writeFileSync(
    source,
    `import { Container } from ${JSON.stringify(builtLibrary)};
    const many = Array.from({ length: 1100 }, (_, i) => Buffer.from((i + " and so on; ").repeat(100)));
    (async () => {
      const container = await Container.create(${JSON.stringify(join(folder, "container"))});
      for await (const _ of container.insertMany(many.slice(0, 500), { to: "packed", threads: 2 }));
      for await (const _ of container.insertMany(many, { durability: "process" }));
      await container.pack({ threads: 2 });
      await container.insert(new Uint8Array(130 * 1024 ** 2), { durability: "process" });
      const { valid } = await container.validate({ threads: 2 });
      console.log(valid, (await container.status()).objects);
      await container.close();
    })();`,
  );
  // What esbuild says of itself: that there is no import.meta in CommonJS.
  const logOverride = { "empty-import-meta": "silent" } as const;
  const options = { bundle: true, platform: "node", format: "cjs", logLevel: "warning", logOverride } as const;
  await build({ ...options, external: ["koffi"], entryPoints: [source], outfile: program });
  assert.equal(run([program]), "true 1101\n");
});

test("the built command line knows its version, stores and gives back", () => {
  const { version } = JSON.parse(readFileSync(join(project, "package.json"), "utf8"));
  assert.equal(run([builtMain, "--version"]), `${version}\n`);
  const container = join(temporaryFolder(), "container");
  run([builtMain, "-p", container, "init"]);
  const [key] = run([builtMain, "-p", container, "add", join(project, "LICENSE")]).split(" ");
  run([builtMain, "-p", container, "pack"]);
  assert.equal(run([builtMain, "-p", container, "cat", key!]), readFileSync(join(project, "LICENSE"), "utf8"));
});

test("an old Node still parses the built program, which loads all others only when it may", () => {
  const main = readFileSync(builtMain, "utf8");
  assert.doesNotMatch(main, /^import\b/m);
  assert.match(main, /await import\("\.\.\/run-\w+\.js"\)/);
});
