/** What goes wrong with a request. `cut-after`: it is carried out first; `ignore`: it is answered with success and not carried out. */
export interface Fault {
  /** `PATCH /api/v2/flags/shop/chat`: matched by its beginning; left out: every request. */
  readonly on?: string;
  /** How many requests meet it. Default: one. */
  readonly times?: number;
  /** How many that match are let go first. Default: none. */
  readonly after?: number;
  readonly kind: 'answer' | 'cut' | 'cut-after' | 'hang' | 'ignore';
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** The faults that wait for their requests. */
export interface Faults {
  add(fault: Fault): void;
  /** The fault that this request meets, counted. */
  take(method: string, path: string): Fault | undefined;
  clear(): void;
}

/** Opens an empty list. */
export function openFaults(): Faults {
  let waiting: { readonly fault: Fault; left: number; spared: number }[] = [];
  return {
    add(fault) {
      waiting.push({ fault, left: fault.times ?? 1, spared: fault.after ?? 0 });
    },
    take(method, path) {
      const found = waiting.find(({ fault }) => fault.on === undefined || `${method} ${path}`.startsWith(fault.on));
      if (found === undefined) return undefined;
      if (found.spared > 0) {
        found.spared -= 1;
        return undefined;
      }
      found.left -= 1;
      if (found.left <= 0) waiting = waiting.filter((one) => one !== found);
      return found.fault;
    },
    clear() {
      waiting = [];
    },
  };
}
