// Hook points: the places of a forward pass that can be captured or intervened on, under TransformerLens's names
// (github.com/TransformerLensOrg/TransformerLens, HookedTransformer). The residual hooks are the stream itself,
// never a norm's output; `attn_out` and `mlp_out` are what is added to the stream.
import { InputError } from '@mistudio/files'

/** The width of a hook point's value, in elements per token. */
export type HookPoint = { name: string; width: number; layer: number | null }

export type HookShape = { nLayers: number; dModel: number; nHeads: number; dHead: number; dMlp: number }

/** Names of block `layer`, in the order in which a forward pass meets them. */
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

/** All hook points of a decoder with serial attention and MLP, in the order of the forward pass. */
export function hookPoints({ nLayers, dModel, nHeads, dHead, dMlp }: HookShape): HookPoint[] {
  const points: HookPoint[] = []
  for (let layer = 0; layer < nLayers; layer++) {
    const names = blockHooks(layer)
    for (const name of Object.values(names)) {
      const width = name === names.z ? nHeads * dHead : name === names.post ? dMlp : dModel
      points.push({ name, width, layer })
    }
  }
  points.push({ name: finalNormalized, width: dModel, layer: null })
  return points
}

/** The short names of the reference product; they are recorded beside the hook they stand for. */
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

/** @throws InputError that lists the hooks there are. */
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

/** One line: the names of a block with its layer as {0..n}, then those outside the blocks. */
function describeHooks(points: readonly HookPoint[]): string {
  const last = Math.max(...points.map(point => point.layer ?? 0))
  const names = points
    .filter(point => point.layer === null || point.layer === 0)
    .map(({ name, layer }) => (layer === null ? name : name.replace('blocks.0.', `blocks.{0..${last}}.`)))
  return `one of ${names.join(', ')}`
}
