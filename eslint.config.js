import tseslint from 'typescript-eslint';
import { walls } from './tools/walls.js';

/** What would give the protocol core a clock, chance, threads or a machine of its own: it is handed all of them. */
const ambient = [
  'Date', 'performance', 'process', 'Buffer', 'Atomics', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask',
  'crypto', 'fetch', 'require', 'globalThis',
];

export default tseslint.config(
  { ignores: ['dist/', '.build/', '.tap/', 'node_modules/', 'docs/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.base],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false, attributes: false } }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-for-in-array': 'error',
      '@typescript-eslint/no-base-to-string': 'error',
      '@typescript-eslint/restrict-plus-operands': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-expressions': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      'no-fallthrough': 'error',
      'no-unreachable': 'error',
      'no-self-compare': 'error',
      'no-loss-of-precision': 'error',
      'no-compare-neg-zero': 'error',
      'no-constant-binary-expression': 'error',
      'no-async-promise-executor': 'error',
      'no-unsafe-finally': 'error',
      'no-sparse-arrays': 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      eqeqeq: 'error',
    },
  },
  // tap runs the subtests that are not awaited one after another, and waits for them itself.
  { files: ['test/**/*.ts'], rules: { '@typescript-eslint/no-floating-promises': 'off' } },
  {
    files: ['lib/**/*.ts'],
    plugins: { house: { rules: { walls } } },
    rules: { 'house/walls': 'error' },
  },
  {
    files: ['lib/tcp/**/*.ts'],
    rules: {
      'no-restricted-globals': ['error', ...ambient.map((name) => ({ name, message: 'The protocol core is handed its time, chance and memory.' }))],
      'no-restricted-properties': ['error', { object: 'Math', property: 'random', message: 'Randomness is handed in.' }],
    },
  },
);
