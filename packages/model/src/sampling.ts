// The next token from logits.

/** Numbers in [0, 1) from a seed: sfc32 (Chris Doty-Humphrey, PractRand). */
export function randomNumbers(seed: number): () => number {
  let a = seed | 0
  let b = Math.floor(seed / 2 ** 32) | 0
  let c = 0x9e37_79b9 | 0
  let counter = 1
  const next = () => {
    const result = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + result) | 0
    return (result >>> 0) / 2 ** 32
  }
  for (let i = 0; i < 15; i++) next()
  return next
}

/** The likeliest token (ties to the lowest id) at temperature 0, else one drawn from softmax(logits / T). */
export function sampleToken(options: {
  logits: ArrayLike<number>
  temperature: number
  random: () => number
}): number {
  const { logits, temperature, random } = options
  let best = 0
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i
  if (temperature <= 0) return best
  const shares = new Float64Array(logits.length)
  let total = 0
  for (let i = 0; i < logits.length; i++) {
    total += shares[i] = Math.exp((logits[i] - logits[best]) / temperature)
  }
  let rest = random() * total
  for (let i = 0; i < shares.length; i++) {
    rest -= shares[i]
    if (rest < 0) return i
  }
  return best
}
