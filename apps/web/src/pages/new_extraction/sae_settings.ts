// What a template remembers of the SAEs it is saved with.
import type { Sae } from '@mistudio/contract'

export function saeSettings(saes: readonly Sae[]): Record<string, string[] | number[]> {
  const distinct = <T extends string | number>(values: (T | null)[]) =>
    [...new Set(values)].filter(value => value !== null) as T[]
  const settings = {
    hook_types: distinct(saes.map(({ hook_type }) => hook_type)),
    layers: distinct(saes.map(({ layer }) => layer)).sort((a, b) => a - b),
    architectures: distinct(saes.map(({ architecture }) => architecture)),
    d_sae: distinct(saes.map(({ d_sae }) => d_sae)).sort((a, b) => a - b),
  }
  return Object.fromEntries(Object.entries(settings).filter(([, values]) => values.length > 0))
}

/** The same for reading. @param settings a template's extra_metadata, which may hold anything */
export const shownSettings = (settings: Record<string, unknown>): { name: string; value: string }[] =>
  Object.entries(settings).map(([name, value]) => ({
    name: name === 'd_sae' ? 'latents' : name.replaceAll('_', ' '),
    value: Array.isArray(value) ? value.join(', ') : String(value),
  }))
