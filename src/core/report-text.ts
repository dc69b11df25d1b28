import { describeMillis, describeNumber } from './bound.ts';
import type { GateRecord } from './event.ts';
import type { Report, ReportFlag, ReportStage } from './report.ts';

/** A table or some lines under a heading: what both renderings are made of. */
interface Section {
  readonly heading: string;
  readonly lines?: readonly string[];
  readonly table?: { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };
}

function stageRow(stage: ReportStage): readonly string[] {
  const bake = stage.earned === undefined ? '' : `${describeMillis(stage.earned) || '0s'} of ${describeMillis(stage.required ?? 0) || '0s'}`;
  return [stage.id, stage.openedAt ?? '', stage.shiftedAt ?? '', stage.bakedAt ?? '', bake];
}

function gateRow(stage: string, record: GateRecord): readonly string[] {
  const worst = record.worst === undefined ? '' : describeNumber(record.worst);
  return [stage, record.gate, record.last?.why ?? '', worst, String(record.samples), String(record.breaches), describeMillis(record.blind) || '0s'];
}

function flagRow(flag: ReportFlag): readonly string[] {
  const proof = flag.proofs.at(-1);
  return [
    flag.flag,
    `${flag.provider} ${flag.key}`,
    flag.before === undefined ? 'untouched' : `${flag.before.exposure} (revision ${flag.before.revision})`,
    flag.after === undefined ? '' : `${flag.after.exposure} (revision ${flag.after.revision})`,
    proof === undefined ? '' : `${proof.agreed} of ${proof.asked} at ${proof.instances.join(', ')}${flag.verified ? '' : ', not proven'}`,
  ];
}

function sections(report: Report): Section[] {
  const decisions = report.stages.flatMap((stage) =>
    stage.signatures.map((one) => [
      stage.id,
      String(one.round),
      one.role,
      one.person,
      one.decision,
      one.at,
      one.reason ?? '',
      (one.bugs ?? []).join(', '),
      one.recheckAt ?? '',
      one.seal.slice(0, 12),
      one.stands ? '' : 'cleared',
    ]),
  );
  const records = report.stages.flatMap((stage) => stage.gates.map((record) => gateRow(stage.id, record)));
  const writes = report.flags.flatMap((flag) =>
    flag.writes.map((write) => [write.at, flag.flag, write.stage ?? 'rollback', write.exposure, write.revision, write.outcome]),
  );
  const rollbacks = report.rollbacks.map((one) => [
    one.scope,
    one.why,
    one.by,
    one.requestedAt,
    one.verifiedAt ?? 'not proven',
    one.seconds === undefined ? '' : `${one.seconds} s of ${one.promised} s`,
    one.parts.map((part) => `${part.provider} ${part.seconds} s: ${part.flags.join(', ')}`).join('; '),
    String(one.relapses),
  ]);
  const all: readonly (Section | undefined)[] = [
    {
      heading: 'Identity',
      lines: [
        `launch ${report.launch} in ${report.environment}`,
        `plan ${report.plan}, hash ${report.planHash}`,
        `started by ${report.startedBy} at ${report.startedAt}${report.endedAt === undefined ? '' : `, ended ${report.endedAt}`}`,
        ...(report.speed === 1 ? [] : [`at ${report.speed} times the speed: bake, watch and for are divided by it`]),
        ...(report.note === undefined ? [] : [report.note]),
      ],
    },
    { heading: 'Decisions', table: { head: ['stage', 'round', 'role', 'person', 'decision', 'at', 'reason', 'bugs', 'recheck', 'seal', ''], rows: decisions } },
    { heading: 'Stages', table: { head: ['stage', 'opened', 'shifted', 'baked', 'healthy'], rows: report.stages.map(stageRow) } },
    { heading: 'Gates', table: { head: ['stage', 'gate', 'last', 'worst', 'samples', 'breaches', 'blind'], rows: records } },
    {
      heading: 'Verdicts',
      table: {
        head: ['event', 'gate', 'verdict', 'at', 'why'],
        rows: report.verdicts.map(({ seq, gate, verdict }) => [String(seq), gate, verdict.kind, new Date(verdict.at).toISOString(), verdict.why]),
      },
    },
    {
      heading: 'Gaps',
      table: { head: ['gate', 'from', 'to', 'looked back'], rows: report.gaps.map((gap) => [gap.gate, gap.from, gap.to, gap.lookedBack ? 'yes' : 'no']) },
    },
    {
      heading: 'Checklist',
      table: {
        head: ['item', 'done', 'by', 'role', 'at', 'evidence'],
        rows: report.checklist.map((item) => [item.item, item.done ? 'yes' : 'no', item.by, item.role ?? '', item.at, item.evidence ?? item.why ?? '']),
      },
    },
    { heading: 'Flags', table: { head: ['flag', 'lives', 'before', 'after', 'seen by users'], rows: report.flags.map(flagRow) } },
    { heading: 'Writes', table: { head: ['at', 'flag', 'stage', 'exposure', 'revision', 'outcome'], rows: writes } },
    { heading: 'Rollbacks', table: { head: ['scope', 'why', 'by', 'asked', 'proven', 'clock', 'proven before the rest', 'relapses'], rows: rollbacks } },
    {
      heading: 'Not proven back',
      table: {
        head: ['flag', 'lives', 'was', 'command that puts it back'],
        rows: report.remainder.map((one) => [one.flag, `${one.provider} ${one.key}`, one.was ?? '', one.undo ?? '']),
      },
    },
    {
      heading: 'Changed by others',
      table: {
        head: ['at', 'flag', 'provider', 'who', 'what', 'this launch left it', 'found', 'held'],
        rows: report.drifts.map((one) => [one.at, one.flag, one.provider, one.who, one.what ?? '', one.before, one.now, one.held ? 'yes' : 'no']),
      },
    },
    { heading: 'Timeline', table: { head: ['event', 'at', 'by', 'what'], rows: report.timeline.map((one) => [String(one.seq), one.at, one.by, one.text]) } },
    { heading: 'Chain', lines: [`${report.chain.events} events, head ${report.chain.head}`] },
  ];
  return all.filter((section): section is Section => section !== undefined && (section.table === undefined || section.table.rows.length > 0));
}

/** Invisible and direction-turning characters shown as what they are; everything else stays as it was written. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => (c === '\n' ? ' ' : `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`));
}

function markdownText(text: string): string {
  // Nothing that a person wrote may become markup, a link, or another cell.
  return visible(text).replace(/[\\`*_[\]<>|#~]/g, (c) => `\\${c}`);
}

function htmlText(text: string): string {
  const names: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return visible(text).replace(/[&<>"']/g, (c) => names[c] ?? c);
}

/** The report as Markdown; whatever people wrote is escaped. */
export function reportMarkdown(report: Report): string {
  const row = (cells: readonly string[]) => `| ${cells.map(markdownText).join(' | ')} |`;
  const body = sections(report).map(({ heading, lines, table }) => {
    const text = lines?.map((line) => `- ${markdownText(line)}`) ?? [];
    const grid = table === undefined ? [] : [row(table.head), `|${table.head.map(() => '---|').join('')}`, ...table.rows.map(row)];
    return [`## ${heading}`, '', ...text, ...grid, ''].join('\n');
  });
  return [`# ${markdownText(report.title ?? report.plan)}`, '', `**${markdownText(report.headline)}**`, '', ...body].join('\n');
}

/** The report as one HTML page without scripts or styles from elsewhere; whatever people wrote is escaped. */
export function reportHtml(report: Report): string {
  const cells = (tag: 'td' | 'th', row: readonly string[]) => `<tr>${row.map((cell) => `<${tag}>${htmlText(cell)}</${tag}>`).join('')}</tr>`;
  const body = sections(report).map(({ heading, lines, table }) => {
    const text = lines === undefined ? '' : `<ul>${lines.map((line) => `<li>${htmlText(line)}</li>`).join('')}</ul>`;
    const grid =
      table === undefined ? '' : `<table><thead>${cells('th', table.head)}</thead><tbody>${table.rows.map((row) => cells('td', row)).join('')}</tbody></table>`;
    return `<section><h2>${htmlText(heading)}</h2>${text}${grid}</section>`;
  });
  const title = htmlText(`${report.title ?? report.plan}: report`);
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title></head>\n<body><main><h1>${htmlText(report.headline)}</h1>\n${body.join('\n')}\n</main></body></html>\n`;
}
