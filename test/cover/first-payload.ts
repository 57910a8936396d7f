/**
 * The rule by which fully encrypted traffic was blocked (Wu et al., "How the Great Firewall of China Detects and Blocks Fully Encrypted
 * Traffic", USENIX Security 2023, section 4): the first payload of a connection is blocked unless one of five exemptions holds.
 */
const PRINTABLE = { from: 0x20, to: 0x7e }

const printable = (byte: number) => byte >= PRINTABLE.from && byte <= PRINTABLE.to

/** The exemption that holds, or undefined: blocked. */
export function exemption(payload: Buffer): 'bits' | 'first six' | 'half' | 'run' | 'protocol' | undefined {
  let bits = 0
  let count = 0
  let run = 0
  let longest = 0
  for (const byte of payload) {
    for (let rest = byte; rest > 0; rest &= rest - 1) bits++
    run = printable(byte) ? run + 1 : 0
    if (run > 0) count++
    longest = Math.max(longest, run)
  }
  const perByte = bits / payload.length
  if (perByte <= 3.4 || perByte >= 4.6) return 'bits'
  if (payload.length >= 6 && payload.subarray(0, 6).every(printable)) return 'first six'
  if (count > payload.length / 2) return 'half'
  if (longest > 20) return 'run'
  if (isTls(payload) || /^(?:GET|PUT|POST|HEAD) /.test(payload.toString('latin1', 0, 5))) return 'protocol'
  return undefined
}

const isTls = ([type = 0, major = 0, minor = 0xff]: Buffer) => (type === 0x16 || type === 0x17) && major === 0x03 && minor <= 0x09
