// A program of its own that starts Temporal on the file given, says its process id, and waits to be killed.
import { startTemporal } from '../../../src/embedded/temporal.ts';
import { requireTool } from './require-tool.ts';

const [dbFile] = process.argv.slice(2);
if (dbFile === undefined) throw new Error('no file given; expected start-temporal.ts <dbFile>');
const { pid } = await startTemporal({ cli: requireTool('temporal'), dbFile, headless: true, log: () => undefined });
process.stdout.write(`${pid}\n`);
setInterval(() => undefined, 60_000);
