import { parentPort, workerData } from "node:worker_threads";
import { NodeFileSystem } from "../fs/node-file-system.ts";
import { type CheckTask, ObjectChecker } from "./check-objects.ts";
import { answerOf, type CheckerData } from "./check-pool.ts";

/** The thread that `check-pool.ts` starts: verifies the objects of one task after the other. */
const { root, config, packsFolder } = workerData as CheckerData;
const checker = new ObjectChecker({ fs: new NodeFileSystem(), root, config, durability: "process" }, packsFolder);
let last: Promise<unknown> = Promise.resolve();
parentPort?.on("message", (task: CheckTask) => {
  last = last.then(async () => {
    parentPort?.postMessage(answerOf(await checker.check(task, () => undefined)));
  });
});
