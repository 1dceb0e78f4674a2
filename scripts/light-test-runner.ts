// Loaded before the test runner of Node, which follows every promise of a process to the test that it belongs to. The only use of
// that is to name the test when a promise is rejected and nobody looks at it, or a callback throws; and it takes a sixth of the
// processor's time, since stores make promises by the million. Without it such a test file still fails, with the error.
import hooks from "node:async_hooks";

const { createHook } = hooks;
Object.assign(hooks, {
  createHook: (callbacks: object) => createHook({ ...callbacks, trackPromises: false } as hooks.HookCallbacks),
});
