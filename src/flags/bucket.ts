import { hash } from 'node:crypto';

/**
 * Where a subject stands on the line from 0 (inclusive) to 100 (exclusive): the first 4 bytes of
 * SHA-256(`salt:key:subject`) as an unsigned number, over 2^32, times 100. It never moves while salt, key and subject
 * stay, so a share only ever adds subjects as it grows: who has 5 % keeps it at 25 %.
 */
export function bucket(salt: string, key: string, subject: string): number {
  return (Number.parseInt(hash('sha256', `${salt}:${key}:${subject}`).slice(0, 8), 16) / 2 ** 32) * 100;
}
