import { parentPort, workerData } from "node:worker_threads";
import { NodeFileSystem } from "../fs/node-file-system.ts";
import { Pacer } from "../store/context.ts";
import { serveTasks } from "../thread-pool.ts";
import { type CheckTask, ObjectChecker } from "./check-objects.ts";
import { answerOf, type CheckerData } from "./check-pool.ts";

/** The thread that `check-pool.ts` starts: verifies the objects of one task after the other. */
const { root, config, packsFolder } = workerData as CheckerData;
const checker = new ObjectChecker({ fs: new NodeFileSystem(), root, config, durability: "process" }, packsFolder);
const pacer = new Pacer();
const ending = new AbortController();
/** So that it hears when it is to end: an object may be large. */
const rest = (): Promise<void> | undefined => {
  ending.signal.throwIfAborted();
  return pacer.due ? pacer.pause() : undefined;
};
let last: Promise<unknown> = Promise.resolve();
serveTasks(
  (task: CheckTask) => {
    last = last.then(async () => {
      parentPort?.postMessage(answerOf(await checker.check(task, rest)));
    });
  },
  async () => {
    ending.abort();
    await last.catch(() => undefined);
  },
);
