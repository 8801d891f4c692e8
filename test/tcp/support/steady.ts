/**
 * Requests and answers over two bare stacks (bench/steady_pair.ts). Run with --trace-gc: between the lines "begin" and "end" nothing
 * should be collected. Argument: how many turns.
 */
import { SteadyPair } from '../../../bench/steady_pair.js';

const pair = new SteadyPair();
const count = Number(process.argv[2] ?? 20_000);
pair.turns(20_000);
const before = pair.answers;
process.stdout.write('begin\n');
const started = process.hrtime();
pair.turns(count);
const [seconds, nanos] = process.hrtime(started);
process.stdout.write('end\n');
const us = (seconds * 1e6 + nanos / 1e3) / (pair.answers - before);
process.stdout.write(`${pair.answers - before} requests, ${us.toFixed(2)} us each for both stacks\n`);
