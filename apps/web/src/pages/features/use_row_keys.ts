// Moving over the rows with the keyboard: arrows, j and k, pages, both ends; Enter opens the feature.
import type { FeatureItem } from '@mistudio/contract'
import { useNavigate } from '@tanstack/react-router'
import { type KeyboardEvent, useState } from 'react'

/** @param options.height of a row, in pixels @returns the current row and the handler of the grid */
export function useRowKeys(options: {
  rows: FeatureItem[]
  height: number
  onMove: (index: number) => void
}) {
  const { rows, height, onMove } = options
  const navigate = useNavigate()
  const [current, setCurrent] = useState(0)
  const last = rows.length - 1
  const at = Math.min(current, last)

  function onKeyDown(event: KeyboardEvent): void {
    if (event.target !== event.currentTarget) return
    if (event.key === 'Enter') {
      navigate({ to: '/features/$id', params: { id: rows[at].id } })
      return
    }
    const page = Math.max(1, Math.floor(window.innerHeight / height) - 3)
    const moves: Record<string, number> = {
      ArrowDown: at + 1,
      j: at + 1,
      ArrowUp: at - 1,
      k: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: last,
    }
    const to = moves[event.key]
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    const next = Math.min(Math.max(to, 0), last)
    setCurrent(next)
    onMove(next)
  }

  return { at, onKeyDown }
}
