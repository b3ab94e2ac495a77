// The features of an extraction: a long table that loads as you scroll, searched and sorted by the studio. What is chosen
// is part of the address.
import type { FeatureItem } from '@mistudio/contract'
import { type InfiniteData, keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { queries } from '../../api.ts'
import { TextLink } from '../../parts/button.tsx'
import { Loaded } from '../../parts/loaded.tsx'
import { Empty, Page } from '../../parts/page.tsx'
import { FeatureTable } from './feature_table.tsx'
import type { FeatureChoice } from './search.ts'
import { Toolbar } from './toolbar.tsx'

export default function Features() {
  const { id } = useParams({ from: '/extractions/$id/features' })
  const chosen: FeatureChoice = useSearch({ from: '/extractions/$id/features' })
  const navigate = useNavigate({ from: '/extractions/$id/features' })
  const extraction = useQuery(queries.extraction(id)).data
  const order = { sort_by: chosen.sort_by ?? 'readability', sort_order: chosen.sort_order ?? 'desc' } as const
  const features = useInfiniteQuery({
    ...queries.features({ ...chosen, extraction_id: id, ...order }),
    placeholderData: keepPreviousData,
  })
  const choose = (change: FeatureChoice) =>
    navigate({ search: previous => ({ ...previous, ...change }), replace: true })
  const isFiltered = Object.values(chosen).some(value => value !== undefined)
  return (
    <Page
      title="Features"
      above={[
        <TextLink key="all" to="/extractions">
          Extractions
        </TextLink>,
        <TextLink key="one" to="/extractions/$id" params={{ id }}>
          {extraction?.sae_name ?? 'Extraction'}
        </TextLink>,
      ]}
      lead={
        extraction &&
        `${extraction.sae_name} (${extraction.model_name}) on ${extraction.dataset_names.join(', ')}`
      }
    >
      <Toolbar chosen={{ ...chosen, ...order }} total={totalOf(features.data)} onChoose={choose} />
      <Loaded query={features} what="features">
        {data => {
          const rows = data.pages.flatMap(page => page.data)
          if (rows.length === 0) {
            return <Empty>{isFiltered ? 'No features match.' : 'This extraction has no features yet.'}</Empty>
          }
          return (
            <FeatureTable
              rows={rows}
              total={totalOf(data) ?? rows.length}
              order={order}
              stale={features.isPlaceholderData}
              onSort={choose}
              onEnd={() => {
                if (features.hasNextPage && !features.isFetchingNextPage) features.fetchNextPage()
              }}
            />
          )
        }}
      </Loaded>
    </Page>
  )
}

type Pages = InfiniteData<{ data: FeatureItem[]; pagination: { total: number } }>

const totalOf = (data: Pages | undefined) => data?.pages[0]?.pagination.total
