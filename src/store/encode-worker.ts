import { parentPort, workerData } from "node:worker_threads";
import type { Compressing } from "./compressing.ts";
import { type EncodeTask, runEncodeTask } from "./encode-task.ts";

/** The thread that `small-encoder.ts` starts: encodes the contents of one task after the other. */
parentPort?.on("message", (task: EncodeTask) => {
  const answer = runEncodeTask(task, workerData as Compressing);
  parentPort?.postMessage(answer, [answer.sizes.buffer, answer.bytes.buffer] as ArrayBuffer[]);
});
