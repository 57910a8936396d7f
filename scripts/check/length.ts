/** File length: a file is one idea. Over 400 lines it says at the top why it is not two. */
import { headerOf, isGenerated } from './files.ts'

const MAX_LINES = 400
/** For instance: "Longer than 400 lines because the table of vectors is read as one." */
const EXCUSE = /longer than 400 lines because/i

export function checkLength(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) => {
    const lines = text.split('\n').length - 1
    if (path.endsWith('.md') || lines <= MAX_LINES || isGenerated(text) || EXCUSE.test(headerOf(path, text))) return []
    return [`${path}: ${lines} lines. Split it, or say in its header "Longer than ${MAX_LINES} lines because ..."`]
  })
}
