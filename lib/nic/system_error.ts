/** An error of the operating system, in the shape of Node's own: `code`, `errno` (negative) and `syscall`. */
import { getSystemErrorName } from 'node:util';

export const EPERM = 1;
export const ENOENT = 2;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EBUSY = 16;
export const EEXIST = 17;
export const ENODEV = 19;
export const EINVAL = 22;
export const ENOSYS = 38;
export const EBADFD = 77;
export const EMSGSIZE = 90;
export const EOPNOTSUPP = 95;
export const EAFNOSUPPORT = 97;
export const EADDRINUSE = 98;
export const EADDRNOTAVAIL = 99;
export const ENETDOWN = 100;
export const ENOBUFS = 105;
export const ETIMEDOUT = 110;

export class SystemError extends Error {
  override readonly name = 'SystemError';
  /** Name of the error, such as `EPERM`. */
  readonly code: string;
  /** Number of the error, negative as in Node's errors. */
  readonly errno: number;
  /** The system call that failed. */
  readonly syscall: string;

  /**
   * @param errno positive Linux error number.
   * @param detail what was attempted, what was wrong with it and how to mend it.
   */
  constructor(errno: number, syscall: string, detail: string) {
    const code = errorName(errno);
    super(`${code}: ${detail} (${syscall})`);
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
  }
}

function errorName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `E${errno}`; // libuv has no name for it
  }
}
