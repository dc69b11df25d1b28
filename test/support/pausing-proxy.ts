import net from 'node:net';

/** A TCP proxy that can stop passing bytes without closing anything, as a frozen server or a lost network does. */
export interface PausingProxy {
  readonly port: number;
  pause(): void;
  resume(): void;
  close(): Promise<void>;
}

/** Stands between a client and `port` on this machine. */
export async function pausingProxy(port: number): Promise<PausingProxy> {
  const sockets = new Set<net.Socket>();
  let paused = false;
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('data', (bytes) => other.write(bytes));
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      if (paused) socket.pause();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    port: address.port,
    pause() {
      paused = true;
      for (const socket of sockets) socket.pause();
    },
    resume() {
      paused = false;
      for (const socket of sockets) socket.resume();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
