/** A child process that talks in lines of JSON. */
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface Line {
  event: string
  [fact: string]: unknown
}

/** How much of what a child says on stderr is kept for the error when it ends. */
const KEPT_CHARACTERS = 4_000

/** `until` waits for the next line of an event; lines before it are gone then. Rejects when the child ends first. */
export function readLines(child: ChildProcess) {
  const seen: Line[] = []
  const waiting = new Set<() => void>()
  const look = () => {
    for (const each of waiting) each()
  }
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (!line.startsWith('{')) return
    seen.push(JSON.parse(line) as Line)
    look()
  })
  let errors = ''
  child.stderr!.on('data', (part: Buffer) => (errors = (errors + part.toString()).slice(-KEPT_CHARACTERS)))
  child.once('exit', look)
  const until = (event: string): Promise<Line> =>
    new Promise((resolve, reject) => {
      const each = () => {
        const at = seen.findIndex((line) => line.event === event)
        if (at < 0 && child.exitCode === null && child.signalCode === null) return
        waiting.delete(each)
        if (at >= 0) resolve(seen.splice(0, at + 1).at(-1)!)
        else reject(new Error(`a program ended while ${event} was waited for: ${errors}`))
      }
      waiting.add(each)
      each()
    })
  return { child, seen, until, errors: () => errors }
}
