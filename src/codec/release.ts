/**
 * Gives the memory of a codec's output back at once; the array is empty afterwards. Left to the garbage collector, some 64 MiB of
 * used outputs pile up before it looks. Only for bytes that nobody else has; what shares its memory with others is left alone.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && bytes.byteOffset === 0 && buffer.byteLength > Buffer.poolSize)
    buffer.transfer(0);
}
