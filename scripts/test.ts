// Runs the tests, or the test files of the arguments. Node bounds each test but not a file that does not end, so the
// whole run is bounded here: on SIGTERM the runner names the files that are still running, and ends them. The command line
// is tried as it is built, so it is built before.
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { bundle, bundleTestPrograms } from "./bundle.ts";

const TEST_LIMIT_MS = 5 * 60_000;
const RUN_LIMIT_MS = 15 * 60_000;

const cache = join(import.meta.dirname, "../.cache");
const programs = join(cache, "programs");

await bundle();
await bundleTestPrograms(programs);
const files = process.argv.length > 2 ? process.argv.slice(2) : ["test/**/*.test.ts"];
const light = pathToFileURL(join(import.meta.dirname, "light-test-runner.ts")).href;
const options = [
  "--test",
  `--test-timeout=${TEST_LIMIT_MS}`,
  `--test-concurrency=${availableParallelism()}`,
  `--import=${light}`,
];
// Each file is a process, and starts many: without the cache each of them would take the types out of all sources again, for 0.2 s.
const env = { ...process.env, NODE_COMPILE_CACHE: join(cache, "compile"), TSDOS_TEST_PROGRAMS: programs };
const runner = spawnSync(process.execPath, [...options, ...files], { stdio: "inherit", timeout: RUN_LIMIT_MS, env });
process.exitCode = runner.status ?? 1;
