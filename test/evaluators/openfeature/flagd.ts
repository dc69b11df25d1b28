import { Server, ServerCredentials, type ServerWritableStream, type ServiceDefinition } from '@grpc/grpc-js';
import type { Exposure } from '../../../src/core/exposure.ts';
import type { FlagRef } from '../../../src/core/plan.ts';

/** Flags as flagd reads them, by key. */
export type FlagdFlags = Record<string, unknown>;

/** A flag in flagd's own form: listed subjects first, then the share, else the off value. */
export function flagdFlag(flag: FlagRef, to: Exposure): unknown {
  const values = flag.type === 'boolean' ? [true, false] : flag.type.oneOf;
  const listed = to.listed.map(({ attribute, values: some }) => ({ in: [{ var: attribute === 'key' ? 'targetingKey' : attribute }, some] }));
  const rest =
    to.share > 0 && to.share < 100
      ? { fractional: [{ cat: [{ var: '$flagd.flagKey' }, { var: 'targetingKey' }] }, [String(to.value), to.share], [String(flag.offValue), 100 - to.share]] }
      : String(to.share === 100 ? to.value : flag.offValue);
  return {
    state: 'ENABLED',
    variants: Object.fromEntries(values.map((value) => [String(value), value])),
    defaultVariant: String(to.share === 100 ? to.value : flag.offValue),
    targeting: listed.length === 0 && typeof rest === 'string' ? {} : listed.length === 0 ? rest : { if: [{ or: listed }, String(to.value), rest] },
  };
}

/** The document that flagd's providers read. */
export function flagdDocument(flags: FlagdFlags): string {
  return JSON.stringify({ $schema: 'https://flagd.dev/schema/v0/flags.json', flags });
}

/** A server that hands flags to in-process providers as flagd does (flagd.sync.v1), and pushes each change. */
export interface FlagdSync {
  readonly port: number;
  push(document: string): void;
  /** Providers that are connected. */
  streams(): number;
  /** Ends it, cutting every stream. */
  kill(): void;
}

// One field of the message: number 1, a text.
const bytesOf = (document: string): Buffer => {
  const text = Buffer.from(document);
  const length: number[] = [];
  for (let rest = text.length; ; rest >>>= 7) {
    if (rest < 128) return Buffer.concat([Buffer.from([10, ...length, rest]), text]);
    length.push((rest & 127) | 128);
  }
};

const service = {
  syncFlags: {
    path: '/flagd.sync.v1.FlagSyncService/SyncFlags',
    requestStream: false,
    responseStream: true,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: bytesOf,
    responseDeserialize: (bytes: Buffer) => bytes.toString(),
  },
} satisfies ServiceDefinition;

/** Starts one on 127.0.0.1, on a port of its own or on the one given. */
export async function startFlagdSync(document: string, port = 0): Promise<FlagdSync> {
  const server = new Server();
  const streams = new Set<ServerWritableStream<Buffer, string>>();
  let current = document;
  server.addService(service, {
    syncFlags: (call: ServerWritableStream<Buffer, string>) => {
      streams.add(call);
      call.on('close', () => streams.delete(call));
      call.on('cancelled', () => streams.delete(call));
      call.write(current);
    },
  });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) => (error === null ? resolve(at) : reject(error)));
  });
  return {
    port: bound,
    push(next) {
      current = next;
      for (const stream of streams) stream.write(next);
    },
    streams: () => streams.size,
    kill: () => server.forceShutdown(),
  };
}
