#!/usr/bin/env node
// Everything modern is behind the dynamic import, so that an old Node still parses this file and can say what is wrong.

const REQUIRED = { major: 22, minor: 15 };

/** True when a Node version such as `22.15.0` can run tsdos. */
function isSupported(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > REQUIRED.major || (major === REQUIRED.major && minor >= REQUIRED.minor);
}

if (isSupported(process.versions.node)) {
  const { run } = await import("./run.ts");
  process.exit(await run(process.argv.slice(2)));
} else {
  const required = `${REQUIRED.major}.${REQUIRED.minor}`;
  process.stderr.write(
    `tsdos: OLD_NODE: tsdos needs Node ${required} or newer, this is Node ${process.versions.node}\n`,
  );
  process.exit(1);
}
