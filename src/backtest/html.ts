const NAMES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** A text from anywhere as HTML text or attribute value: nothing in it acts, and what would turn or hide the text after it is shown by its number. */
export function escaped(text: string): string {
  return text
    .replaceAll(/[&<>"']/g, (mark) => NAMES[mark] ?? mark)
    .replaceAll(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
