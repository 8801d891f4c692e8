/** Requests as they come in: one JSON object a line, with fields that are looked at when they are needed. */

export interface Request {
  readonly id?: unknown;
  readonly op: string;
  /** µs. */
  readonly t?: unknown;
  readonly [field: string]: unknown;
}

/** The request of a line. @throws Error where it is none. */
export function parseRequest(line: string): Request {
  const value: unknown = JSON.parse(line);
  if (typeof value !== 'object' || value === null || !('op' in value) || typeof value.op !== 'string') throw new Error(`no request: ${line}`);
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

/** Bytes given in hexadecimal; where there are none, `length` bytes of 0. */
export function bytesOf(request: Request, field: string, length: number): Uint8Array {
  const value = request[field];
  return typeof value === 'string' ? Buffer.from(value, 'hex') : new Uint8Array(length);
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
