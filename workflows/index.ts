export { launch } from './launch.ts';
export { rollback } from './rollback.ts';
