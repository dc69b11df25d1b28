// A line per thing, with the seconds it took; a sign of life every 20 s for what takes long.
const started = Date.now();
const SIGN_OF_LIFE_MS = 20_000;

/** Seconds since set-up began. */
export const elapsed = () => ((Date.now() - started) / 1000).toFixed(1);

/** Starts the line of one thing. `say` tells what is being tried; exactly one of `done`, `missing`, `failed` ends it. */
export function progress(name) {
  const began = Date.now();
  let doing = '';
  const seconds = () => `${((Date.now() - began) / 1000).toFixed(1)} s`;
  const timer = setInterval(() => {
    if (doing !== '') line('…', name, `${doing} (${seconds()})`);
  }, SIGN_OF_LIFE_MS);
  timer.unref();
  return {
    say(text) {
      doing = text;
      line('…', name, text);
    },
    done(text) {
      clearInterval(timer);
      line('✓', name, `${text}  ${seconds()}`);
    },
    missing(text) {
      clearInterval(timer);
      line('!', name, text);
    },
    failed(text) {
      clearInterval(timer);
      line('✗', name, text);
    },
  };
}

function line(mark, name, text) {
  process.stdout.write(`${elapsed().padStart(6)}  ${mark} ${name.padEnd(22)} ${text}\n`);
}
