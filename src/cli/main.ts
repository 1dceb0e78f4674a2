#!/usr/bin/env node
// Everything modern is behind the dynamic import, so that an old Node still parses this file and can say what is wrong.

const REQUIRED = { major: 22, minor: 15 };

/** The newest version of V8 that this was tried with: that of Node 24. */
const V8_KNOWN = 13;

/** True when a Node version such as `22.15.0` can run tsdos. */
function isSupported(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > REQUIRED.major || (major === REQUIRED.major && minor >= REQUIRED.minor);
}

/**
 * V8 lets its young generation grow to 128 MB, whatever there is to do, and half as much memory outside of its heap wait to be freed.
 * With a growth factor of 1, which only a running V8 accepts, it stays at a MiB: 100 MB less for long commands, which are as fast.
 */
async function keepHeapSmall(): Promise<void> {
  const { setFlagsFromString } = await import("node:v8");
  // A newer V8 that does not know the flag would complain on stderr.
  if (Number.parseInt(process.versions.v8, 10) <= V8_KNOWN) setFlagsFromString("--semi-space-growth-factor=1");
}

if (isSupported(process.versions.node)) {
  // Node would complain on stderr that it heeds the other one.
  if (process.env["NO_COLOR"]) delete process.env["FORCE_COLOR"];
  const { run } = await import("./run.ts");
  // Behind the import: with flags other than its own, Node compiles each of its modules anew, which takes 15 ms.
  await keepHeapSmall();
  process.exit(await run(process.argv.slice(2)));
} else {
  const message = `tsdos needs Node ${REQUIRED.major}.${REQUIRED.minor} or newer, this is Node ${process.versions.node}`;
  const asJson = process.argv.includes("--json");
  const code = "OLD_NODE";
  process.stderr.write(
    asJson ? `${JSON.stringify({ error: { code, message, details: {} } })}\n` : `tsdos: ${code}: ${message}\n`,
  );
  process.exit(1);
}
