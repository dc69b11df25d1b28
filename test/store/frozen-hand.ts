// A program of its own that takes a launch's row in a transaction, says so, and does nothing more.
import { lockLaunch } from '../../src/store/launches.ts';
import { openStore } from '../../src/store/store.ts';

const [url, launch] = process.argv.slice(2);
if (url === undefined || launch === undefined) throw new Error('expected frozen-hand.ts <database url> <launch>');
const store = openStore({ url, onError: () => undefined });
await store.db
  .transaction()
  .execute(async (tx) => {
    await lockLaunch(tx, launch);
    process.stdout.write('held\n');
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  })
  .catch(() => undefined);
