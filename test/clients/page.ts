/** A page with 30 subresources of three kinds that says in its title how many arrived and did what they should. */

const EACH = 10
const KINDS = ['script', 'style', 'image'] as const
export const SUBRESOURCES = EACH * KINDS.length

const kindOf = (number: number) => KINDS[Math.floor((number - 1) / EACH)] ?? 'script'
const hue = (number: number) => Math.round((360 * number) / SUBRESOURCES)

export function page(): string {
  const numbers = Array.from({ length: SUBRESOURCES }, (_, i) => i + 1)
  const heads = numbers.flatMap((n) => {
    if (kindOf(n) === 'script') return [`<script src="/sub/${n}" defer></script>`]
    return kindOf(n) === 'style' ? [`<link rel="stylesheet" href="/sub/${n}">`] : []
  })
  const boxes = numbers.map(
    (n) => `<div class="box" id="box${n}">${kindOf(n) === 'image' ? `<img src="/sub/${n}" width="60" height="60">` : n}</div>`,
  )
  return `<!doctype html><meta charset="utf-8"><title>loading</title>
<style>.box{display:inline-block;width:60px;height:60px;margin:4px;border:1px solid #888;text-align:center;line-height:60px;vertical-align:top}</style>
<script>var ran = 0</script>
${heads.join('\n')}
<body style="width:740px"><h1>${SUBRESOURCES} subresources</h1>${boxes.join('')}
<script>addEventListener('load', () => {
  const coloured = [...document.querySelectorAll('.box')].filter((box) => getComputedStyle(box).getPropertyValue('--styled')).length
  const drawn = [...document.images].filter((image) => image.complete && image.naturalWidth === 60).length
  document.title = 'loaded ' + (ran + coloured + drawn)
})</script>`
}

/** A script that counts itself, a style that colours its box, or a picture. */
export function subresource(number: number): { type: string; body: string } {
  const colour = `hsl(${hue(number)} 80% 60%)`
  switch (kindOf(number)) {
    case 'script':
      return { type: 'text/javascript', body: `ran++; document.getElementById('box${number}').style.background = '${colour}'` }
    case 'style':
      return { type: 'text/css', body: `#box${number} { --styled: 1; background: ${colour} }` }
    case 'image':
      return {
        type: 'image/svg+xml',
        body: `<svg xmlns="http://www.w3.org/2000/svg" width="60" height="60"><circle cx="30" cy="30" r="28" fill="${colour}"/></svg>`,
      }
  }
}

/** Of the page and all its parts, without what surrounds them on the wire. */
export const PAGE_BYTES = Array.from({ length: SUBRESOURCES }, (_, i) => subresource(i + 1).body).reduce(
  (sum, body) => sum + body.length,
  page().length,
)
