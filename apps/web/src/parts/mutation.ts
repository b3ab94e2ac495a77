// Something asked of the studio: busy while it is on its way, the error if it was refused. What it changed is asked for
// again at once, not only when the event comes.
import { useMutation } from '@tanstack/react-query'
import { type Collection, queryClient } from '../api.ts'

export function useAction<A, R>(options: {
  act: (argument: A) => Promise<R>
  /** What it changes. */
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
