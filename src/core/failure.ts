/** A vendor or source said no for good: a person must mend it. `code` is stable; the message holds no secret. */
export class Terminal extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Terminal';
    this.code = code;
  }
}

/** Trying again may help; `delay` (ms) is the vendor's own word where it gave one. */
export class Retryable extends Error {
  readonly delay: number | undefined;
  constructor(message: string, delay?: number, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Retryable';
    this.delay = delay;
  }
}

/** The flag is not at the revision we expected: someone else wrote it. Nothing of ours was written. */
export class Drift extends Error {
  readonly flag: string;
  constructor(flag: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Drift';
    this.flag = flag;
  }
}
