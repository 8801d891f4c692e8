/** What is sent in benchmarks. */
export const FIXED_RESPONSE = Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, World!\n');
export const SOURCE_BYTES = Buffer.alloc(64 * 1024, 'x');
