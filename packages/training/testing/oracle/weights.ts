// The parameters of an SAE in float64, by name: which ones a plan has, how long they are, and how they are copied.
import { InputError } from '@mistudio/files'
import type { SaeWeights, Span } from '@mistudio/sae'
import type { Plan } from '../../src/plan.ts'

/** As `SaeWeights`, in float64. */
export type OracleWeights = { [K in keyof SaeWeights]: Float64Array }
export type ParameterName = keyof SaeWeights

export const wireNames: Readonly<Record<ParameterName, string>> = {
  wEnc: 'W_enc',
  bEnc: 'b_enc',
  wDec: 'W_dec',
  bDec: 'b_dec',
  threshold: 'threshold',
  rMag: 'r_mag',
  bMag: 'b_mag',
  wSkip: 'W_skip',
}

/** Where one latent reads and writes: offsets of its rows in W_enc and W_dec, and the columns they stand for. */
export type LatentRow = { enc: number; input: Span; dec: number; output: Span }

export function latentRows({ groups }: Pick<Plan, 'groups'>): LatentRow[] {
  const rows: LatentRow[] = []
  let enc = 0
  let dec = 0
  for (const { latents, input, output } of groups) {
    for (let i = latents[0]; i < latents[1]; i++) {
      rows.push({ enc, input, dec, output })
      enc += input[1] - input[0]
      dec += output[1] - output[0]
    }
  }
  return rows
}

/** The parameters that a plan trains, with their lengths. */
export function parametersOf(plan: Plan): { name: ParameterName; length: number }[] {
  const { dIn, dSae, dOut } = plan.shape
  const rows = latentRows(plan)
  const last = rows[rows.length - 1]
  const width = ([from, to]: readonly [number, number]) => to - from
  return [
    { name: 'wEnc', length: last.enc + width(last.input) },
    { name: 'bEnc', length: dSae },
    { name: 'wDec', length: last.dec + width(last.output) },
    { name: 'bDec', length: dOut },
    ...(plan.selection.kind === 'jumprelu' ? [{ name: 'threshold' as const, length: dSae }] : []),
    ...(plan.selection.kind === 'gated'
      ? [
          { name: 'rMag' as const, length: dSae },
          { name: 'bMag' as const, length: dSae },
        ]
      : []),
    ...(plan.skip ? [{ name: 'wSkip' as const, length: dOut * dIn }] : []),
  ]
}

/**
 * Copies what the plan needs into float64.
 * @throws InputError naming a parameter that is missing or has another length
 */
export function widen(
  plan: Plan,
  weights: { [K in ParameterName]?: Float32Array | Float64Array },
): OracleWeights {
  const entries = parametersOf(plan).map(({ name, length }) => {
    const given = weights[name]
    if (given?.length === length) return [name, Float64Array.from(given)]
    throw new InputError({
      message: 'the weights do not fit the SAE',
      field: wireNames[name],
      found: given === undefined ? 'nothing' : `${given.length} elements`,
      expected: `${length} elements`,
    })
  })
  return Object.fromEntries(entries) as OracleWeights
}

/** Float32 copies. */
export function narrow(weights: OracleWeights): SaeWeights {
  return mapWeights(weights, values => Float32Array.from(values)) as SaeWeights
}

export const zerosLike = (weights: OracleWeights): OracleWeights =>
  mapWeights(weights, values => new Float64Array(values.length)) as OracleWeights

function mapWeights<T>(weights: OracleWeights, change: (values: Float64Array) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(weights).map(([name, values]) => [name, change(values)]))
}
