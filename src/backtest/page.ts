import { createHash } from 'node:crypto';
import { describeMillis, describeNumber } from '../core/bound.ts';
import { exposedShare } from '../core/exposed.ts';
import type { Gate } from '../core/plan.ts';
import { measurementsOf } from '../core/query.ts';
import { counts } from '../core/reading.ts';
import { shareFor, type Backtest, type Trial } from './backtest.ts';
import { draw, legend, PATTERNS } from './draw.ts';
import type { History } from './history.ts';
import { escaped } from './html.ts';
import { healthy } from './regress.ts';
import { headOf, tellBacktest } from './table.ts';
import { traceOf, type Trace } from './trace.ts';

/** Stretches of time in one drawing: about one for each point of a screen. */
const COLUMNS = 720;
/** So many rollbacks are listed under a drawing. */
const LISTED = 10;

const STYLE = `
:root{color-scheme:light dark;--page:#fff;--panel:#f6f7f9;--text:#14171c;--quiet:#5b6270;--line:#d5d9e0;--go:#1a6b3c;--bad:#b3261e;--wait:#7a4d00;--run:#1d4fb8;--roll:#8a1c7c}
@media (prefers-color-scheme:dark){:root{--page:#14171c;--panel:#1c2027;--text:#e8eaee;--quiet:#a7afbd;--line:#39404c;--go:#6fd08f;--bad:#ff8a80;--wait:#ffc266;--run:#8ab4ff;--roll:#f0a0e4}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,sans-serif}
main{max-width:1120px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:1.5rem;margin:0 0 4px}h2{font-size:1.1rem;margin:36px 0 4px}
p{margin:4px 0}.quiet{color:var(--quiet)}
code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:6px;background:var(--panel);margin:12px 0}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:5px 10px;text-align:left;white-space:nowrap;border-bottom:1px solid var(--line)}
thead th{color:var(--quiet);font-weight:600}tbody tr:last-child>*{border-bottom:0}
ul{padding-left:20px;margin:6px 0}li{overflow-wrap:anywhere}
.failed{color:var(--bad)}
.legend{display:flex;flex-wrap:wrap;gap:6px 18px;font-size:13px}
.key{width:28px;height:14px;vertical-align:-2px}.defs{position:absolute;width:0;height:0}
.chart{display:block;width:100%;min-width:680px;height:auto;padding:4px}
svg text{font:12px system-ui,sans-serif;fill:var(--text)}svg .tick{fill:var(--quiet);font-size:11px}svg .what{font-weight:600}
.frame{fill:none;stroke:var(--line)}.day{stroke:var(--line);stroke-dasharray:2 3}
.series{fill:var(--run);fill-opacity:.35;stroke:var(--run);stroke-width:1.2;stroke-linejoin:round}
.rest{fill:none;stroke:var(--text);stroke-width:1;stroke-dasharray:4 2}
.evidence{fill:var(--run);fill-opacity:.35;stroke:var(--run);stroke-width:1.2}
line.limit{stroke:var(--bad);stroke-width:1.4;stroke-dasharray:7 4}svg text.limit{fill:var(--bad)}
rect.go{fill:var(--go);fill-opacity:.35}rect.waiting{fill:url(#p-waiting)}rect.blind{fill:url(#p-blind)}rect.no-go{fill:var(--bad)}
.ground{fill:var(--panel)}.wait{fill:var(--wait)}.dot{fill:var(--quiet)}
.rolls{color:var(--roll)}.rolls line{stroke:var(--roll);stroke-width:1}svg .rolls text{fill:var(--roll);font-size:13px}
`;

function tableOf(result: Backtest): string {
  const { heads, rows, marks, remarks, left } = tellBacktest(result);
  const cells = (row: readonly string[]): string =>
    row.map((cell, index) => (index === 0 ? `<th scope="row">${escaped(cell)}</th>` : `<td>${escaped(cell)}</td>`)).join('');
  const head = heads.map((text) => `<th scope="col">${escaped(text)}</th>`).join('');
  const list = (texts: readonly string[], name = ''): string =>
    texts.length === 0 ? '' : `<ul${name}>${texts.map((text) => `<li>${text.split('\n').map(escaped).join('<br>')}</li>`).join('')}</ul>`;
  const body =
    rows.length === 0
      ? ''
      : `<div class="scroll" tabindex="0" role="region" aria-label="How each gate did"><table><thead><tr>${head}</tr></thead><tbody>${rows.map((row) => `<tr>${cells(row)}</tr>`).join('')}</tbody></table></div>`;
  return [body, marks.map((text) => `<p class="quiet">${escaped(text)}</p>`).join(''), list(remarks), list(left, ' class="failed"')].join('\n');
}

/** What a gate's past is drawn from: as it was, or where the exposed had none, as at the first stage at which it can be told. */
function pictured(gate: Gate, history: History, { plan, shares }: Trial): { readonly trace: Trace; readonly note: string } | undefined {
  for (const [index, stage] of plan.stages.entries()) {
    if (index < plan.stages.findIndex(({ gates }) => gates.includes(gate.id))) continue;
    const share = shareFor(gate, plan, index, shares);
    const told = healthy(gate, history, share);
    if (told.kind === 'cannot') continue;
    const points = history.points.flatMap((_, at) => told.at(at, Infinity) ?? []);
    const drawn = told.split
      ? ` The exposed had no past of their own: everyone's was split at random at the ${describeNumber(100 * (share ?? 0))} % of stage ${stage.id}.`
      : '';
    // What gathers evidence would gather it for a week on end, as no launch does.
    const again = counts(gate) && stage.bake > 0;
    const trace = traceOf(gate, points, { exposed: exposedShare(plan, index), most: COLUMNS, ...(again ? { lasts: stage.bake } : {}) });
    const launches = again ? `Launches of stage ${stage.id} one after the other, each ${describeMillis(stage.bake)} long` : 'One launch over the whole time';
    return { trace, note: `${launches}, begun anew after each rollback.${drawn}` };
  }
  return undefined;
}

function stopsOf({ rollbacks, holds }: Trace): string {
  const all = [...rollbacks.map((stop) => ({ ...stop, what: 'rolled back' })), ...holds.map((stop) => ({ ...stop, what: 'held' }))].sort((a, b) => a.at - b.at);
  if (all.length === 0) return '<p>It would have stopped nothing.</p>';
  const items = all
    .slice(0, LISTED)
    .map(
      (stop) =>
        `<li><time datetime="${new Date(stop.at).toISOString()}">${new Date(stop.at).toISOString().slice(0, 19).replace('T', ' ')} UTC</time>: ${stop.what}, ${escaped(stop.why)}</li>`,
    );
  return `<ul>${items.join('')}${all.length > LISTED ? `<li>and ${all.length - LISTED} more</li>` : ''}</ul>`;
}

function gateOf(gate: Gate, trial: Trial, result: Backtest): string {
  const about = result.gates.find((one) => one.gate === gate.id);
  const found = trial.remembered.get(gate.id);
  const title = about?.title ?? gate.id;
  const queries = [...new Set(measurementsOf(gate).flatMap(({ text }) => (text === '' ? [] : [text])))];
  const asked = `${gate.kind}, every ${describeMillis(gate.every)}${gate.for > 0 ? `, a breach counts after ${describeMillis(gate.for)}` : ''}${gate.source === undefined ? '' : `, from ${gate.source}`}`;
  const head = `<section id="${escaped(`gate-${gate.id}`)}"><h2>${escaped(title)}</h2><p class="quiet">${escaped(gate.id)}: ${escaped(asked)}</p>${queries.map((text) => `<p><code>${escaped(text)}</code></p>`).join('')}`;
  if (found?.kind !== 'history') {
    const why = about?.failed === undefined ? `Not replayed: ${about?.none ?? 'nobody looked'}` : `${about.failed.why}. ${about.failed.hint}`;
    return `${head}<p class="${about?.failed === undefined ? 'quiet' : 'failed'}">${escaped(why)}</p></section>`;
  }
  const picture = pictured(gate, found.history, trial);
  if (picture === undefined) return `${head}<p class="quiet">Not drawn: no stage tells how many are exposed.</p></section>`;
  const { trace, note } = picture;
  return `${head}<p class="quiet">${escaped(note)}</p><div class="scroll" tabindex="0" role="region" aria-label="${escaped(`${title}, drawn`)}">${draw(gate, title, trace)}</div>${stopsOf(trace)}</section>`;
}

/** A backtest as one HTML document that needs nothing else: no script, no font, no picture from anywhere; its own policy forbids them. Every text is escaped. */
export function backtestPage(trial: Trial, result: Backtest): string {
  const hash = createHash('sha256').update(STYLE).digest('base64');
  const title = escaped(`Backtest of ${result.plan}`);
  return [
    '<!doctype html>',
    `<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'"><title>${title}</title><style>${STYLE}</style></head>`,
    `<body>${PATTERNS}<main><h1>${title}</h1><p class="quiet">${escaped(headOf(result))}</p>`,
    tableOf(result),
    legend(),
    ...trial.plan.gates.map((gate) => gateOf(gate, trial, result)),
    '</main></body></html>\n',
  ].join('\n');
}
