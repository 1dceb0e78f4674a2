// Runs the tests, or the test files of the arguments. Node bounds each test but not a file that does not end, so the
// whole run is bounded here: on SIGTERM the runner names the files that are still running, and ends them.
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

const TEST_LIMIT_MS = 5 * 60_000;
const RUN_LIMIT_MS = 15 * 60_000;

const files = process.argv.length > 2 ? process.argv.slice(2) : ["test/**/*.test.ts"];
const options = ["--test", `--test-timeout=${TEST_LIMIT_MS}`, `--test-concurrency=${availableParallelism()}`];
const runner = spawnSync(process.execPath, [...options, ...files], { stdio: "inherit", timeout: RUN_LIMIT_MS });
process.exitCode = runner.status ?? 1;
