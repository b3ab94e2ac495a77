// Hook points: the places of a forward pass that can be captured or intervened on, under TransformerLens's names
// (github.com/TransformerLensOrg/TransformerLens, HookedTransformer). The residual hooks are the stream itself,
// never a norm's output; `attn_out` and `mlp_out` are what is added to the stream.
import { InputError } from '@mistudio/files'

/** The width of a hook point's value, in elements per token. */
export type HookPoint = { name: string; width: number; layer: number | null }

/** Names in block `layer`, in the order of the forward pass. */
export const blockHooks = (layer: number) => ({
  residPre: `blocks.${layer}.hook_resid_pre`,
  z: `blocks.${layer}.attn.hook_z`,
  attnOut: `blocks.${layer}.hook_attn_out`,
  residMid: `blocks.${layer}.hook_resid_mid`,
  post: `blocks.${layer}.mlp.hook_post`,
  mlpOut: `blocks.${layer}.hook_mlp_out`,
  residPost: `blocks.${layer}.hook_resid_post`,
})

/** x / scale of the final norm, before its weight and bias. */
export const finalNormalized = 'ln_final.hook_normalized'

/** The block in a hook point's name, if any. */
export function layerOfHook(name: string): number | null {
  const match = /^blocks\.(\d+)\./.exec(name)
  return match === null ? null : Number(match[1])
}

/** The short names of the reference product; recorded next to the hook they stand for. */
export const hookAliases = {
  residual: 'hook_resid_post',
  mlp: 'hook_mlp_out',
  attention: 'hook_attn_out',
} as const
export type HookAlias = keyof typeof hookAliases

/** `residual`, `mlp` or `attention` of a layer as a hook point's name. */
export const hookOfAlias = (options: { alias: HookAlias; layer: number }): string =>
  `blocks.${options.layer}.${hookAliases[options.alias]}`

/** The alias a hook point has, if any. */
export function aliasOfHook(name: string): { alias: HookAlias; layer: number } | undefined {
  const match = /^blocks\.(\d+)\.(hook_\w+)$/.exec(name)
  if (match === null) return undefined
  for (const [alias, suffix] of Object.entries(hookAliases)) {
    if (suffix === match[2]) return { alias: alias as HookAlias, layer: Number(match[1]) }
  }
  return undefined
}

/** @throws InputError listing the available hooks */
export function resolveHook(points: readonly HookPoint[], name: string): HookPoint {
  const point = points.find(candidate => candidate.name === name)
  if (point !== undefined) return point
  throw new InputError({
    message: 'unknown hook point',
    field: 'hook',
    found: name,
    expected: describeHooks(points),
  })
}

/** One line: every name once, with the layers that have it as {0..n}. */
function describeHooks(points: readonly HookPoint[]): string {
  const layersOf = new Map<string, number[]>()
  for (const { name, layer } of points) {
    const shared = layer === null ? name : name.replace(`blocks.${layer}.`, 'blocks.{i}.')
    const layers = layersOf.get(shared) ?? []
    if (layer !== null) layers.push(layer)
    layersOf.set(shared, layers)
  }
  const names = Array.from(layersOf, ([name, layers]) => name.replace('{i}', `{${ranges(layers)}}`))
  return `one of ${names.join(', ')}`
}

/** `0..3,5..5` of ascending numbers. */
function ranges(numbers: readonly number[]): string {
  const runs: [number, number][] = []
  for (const n of numbers) {
    const last = runs.at(-1)
    if (last !== undefined && n === last[1] + 1) last[1] = n
    else runs.push([n, n])
  }
  return runs.map(([from, to]) => `${from}..${to}`).join()
}
