/** Requests as they come in: one JSON object a line, with fields that are looked at when they are needed. */

export interface Request {
  readonly id?: unknown;
  readonly op: string;
  /** µs. */
  readonly t?: unknown;
  readonly [field: string]: unknown;
}

/** A request, or a field of it, that makes no sense. */
export class BadRequest extends Error {}

/** Most bytes that one field may ask for. */
const BYTES_MOST = 1 << 24;
const HEX = /^(?:[0-9a-f]{2})*$/i;

/** The request of a line, or null where it is none. */
export function parseRequest(line: string): Request | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('op' in value) || typeof value.op !== 'string') return null;
  return value as Request;
}

export function numberOf(request: Request, field: string, otherwise: number): number {
  const value = request[field];
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise;
}

/** A number or a truth value as a number, 0 where it is left out. */
export function flagsOf(request: Request, field: string): number {
  return Number(request[field] ?? 0) || 0;
}

export function textOf(request: Request, field: string): string {
  const value = request[field];
  return typeof value === 'string' ? value : '';
}

/** Bytes given in hexadecimal; where there are none, `length` bytes of 0. @throws BadRequest where that makes no sense. */
export function bytesOf(request: Request, field: string, length: number): Uint8Array {
  const value = request[field];
  if (typeof value === 'string') {
    if (!HEX.test(value)) throw new BadRequest(`${field} is not hexadecimal`);
    return Buffer.from(value, 'hex');
  }
  if (!(length >= 0 && length <= BYTES_MOST)) throw new BadRequest(`no length: ${length}`);
  return new Uint8Array(length);
}

/** Cuts what arrives into lines. */
export class Lines {
  #rest = '';

  /** The lines that are complete with this. */
  take(text: string): string[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    return lines.filter((line) => line.trim() !== '');
  }
}
