import type { ServerProcess } from '../../../src/embedded/process.ts';
import type { ServerDir } from './server-dir.ts';

/** A server that a test can freeze: it keeps its connections and answers nothing until it is thawed. */
export type Freezable<Server extends ServerProcess> = Server & {
  readonly freeze: () => void;
  readonly thaw: () => void;
  /** Kills it as a power cut would. Its folder stays until `stop`. */
  readonly kill: () => void;
};

/** Adds freezing and killing to a server, and has `stop` remove its folder. */
export function freezable<Server extends ServerProcess>(server: Server, place?: ServerDir): Freezable<Server> {
  const stop = async (): Promise<void> => {
    await server.stop();
    place?.remove();
  };
  const send = (signal: NodeJS.Signals) => (): void => void process.kill(server.pid, signal);
  return { ...server, stop, freeze: send('SIGSTOP'), thaw: send('SIGCONT'), kill: send('SIGKILL') };
}
