/** Compares what both ends of a transfer wrote down. Pure: two accounts in, a verdict out. */
import type { Account } from './end.ts'

export const VERDICTS = {
  whole: 'both directions arrived, byte for byte, and both ends heard the end',
  'given up': 'one end reset it as planned, and the other knows',
  broken: 'a mishap broke it, and both ends know',
  'broken late': 'a mishap broke it after one end had said and heard the end; the other knows',
  truncated: 'WRONG: an end was heard before all was',
  altered: 'WRONG: other bytes than were sent',
  'not told': 'WRONG: it broke and one end does not know',
  'no cause': 'WRONG: it broke though nothing happened',
  hung: 'WRONG: it was not over in time',
} as const
export type Verdict = keyof typeof VERDICTS

export const isWrong = (verdict: Verdict): boolean => VERDICTS[verdict].startsWith('WRONG')

/** `origin` is undefined if the connection was reset there before its first bytes came; `mishap`: one struck meanwhile or shortly before. */
export function judge(client: Account, origin: Account | undefined, mishap: boolean): Verdict {
  const ends = origin === undefined ? [client] : [client, origin]
  if (ends.some(({ hung }) => hung)) return 'hung'
  if (ends.some(({ wrongAt }) => wrongAt !== undefined)) return 'altered'
  if (origin === undefined) {
    if (client.gaveUp) return 'given up'
    return client.error === undefined ? 'truncated' : mishap ? 'broken' : 'no cause'
  }
  if (client.received > origin.sent || origin.received > client.sent) return 'altered'
  if (isCut(origin, client) || isCut(client, origin)) return 'truncated'
  if (ends.every(isOver)) return 'whole'
  if (!ends.every((end) => isOver(end) || end.gaveUp || end.error !== undefined)) return 'not told'
  if (ends.some(({ gaveUp }) => gaveUp)) return 'given up'
  if (!mishap) return 'no cause'
  return ends.some(isOver) ? 'broken late' : 'broken'
}

/** The receiver believes that it has everything, and has not. */
function isCut(sender: Account, receiver: Account): boolean {
  const all = sender.saidEnd && receiver.received === sender.sent && receiver.receivedHash === sender.sentHash
  return receiver.heardEnd && !all
}

/** In order, as far as this end knows. */
function isOver({ saidEnd, heardEnd, error, gaveUp }: Account): boolean {
  return saidEnd && heardEnd && error === undefined && !gaveUp
}
