/** The certificate of the tests, which is that of the examples. */
export { CERTIFICATE, KEY } from '../../examples/support/certificate.js';
