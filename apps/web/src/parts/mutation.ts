// A request that changes something: pending while it runs, with the error if it was refused. What it changed is fetched
// again at once rather than when the event arrives.
import { useMutation } from '@tanstack/react-query'
import { type Collection, queryClient } from '../api.ts'

export function useAction<A, R>(options: {
  act: (argument: A) => Promise<R>
  /** Collections it changes. */
  touches: Collection[]
  onDone?: (result: R) => void
}) {
  const { act, touches, onDone } = options
  return useMutation({
    mutationFn: act,
    onSuccess: result => {
      refresh(touches)
      onDone?.(result)
    },
  })
}

export function refresh(touches: Collection[]): void {
  for (const collection of touches) queryClient.invalidateQueries({ queryKey: [collection] })
}
