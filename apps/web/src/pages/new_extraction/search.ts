// What the address of the start dialog holds: SAEs, separated by commas, and a template to start from.
import { type RawSearch, textIn } from '../../parts/address.ts'

export const newExtractionSearch = (raw: RawSearch) => ({
  sae: textIn(raw.sae),
  template: textIn(raw.template),
})
