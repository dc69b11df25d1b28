// A program of its own that starts Postgres in the folder given, says its process id, and waits to be killed.
import { startPostgres } from '../../../src/embedded/postgres.ts';

const [dataDir] = process.argv.slice(2);
if (dataDir === undefined) throw new Error('no folder given; expected start-postgres.ts <dataDir>');
const { pid } = await startPostgres({ dataDir, fsync: false, log: () => undefined });
process.stdout.write(`${pid}\n`);
setInterval(() => undefined, 60_000);
