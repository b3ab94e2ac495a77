// Features of an extraction: a long table that is loaded as one scrolls, searched and sorted by the studio. What is
// chosen is in the address.
import type { FeatureQuery } from '@mistudio/contract'
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { useEffect, useMemo, useRef } from 'react'
import { queries } from '../../api.ts'
import { SearchBox } from '../../forms/search_box.tsx'
import { TextLink } from '../../parts/button.tsx'
import { formatCount } from '../../parts/format.ts'
import { Empty, Page } from '../../parts/page.tsx'
import { Pending } from '../../parts/problem.tsx'
import { FeatureTable } from './feature_table.tsx'
import { Filters } from './filters.tsx'

export type Chosen = Partial<Omit<FeatureQuery, 'limit' | 'offset' | 'extraction_id'>>

export function Features() {
  const { id } = useParams({ from: '/extractions/$id/features' })
  const chosen: Chosen = useSearch({ from: '/extractions/$id/features' })
  const navigate = useNavigate({ from: '/extractions/$id/features' })
  const extraction = useQuery(queries.extraction(id))
  const sort_by = chosen.sort_by ?? 'readability'
  const sort_order = chosen.sort_order ?? 'desc'
  const features = useInfiniteQuery({
    ...queries.features({ ...chosen, extraction_id: id, sort_by, sort_order }),
    placeholderData: keepPreviousData,
  })
  const rows = useMemo(() => features.data?.pages.flatMap(({ data }) => data) ?? [], [features.data])
  const total = features.data?.pages[0]?.pagination.total
  const choose = (change: Chosen) =>
    navigate({ search: previous => ({ ...previous, ...change }), replace: true })
  const searchBox = useRef<HTMLInputElement>(null)
  useSlash(searchBox)

  return (
    <Page
      title="Features"
      above={[
        <TextLink key="all" to="/extractions">
          Extractions
        </TextLink>,
        <TextLink key="one" to="/extractions/$id" params={{ id }}>
          {extraction.data?.sae_name ?? 'Extraction'}
        </TextLink>,
      ]}
      lead={
        extraction.data && (
          <>
            {extraction.data.sae_name} ({extraction.data.model_name}) on{' '}
            {extraction.data.dataset_names.join(', ')}
          </>
        )
      }
    >
      <div className="mb-3 flex flex-wrap items-center gap-2">
        <div className="min-w-52 flex-1 sm:max-w-sm">
          <SearchBox
            ref={searchBox}
            label="Search features"
            placeholder="Token, word, logit or number"
            value={chosen.search ?? ''}
            onSearch={search => choose({ search: search || undefined })}
          />
        </div>
        <Filters chosen={{ ...chosen, sort_by, sort_order }} onChoose={choose} />
        <p role="status" className="ml-auto text-xs text-mute" data-testid="features-total">
          {total === undefined ? ' ' : `${formatCount(total)} features`}
        </p>
      </div>
      {features.data === undefined ? (
        <Pending query={features} what="features" />
      ) : rows.length === 0 ? (
        <Empty>
          {Object.values(chosen).some(value => value !== undefined)
            ? 'No feature matches.'
            : 'This extraction has no features yet.'}
        </Empty>
      ) : (
        <FeatureTable
          rows={rows}
          total={total ?? rows.length}
          sortBy={sort_by}
          sortOrder={sort_order}
          stale={features.isPlaceholderData}
          onSort={(by, order) => choose({ sort_by: by, sort_order: order })}
          onEnd={() => {
            if (features.hasNextPage && !features.isFetchingNextPage) features.fetchNextPage()
          }}
        />
      )}
    </Page>
  )
}

/** `/` goes to the search, unless somebody is typing. */
function useSlash(target: { current: HTMLInputElement | null }): void {
  useEffect(() => {
    function onKey(event: KeyboardEvent): void {
      const typing = event.target instanceof HTMLElement && event.target.closest('input, textarea, select')
      if (event.key !== '/' || event.ctrlKey || event.metaKey || typing) return
      event.preventDefault()
      target.current?.focus()
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [target])
}
