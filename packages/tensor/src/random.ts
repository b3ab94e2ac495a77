// Seeded random numbers. Every draw of a training is a function of (seed, purpose), so a resumed run and a
// repeated run see the same numbers regardless of other draws in between.

/** sfc32 (Chris Doty-Humphrey, PractRand): small, fast, passes BigCrush. Returns numbers in [0, 1). */
export function randomStream(options: { seed: number; purpose: string }): () => number {
  let h = 2_166_136_261 >>> 0
  for (const character of `${options.seed}/${options.purpose}`) {
    h = Math.imul(h ^ character.codePointAt(0)!, 16_777_619) >>> 0
  }
  let a = h
  let b = h ^ 0x9e37_79b9
  let c = options.seed | 0
  let counter = 1
  const next = () => {
    const t = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return (t >>> 0) / 4_294_967_296
  }
  for (let i = 0; i < 15; i++) next()
  return next
}

/** Standard normal draws (Box–Muller, both values used). */
export function gaussianStream(options: { seed: number; purpose: string }): () => number {
  const uniform = randomStream(options)
  let spare: number | undefined
  return () => {
    if (spare !== undefined) {
      const value = spare
      spare = undefined
      return value
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()))
    const angle = 2 * Math.PI * uniform()
    spare = radius * Math.sin(angle)
    return radius * Math.cos(angle)
  }
}
