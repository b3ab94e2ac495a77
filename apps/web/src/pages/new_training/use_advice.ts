// The studio's advice on a draft, fetched when the typing pauses.
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { client } from '../../api.ts'

type Body = Parameters<typeof client.adviseTraining>[0]['body']

const pauseMs = 400

/** @param body null while too little is chosen @returns the latest advice, and what the studio would refuse */
export function useAdvice(body: Body | null) {
  const settled = useDebounced(body)
  const key = JSON.stringify(settled)
  const shapes = useQuery({
    queryKey: ['advice', key],
    queryFn: ({ signal }) => client.adviseTraining({ body: { ...settled!, probe: false }, signal }),
    enabled: settled !== null,
    placeholderData: keepPreviousData,
    retry: false,
  })
  const unmeasured = shapes.data !== undefined && shapes.data.measured === null && !shapes.isPlaceholderData
  // A model and family are measured once; later questions are answered from that.
  const probe = useQuery({
    queryKey: ['advice', 'probe', key],
    queryFn: ({ signal }) => client.adviseTraining({ body: { ...settled!, probe: true }, signal }),
    enabled: settled !== null && unmeasured && shapes.error === null,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  })
  const advice = shapes.data?.measured === null ? (probe.data ?? shapes.data) : shapes.data
  return { advice: settled === null ? undefined : advice, measuring: probe.isFetching, error: shapes.error }
}

function useDebounced<T>(value: T): T {
  const text = JSON.stringify(value)
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), pauseMs)
    return () => clearTimeout(timer)
  }, [text])
  return JSON.parse(settled) as T
}
