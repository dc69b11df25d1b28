/** Colours that differ also to those who see few of them (Okabe and Ito), in the order of use. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#666666', '#000000'] as const;

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function frame(width: number, height: number, title: string, body: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" role="img">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="12" y="22" font-size="15" font-weight="bold">${escape(title)}</text>`,
    ...body,
    '</svg>',
    '',
  ].join('\n');
}

/** One bar with its interval; all numbers are shares (0..1). */
export interface Bar {
  readonly name: string;
  readonly share: number;
  readonly low: number;
  readonly high: number;
}

/** Bars in groups, on a square-root scale so that 1 % can be seen beside 70 %; `line` is what is promised. */
export function bars(title: string, groups: readonly { readonly name: string; readonly bars: readonly Bar[] }[], line: number, lineName: string): string {
  const [left, width, row, top] = [430, 980, 18, 44];
  const x = (share: number): number => left + Math.sqrt(share) * (width - left - 70);
  const body: string[] = [];
  let y = top;
  for (const group of groups) {
    body.push(`<text x="12" y="${y + 12}" font-weight="bold">${escape(group.name)}</text>`);
    y += row + 2;
    for (const [index, bar] of group.bars.entries()) {
      const colour = COLOURS[index % COLOURS.length] ?? '#000000';
      body.push(
        `<text x="${left - 8}" y="${y + 12}" text-anchor="end">${escape(bar.name)}</text>`,
        `<rect x="${left}" y="${y + 2}" width="${(x(bar.share) - left).toFixed(1)}" height="${row - 5}" fill="${colour}"/>`,
        `<path d="M${x(bar.low).toFixed(1)} ${y + row / 2}H${x(bar.high).toFixed(1)}" stroke="#000000"/>`,
        `<text x="${(x(bar.high) + 6).toFixed(1)}" y="${y + 12}">${(100 * bar.share).toFixed(1)} %</text>`,
      );
      y += row;
    }
    y += 8;
  }
  body.push(
    `<path d="M${x(line).toFixed(1)} ${top - 6}V${y}" stroke="#c00000" stroke-dasharray="4 3"/>`,
    `<text x="${x(line).toFixed(1)}" y="${y + 14}" text-anchor="middle" fill="#c00000">${escape(lineName)}</text>`,
  );
  return frame(width, y + 26, title, body);
}

/** Lines of shares (0..1) over minutes 0, 1, 2 ... */
export function lines(
  title: string,
  panels: readonly { readonly name: string; readonly lines: readonly { readonly name: string; readonly shares: readonly number[] }[] }[],
): string {
  const [wide, high, gap] = [390, 190, 50];
  const rows = Math.ceil(panels.length / 2);
  const names = panels[0]?.lines.map(({ name }) => name) ?? [];
  const body = panels.flatMap((panel, index) => {
    const [left, top] = [50 + (index % 2) * (wide + gap), 56 + Math.floor(index / 2) * (high + gap)];
    const minutes = Math.max(...panel.lines.map(({ shares }) => shares.length)) - 1;
    const x = (minute: number): string => (left + (minute / minutes) * wide).toFixed(1);
    const y = (share: number): string => (top + (1 - share) * high).toFixed(1);
    return [
      `<text x="${left}" y="${top - 8}" font-weight="bold">${escape(panel.name)}</text>`,
      `<path d="M${left} ${top}V${top + high}H${left + wide}" fill="none" stroke="#888888"/>`,
      ...[0, 0.5, 1].map((share) => `<text x="${left - 6}" y="${Number(y(share)) + 4}" text-anchor="end">${100 * share} %</text>`),
      ...[0, 0.25, 0.5, 0.75, 1].map(
        (part) => `<text x="${x(part * minutes)}" y="${top + high + 15}" text-anchor="middle">${Math.round(part * minutes)}${part === 1 ? ' min' : ''}</text>`,
      ),
      ...panel.lines.map(
        ({ shares }, line) =>
          `<polyline fill="none" stroke-width="2" stroke="${COLOURS[line % COLOURS.length] ?? ''}" points="${shares.map((share, minute) => `${x(minute)},${y(share)}`).join(' ')}"/>`,
      ),
    ];
  });
  const top = 56 + rows * (high + gap) - 8;
  const legend = names.map((name, index) => {
    const [left, y] = [50 + (index % 2) * (wide + gap), top + 18 * Math.floor(index / 2)];
    return `<path d="M${left} ${y}h24" stroke-width="3" stroke="${COLOURS[index % COLOURS.length] ?? ''}"/><text x="${left + 30}" y="${y + 4}">${escape(name)}</text>`;
  });
  return frame(50 + 2 * wide + gap + 30, top + 18 * Math.ceil(names.length / 2), title, [...body, ...legend]);
}
