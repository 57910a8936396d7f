/**
 * Netcheck: what the network between this machine and others is like, in measurements and in words.
 *
 * The rule it keeps: measuring (measure.ts) and judging (judge.ts) are apart. The judgement is a pure function of numbers, so each fault can be
 * tested without the network that has it; every fault names an error code whose row in docs/errors.md says what to do.
 *
 * Start reading at {@link judge}; then measure.ts (nodes, names, this machine), nat.ts (what two observers see of one port).
 */
export { type Finding, judge, type Measured, type NodeSeen } from './judge.ts'
export { answersNames, interfaceMtu, pathThroughput, visitNode } from './measure.ts'
export { observeMapping } from './nat.ts'
