// What the address of the features page holds: the search, the order and the bounds.
import { type FeatureQuery, featureSorts } from '@mistudio/contract'
import { numberIn, type RawSearch, textIn } from '../../parts/address.ts'

export type FeatureChoice = Partial<Omit<FeatureQuery, 'limit' | 'offset' | 'extraction_id'>>

export const featuresSearch = (raw: RawSearch): FeatureChoice => ({
  search: textIn(raw.search),
  sort_by: featureSorts.find(sort => sort === raw.sort_by),
  sort_order: raw.sort_order === 'asc' ? 'asc' : undefined,
  min_density: numberIn(raw.min_density),
  max_density: numberIn(raw.max_density),
  min_max: numberIn(raw.min_max),
  max_max: numberIn(raw.max_max),
})
