import { parentPort, workerData } from "node:worker_threads";
import { serveTasks } from "../thread-pool.ts";
import type { Compressing } from "./compressing.ts";
import { type EncodeTask, runEncodeTask } from "./encode-task.ts";

/** The thread that `small-encoder.ts` starts: encodes the contents of one task after the other. */
serveTasks((task: EncodeTask) => {
  const answer = runEncodeTask(task, workerData as Compressing);
  parentPort?.postMessage(answer, [answer.sizes.buffer, answer.bytes.buffer] as ArrayBuffer[]);
});
