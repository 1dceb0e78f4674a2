// `node many-runs.ts CASES` runs the command lines of a JSON file one after the other in one process, whose standard output and
// error are files, and says on channel 3 for each of them its exit code, and where in the two files what it printed ends.
import { fstatSync, readFileSync, writeSync } from "node:fs";
import { signalExitCodes } from "../../src/cli/exit-codes.ts";
import { run } from "../../src/cli/run.ts";

const cases = JSON.parse(readFileSync(process.argv[2] as string, "utf8")) as string[][];
const ran: [code: number, stdoutEnd: number, stderrEnd: number][] = [];
for (const args of cases) {
  const code = await run(args);
  // A run is the last thing that its process does, and leaves them.
  for (const name of Object.keys(signalExitCodes)) process.removeAllListeners(name);
  ran.push([code, fstatSync(1).size, fstatSync(2).size]);
}
writeSync(3, JSON.stringify(ran));
