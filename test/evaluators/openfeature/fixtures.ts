import { OpenFeatureEventEmitter, ProviderEvents, StandardResolutionReasons, type Provider, type ResolutionDetails } from '@openfeature/server-sdk';

type Doing = 'fine' | 'throws' | 'hangs' | 'default' | 'numbers' | 'reasonless';

/** A provider that does as it is told, for what a good one never does. */
export class Odd implements Provider {
  readonly metadata = { name: 'odd' };
  readonly runsOn = 'server';
  readonly events = new OpenFeatureEventEmitter();
  readonly #options: { readonly token?: string; readonly doing?: Doing; readonly start?: 'fails' | 'hangs' | 'throws'; readonly emit?: 'stale' | 'error' };

  constructor(
    options: { readonly token?: string; readonly doing?: Doing; readonly start?: 'fails' | 'hangs' | 'throws'; readonly emit?: 'stale' | 'error' } = {},
  ) {
    if (options.token === 'refuse-me-0123456789') throw new Error(`the key ${options.token} is malformed`);
    this.#options = options;
  }

  initialize(): Promise<void> {
    const { start, token, emit } = this.#options;
    if (start === 'throws') throw new Error(`no start with ${token ?? ''}`);
    if (start === 'fails') return Promise.reject(new Error(`the key ${token ?? ''} is not known`));
    if (start === 'hangs') return new Promise(() => undefined);
    if (emit !== undefined)
      setTimeout(() => this.events.emit(emit === 'stale' ? ProviderEvents.Stale : ProviderEvents.Error, { message: `lost the server, key ${token ?? ''}` }), 5);
    return Promise.resolve();
  }

  #answer<T>(fallback: T, value: T, key: string): Promise<ResolutionDetails<T>> {
    const { doing, token } = this.#options;
    if (doing === 'throws') return Promise.reject(new Error(`cannot read ${key} with ${token ?? ''}`));
    if (doing === 'hangs') return new Promise(() => undefined);
    if (doing === 'default') return Promise.resolve({ value: fallback, reason: StandardResolutionReasons.DISABLED });
    if (doing === 'numbers') return Promise.resolve({ value: 1 as T, reason: StandardResolutionReasons.STATIC });
    if (doing === 'reasonless') return Promise.resolve({ value: fallback });
    return Promise.resolve({ value, reason: StandardResolutionReasons.STATIC, variant: 'on' });
  }

  resolveBooleanEvaluation(key: string, fallback: boolean): Promise<ResolutionDetails<boolean>> {
    return this.#answer(fallback, true, key);
  }
  resolveStringEvaluation(key: string, fallback: string): Promise<ResolutionDetails<string>> {
    return this.#answer(fallback, 'full', key);
  }
  resolveNumberEvaluation(key: string, fallback: number): Promise<ResolutionDetails<number>> {
    return this.#answer(fallback, 1, key);
  }
  resolveObjectEvaluation<T>(key: string, fallback: T): Promise<ResolutionDetails<T>> {
    return this.#answer(fallback, fallback, key);
  }
}

/** One made by a function. */
export const makeOdd = (options: ConstructorParameters<typeof Odd>[0]): Promise<Odd> => Promise.resolve(new Odd(options));

/** One made of two arguments, as some vendors' are. */
export class OddByKey extends Odd {
  constructor(key: string, options: { readonly start?: 'fails' }) {
    super({ token: key, ...options });
  }
}

/** One for browsers. */
export const makeBrowserOdd = (): object => Object.assign(new Odd(), { runsOn: 'client' });

/** Not a provider at all. */
export class NoProvider {
  readonly name = 'none';
}
