/**
 * Questions to a name server, as far as an exit must understand them: which name, which type, and which it does not pass on.
 *
 * An exit's own resolver often is the router of its owner, which knows the names of the owner's devices. Those, whole zones and the questions
 * whose answers are used to flood others are refused here. Pure; RFC 1035 names the fields.
 */

// --- Fixed by RFC 1035. ---
const HEADER_BYTES = 12
const QUESTION_TAIL_BYTES = 4
const MAX_NAME_BYTES = 255
const MAX_LABEL_BYTES = 63
const FLAG_RESPONSE = 0x80
const OPCODE_MASK = 0x78
const RCODE_REFUSED = 5
const CLASS_INTERNET = 1
/** Signed questions carry two records behind the question (EDNS, TSIG); more is not a question. */
const MAX_ADDITIONAL = 2
/** Larger than any question: a name, EDNS and its cookies. */
const MAX_QUESTION_BYTES = 1_232

/** Zone transfers, mailboxes of old, and everything at once. */
const REFUSED_TYPES: readonly number[] = [251, 252, 253, 254, 255]
/** Names that mean something in the owner's network only (RFC 6761, 6762, 7686, 8375, 9476, and what routers use). */
// biome-ignore format: one list
const LOCAL_SUFFIXES: readonly string[] = [
  'localhost', 'local', 'onion', 'alt', 'internal', 'home.arpa', 'home', 'lan', 'corp', 'mail', 'intranet', 'private', 'localdomain',
  'workgroup', 'fritz.box',
]
/** Reverse names of private, shared, link-local and loopback networks (RFC 6303, 7793). */
const LOCAL_REVERSE =
  /(^|\.)((10|127|0)|(1[6-9]|2\d|3[01])\.172|(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.100|254\.169|168\.192)\.in-addr\.arpa$|[cd]\.f\.ip6\.arpa$|[89ab]\.e\.f\.ip6\.arpa$|0\.0\.0\.0\.0\.0\.0\.0\.ip6\.arpa$/

export interface Question {
  id: number
  /** Lower case, no dot at the end. */
  name: string
  type: number
  /** Where the question ends in the message: its bytes are repeated in the answer. */
  end: number
}

/** Reads a question, or undefined for anything else. */
export function readQuestion(message: Buffer): Question | undefined {
  if (message.length < HEADER_BYTES + 1 + QUESTION_TAIL_BYTES || message.length > MAX_QUESTION_BYTES) return undefined
  const flags = message[2]!
  if ((flags & (FLAG_RESPONSE | OPCODE_MASK)) !== 0) return undefined
  const [questions, answers, authorities, additional] = [4, 6, 8, 10].map((at) => message.readUInt16BE(at))
  if (questions !== 1 || answers !== 0 || authorities !== 0 || additional! > MAX_ADDITIONAL) return undefined
  const labels: string[] = []
  let at = HEADER_BYTES
  for (let length = message[at]!; length !== 0; length = message[at]!) {
    const next = at + 1 + length
    // No pointers: there is nothing before the first name to point at.
    if (length > MAX_LABEL_BYTES || next + QUESTION_TAIL_BYTES >= message.length || next - HEADER_BYTES > MAX_NAME_BYTES) return undefined
    labels.push(message.toString('latin1', at + 1, next).toLowerCase())
    at = next
  }
  const end = at + 1 + QUESTION_TAIL_BYTES
  if (end > message.length || message.readUInt16BE(at + 3) !== CLASS_INTERNET) return undefined
  return { id: message.readUInt16BE(0), name: labels.join('.'), type: message.readUInt16BE(at + 1), end }
}

/** Whether the exit passes a question on to its own resolver. */
export function questionAllowed({ name, type }: Pick<Question, 'name' | 'type'>): boolean {
  if (REFUSED_TYPES.includes(type)) return false
  // One label alone is a device of the owner's network; the root itself is asked for by resolvers.
  if (name !== '' && !name.includes('.') && type !== TYPE_NS && type !== TYPE_DS && type !== TYPE_DNSKEY && type !== TYPE_SOA) return false
  if (LOCAL_SUFFIXES.some((suffix) => name === suffix || name.endsWith(`.${suffix}`))) return false
  return !LOCAL_REVERSE.test(name)
}
/** What a validating resolver asks about a top-level domain. */
const [TYPE_NS, TYPE_SOA, TYPE_DS, TYPE_DNSKEY] = [2, 6, 43, 48]

/** The answer to a question that is not passed on. */
export function refusal(message: Buffer, question: Question): Buffer {
  const answer = Buffer.from(message.subarray(0, question.end))
  answer[2] = (answer[2]! & 1) | FLAG_RESPONSE
  answer[3] = RCODE_REFUSED
  answer.fill(0, 6, HEADER_BYTES)
  return answer
}

/** Whether `answer` is one to `question`, and not somebody's guess: same id, same question. */
export function answers(answer: Buffer, message: Buffer, question: Question): boolean {
  if (answer.length < question.end || (answer[2]! & FLAG_RESPONSE) === 0) return false
  if (answer.readUInt16BE(0) !== question.id) return false
  // Resolvers may change the case of letters; nothing else.
  const asked = (bytes: Buffer) => bytes.toString('latin1', HEADER_BYTES, question.end).toLowerCase()
  return asked(answer) === asked(message)
}
