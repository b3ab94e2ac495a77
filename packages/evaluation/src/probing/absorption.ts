// Feature absorption (Chanin et al. 2024, arXiv 2409.14507) on the first-letter task, by probe projections as in SAEBench's
// absorption evaluation, which works at every layer: where a linear probe knows a word's first letter but the
// latents for the letter stay silent, does another latent carry the letter's direction instead?
import { denseRows, fitLasso, fitLogistic, type Probe, type SparseRows, scoreOf } from './logistic.ts'

/** A word at its token in the prompt. */
export type AbsorptionWord = {
  word: string
  /** Lower case, a to z. */
  letter: string
  /** The probes are fitted on these and everything is measured on the others. */
  train: boolean
  /** Activation [d]. */
  x: Float64Array
  index: Int32Array
  value: Float64Array
}

/** SAEBench's thresholds (evals/absorption/feature_absorption.py, eval_config.py). */
const absorptionSettings = {
  /** A letter counts if the probe's F1 on held-out words is above this. */
  leastProbeF1: 0.6,
  /** SAEBench refuses a model with fewer letters; we report how many there were. */
  enoughLetters: 20,
  /** k-sparse probes of 1 … this many latents. */
  mostLatents: 10,
  /** Another latent belongs to the letter if F1 rises by more than this. */
  f1Jump: 0.03,
  /** Least cosine of an absorbing latent with the probe: for full absorption, for the fraction. */
  fullCosine: 0.025,
  fractionCosine: 0.1,
  /** Share of the probe's projection that absorbers must carry. */
  projectionShare: 0.4,
  /** Latents that may absorb together, for the fraction. */
  mostAbsorbers: 3,
  /** L1 on the weights of the probe over all latents, which selects them. */
  l1: 0.01,
} as const

type LetterAbsorption = {
  first_letter: string
  probe_f1: number
  mean_absorption_fraction: number
  full_absorption_rate: number
  num_full_absorption: number
  num_probe_true_positives: number
  num_split_features: number
  /** The letter's latents. */
  latents: number[]
}

export type AbsorptionReport = {
  train_words: number
  test_words: number
  /** Letters behind the means; SAEBench asks for 20. */
  letters: number
  mean_absorption_fraction_score: number | null
  mean_full_absorption_score: number | null
  mean_num_split_features: number | null
  std_dev_absorption_fraction_score: number | null
  std_dev_full_absorption_score: number | null
  std_dev_num_split_features: number | null
  per_letter: LetterAbsorption[]
}

/** @param options.decoder W_dec rows [d_sae, d] */
export function absorption(options: {
  words: readonly AbsorptionWord[]
  decoder: Float32Array
  d: number
}): AbsorptionReport {
  const { words } = options
  const [train, test] = [words.filter(word => word.train), words.filter(word => !word.train)]
  const letters = [...new Set(words.map(({ letter }) => letter))].sort()
  const perLetter = letters.flatMap(letter => absorptionOfLetter({ ...options, train, test, letter }) ?? [])
  const over = (pick: (one: LetterAbsorption) => number) => {
    const values = perLetter.map(pick)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
    return {
      mean: values.length === 0 ? null : mean,
      deviation: values.length < 2 ? null : Math.sqrt(squares / (values.length - 1)),
    }
  }
  const fraction = over(one => one.mean_absorption_fraction)
  const full = over(one => one.full_absorption_rate)
  const splits = over(one => one.num_split_features)
  return {
    train_words: train.length,
    test_words: test.length,
    letters: perLetter.length,
    mean_absorption_fraction_score: fraction.mean,
    mean_full_absorption_score: full.mean,
    mean_num_split_features: splits.mean,
    std_dev_absorption_fraction_score: fraction.deviation,
    std_dev_full_absorption_score: full.deviation,
    std_dev_num_split_features: splits.deviation,
    per_letter: perLetter,
  }
}

/** undefined if the probe does not know the letter well enough. */
function absorptionOfLetter(options: {
  train: readonly AbsorptionWord[]
  test: readonly AbsorptionWord[]
  letter: string
  decoder: Float32Array
  d: number
}): LetterAbsorption | undefined {
  const { train, test, letter, decoder, d } = options
  const labelsOf = (side: readonly AbsorptionWord[]) =>
    Uint8Array.from(side, word => (word.letter === letter ? 1 : 0))
  const [own, held] = [labelsOf(train), labelsOf(test)]
  if (![own, held].every(labels => labels.includes(1) && labels.includes(0))) return undefined
  const dense = (side: readonly AbsorptionWord[]) =>
    denseRows(Float64Array.from(side.flatMap(({ x }) => [...x])), d)
  const probe = fitLogistic({ data: dense(train), labels: own, balanced: true })
  const heldRows = dense(test).rows
  const known = heldRows.map(row => scoreOf(probe, row) > 0)
  const probeF1 = f1(known, held)
  if (probeF1 <= absorptionSettings.leastProbeF1) return undefined
  const latents = letterLatents({ train, test, own, held, dSae: decoder.length / d })
  const direction = unit(probe.weights)
  const found = test
    .filter((word, i) => word.letter === letter && known[i])
    .map(word => absorptionOfWord({ word, latents, direction, decoder, d }))
  const count = found.length
  const full = found.filter(one => one.full).length
  return {
    first_letter: letter,
    probe_f1: probeF1,
    mean_absorption_fraction: count === 0 ? 0 : found.reduce((sum, one) => sum + one.fraction, 0) / count,
    full_absorption_rate: count === 0 ? 0 : full / count,
    num_full_absorption: full,
    num_probe_true_positives: count,
    num_split_features: latents.length,
    latents,
  }
}

/**
 * A letter's latents: those with the largest positive weights in an L1 probe over all latents, as long
 * as each raises the F1 of a probe on them alone by more than `f1Jump`.
 */
function letterLatents(options: {
  train: readonly AbsorptionWord[]
  test: readonly AbsorptionWord[]
  own: Uint8Array
  held: Uint8Array
  dSae: number
}): number[] {
  const { train, test, own, held, dSae } = options
  const { l1, mostLatents, f1Jump } = absorptionSettings
  const { weights } = fitLasso({ data: { width: dSae, rows: train }, labels: own, l1 })
  const order = [...weights.keys()].sort((a, b) => weights[b] - weights[a] || a - b).slice(0, mostLatents)
  let best = Number.NEGATIVE_INFINITY
  let chosen: number[] = []
  for (let k = 1; k <= order.length; k++) {
    const columns = order.slice(0, k)
    const cut = (side: readonly AbsorptionWord[]): SparseRows => ({
      width: k,
      rows: side.map(word => columnsOf(word, columns)),
    })
    const probe: Probe = fitLogistic({ data: cut(train), labels: own, balanced: true })
    const score = f1(
      cut(test).rows.map(row => scoreOf(probe, row) > 0),
      held,
    )
    if (score <= best + f1Jump) break
    best = score
    chosen = columns
  }
  return chosen
}

function columnsOf({ index, value }: AbsorptionWord, columns: readonly number[]) {
  const values = columns.map(column => {
    const at = index.indexOf(column)
    return at < 0 ? 0 : value[at]
  })
  return { index: columns.map((_, i) => i), value: values }
}

/** Activations below this count as none. */
const silent = 1e-8

function absorptionOfWord(options: {
  word: AbsorptionWord
  latents: readonly number[]
  direction: Float64Array
  decoder: Float32Array
  d: number
}): { fraction: number; full: boolean } {
  const { word, latents, direction, decoder, d } = options
  const { fullCosine, fractionCosine, projectionShare, mostAbsorbers } = absorptionSettings
  const projection = word.x.reduce((sum, value, j) => sum + value * direction[j], 0)
  const parts = Array.from(word.index, (latent, i) => {
    const row = decoder.subarray(latent * d, (latent + 1) * d)
    let along = 0
    let squares = 0
    for (let j = 0; j < d; j++) {
      along += row[j] * direction[j]
      squares += row[j] ** 2
    }
    return {
      latent,
      activation: word.value[i],
      cosine: squares === 0 ? 0 : along / Math.sqrt(squares),
      // What the latent writes along the probe: SAEBench's activation · cosine if rows have norm 1.
      projection: word.value[i] * along,
    }
  })
  const main = parts.filter(({ latent }) => latents.includes(latent))
  const mainProjection = main.reduce((sum, part) => sum + part.projection, 0)
  const absorbers = parts
    .filter(
      ({ latent, cosine, projection: own }) =>
        !latents.includes(latent) && cosine >= fractionCosine && own > 0,
    )
    .sort((a, b) => b.projection - a.projection)
    .slice(0, mostAbsorbers)
    .reduce((sum, part) => sum + part.projection, 0)
  const fraction = () => {
    if (mainProjection >= projection || absorbers / projection < projectionShare) return 0
    if (mainProjection <= 0) return 1
    const absorbed = Math.min(absorbers, projection - mainProjection)
    return Math.min(1, Math.max(0, absorbed / (absorbed + mainProjection)))
  }
  const top = parts.reduce<(typeof parts)[number] | undefined>(
    (most, part) => (most === undefined || part.projection > most.projection ? part : most),
    undefined,
  )
  const full =
    top !== undefined &&
    main.every(({ activation }) => activation < silent) &&
    top.cosine >= fullCosine &&
    projection >= 0 &&
    top.projection / projection >= projectionShare
  return { fraction: fraction(), full }
}

function f1(predicted: readonly boolean[], labels: Uint8Array): number {
  let [hit, missed, wrong] = [0, 0, 0]
  predicted.forEach((yes, i) => {
    if (yes && labels[i] === 1) hit++
    else if (yes) wrong++
    else if (labels[i] === 1) missed++
  })
  return hit === 0 ? 0 : (2 * hit) / (2 * hit + missed + wrong)
}

const unit = (vector: Float64Array): Float64Array => {
  const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
  return vector.map(value => value / norm)
}
