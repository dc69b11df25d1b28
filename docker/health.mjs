// Whether the process of this container lives: asked by docker's HEALTHCHECK.
const url = process.env.GONOGO_HEALTH_URL ?? 'http://127.0.0.1:7077/healthz';
try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  if (!answer.ok) throw new Error(`answered ${answer.status}; expected 200`);
} catch (error) {
  console.error(`${url}: ${error.message}`);
  process.exit(1);
}
