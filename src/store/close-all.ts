/** Does all of it, also when some of it fails; throws the first error. */
export function closeAll(...closing: readonly (() => void)[]): void {
  const errors: unknown[] = [];
  for (const close of closing) {
    try {
      close();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
