// What a row says of an SAE, read from the SAE's own files.
import { parseHookPoint } from '@mistudio/contract'
import type { describeSae } from '@mistudio/sae'

export function saeColumns(described: ReturnType<typeof describeSae>) {
  const { hooks, architecture, shape, activation } = described
  // What it reads is where it is: of several hook points the first.
  const [{ hook }] = hooks.inputs
  const place = parseHookPoint(hook)
  return {
    hook_point: hook,
    layer: place?.layer ?? null,
    hook_type: place?.hookType ?? null,
    architecture,
    d_in: shape.dIn,
    d_sae: shape.dSae,
    k: activation.kind === 'topk' ? activation.k : null,
  }
}
