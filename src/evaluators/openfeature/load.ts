import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Provider } from '@openfeature/server-sdk';
import { Terminal } from '../../core/failure.ts';

/** Makes one provider from its arguments. Throws Terminal `config`, its message as the package gave it: mask it. */
export type MakeProvider = (args: readonly unknown[]) => Promise<Provider>;

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function field(holder: unknown, name: string): unknown {
  return (typeof holder === 'object' && holder !== null) || typeof holder === 'function' ? (Reflect.get(holder, name) as unknown) : undefined;
}

function isProvider(found: unknown): found is Provider {
  return ['resolveBooleanEvaluation', 'resolveStringEvaluation'].every((method) => typeof field(found, method) === 'function');
}

function specifier(module: string): string {
  return path.isAbsolute(module) ? pathToFileURL(module).href : module;
}

/** Loads the package and finds what makes its providers: a class, or a function that returns one. Throws Terminal `config` with what to do. */
export async function loadProvider(where: string, module: string, name: string): Promise<MakeProvider> {
  let loaded: unknown;
  try {
    loaded = await import(specifier(module));
  } catch (error) {
    throw new Terminal(
      'config',
      `${where}.module is ${module}, which cannot be loaded: ${said(error).split('\n')[0] ?? ''}; install it beside gonogo (npm install ${module}) with what it needs, or correct the name`,
    );
  }
  // A package in the older form has everything below its default.
  const found = field(loaded, name) ?? field(field(loaded, 'default'), name);
  if (typeof found !== 'function') {
    const names = [...new Set([loaded, field(loaded, 'default')].flatMap((from) => (typeof from === 'object' && from !== null ? Object.keys(from) : [])))];
    const functions = names.filter((each) => typeof (field(loaded, each) ?? field(field(loaded, 'default'), each)) === 'function');
    throw new Terminal(
      'config',
      `${where}.export is ${name}, which ${module} ${found === undefined ? 'does not export' : 'exports as no class or function'}; expected one of ${functions.join(', ') || 'its classes, and it has none'}`,
    );
  }
  return async (args) => {
    let made: unknown;
    try {
      // Functions without a prototype (arrows, async ones) cannot be constructed; of the others a class must be.
      made = await (field(found, 'prototype') === undefined ? (Reflect.apply(found, undefined, args) as unknown) : (Reflect.construct(found, args) as unknown));
    } catch (error) {
      throw new Terminal('config', `${where}: ${name} of ${module} refused its options: ${said(error)}; correct options or args as its own page says`);
    }
    if (!isProvider(made))
      throw new Terminal('config', `${where}.export is ${name}, which makes no OpenFeature provider; expected the class or function of ${module} that does`);
    if (made.runsOn === 'client')
      throw new Terminal('config', `${where}.module is ${module}, whose provider is for browsers (runsOn client); expected the vendor's provider for servers`);
    return made;
  };
}
