import { InterceptingCall, type Interceptor } from '@grpc/grpc-js';
import { Connection } from '@temporalio/client';
import { expect, it } from 'vitest';
import { freePort } from '../src/embedded/process.ts';
import { INTERCEPTORS } from '../src/temporal-connection.ts';
import { until } from './support/until.ts';

it('a call that is tried again after its connection was closed is cancelled, and throws nowhere else', async () => {
  let failed = 0;
  const count: Interceptor = (options, next) =>
    new InterceptingCall(next(options), {
      start: (metadata, _listener, go) =>
        go(metadata, {
          onReceiveStatus: (status, tell) => {
            failed += 1;
            tell(status);
          },
        }),
    });
  // Nobody listens there: each attempt fails at once, and the next one waits.
  const connection = Connection.lazy({ address: `127.0.0.1:${await freePort()}`, interceptors: [...INTERCEPTORS, count] });
  const call = expect(connection.workflowService.getSystemInfo({})).rejects.toMatchObject({ code: 1 });
  await until('an attempt has failed', () => failed > 0);
  await connection.close();
  await call;
});
