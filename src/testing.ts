export { type Fault, type FileCall, InterceptedFileSystem } from "./testing/intercepted-file-system.ts";
export { MemoryFileSystem, type Survives } from "./testing/memory-file-system.ts";
export { objectStoreConformance } from "./testing/object-store-conformance.ts";
export type { ConformanceOptions, StoreUnderTest } from "./testing/store-under-test.ts";
