/** Waits until `look` gives something other than undefined or false, looking every 20 ms. Throws after `ms` with what was waited for. */
export async function until<T>(what: string, look: () => T | Promise<T>, ms = 20_000): Promise<Exclude<T, undefined | false>> {
  const end = performance.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
    if (performance.now() > end) throw new Error(`waited ${ms} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
