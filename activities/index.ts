export { openJourney } from './journey.ts';
export { openRestoring } from './restoring.ts';
export { openWatching } from './watching.ts';
