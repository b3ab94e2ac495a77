// Above the table of features: the search, the order, the bounds, and how many features there are.
import { useEffect, useRef } from 'react'
import { SearchBox } from '../../forms/search_box.tsx'
import { formatCount } from '../../parts/format.ts'
import { Filters } from './filters.tsx'
import type { FeatureChoice } from './search.ts'

/** @param props.total features that match; undefined while they load */
export function Toolbar(props: {
  chosen: FeatureChoice
  total: number | undefined
  onChoose: (change: FeatureChoice) => void
}) {
  const { chosen, total, onChoose } = props
  const searchBox = useRef<HTMLInputElement>(null)
  useSlash(searchBox)
  return (
    <div className="mb-3 flex flex-wrap items-center gap-2">
      <div className="min-w-52 flex-1 sm:max-w-sm">
        <SearchBox
          ref={searchBox}
          label="Search features"
          placeholder="Token, word, logit or number"
          value={chosen.search ?? ''}
          onSearch={search => onChoose({ search: search || undefined })}
        />
      </div>
      <Filters chosen={chosen} onChoose={onChoose} />
      <p role="status" className="ml-auto text-xs text-mute" data-testid="features-total">
        {total === undefined ? ' ' : `${formatCount(total)} features`}
      </p>
    </div>
  )
}

/** `/` focuses the search, except while typing elsewhere. */
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
