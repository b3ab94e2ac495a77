// The start form at work: the draft, the studio's advice on it, the errors of each field, and submitting.
import { type Families, type Model, trainingRequest } from '@mistudio/contract'
import { useNavigate } from '@tanstack/react-router'
import { type FormEvent, useReducer, useState } from 'react'
import { client } from '../../api.ts'
import { checked, type FieldErrors } from '../../forms/schema.ts'
import { useAction } from '../../parts/mutation.ts'
import { problemOf, refusalOf } from '../../parts/problem.tsx'
import { changedDraft, type Draft, type DraftChange, firstDraft } from './draft.ts'
import { adviceRequestOf, bodyOf, planOf, topTextOf } from './request.ts'
import { useAdvice } from './use_advice.ts'

export type TrainingForm = ReturnType<typeof useTrainingForm>

export function useTrainingForm({ models, families }: { models: Model[]; families: Families }) {
  const tables = { models, families }
  const [draft, change] = useReducer(
    (before: Draft, next: DraftChange) => changedDraft({ draft: before, change: next, families }),
    tables,
    firstDraft,
  )
  const [errors, setErrors] = useState<FieldErrors>({})
  const navigate = useNavigate()
  const start = useAction({
    act: (body: Parameters<typeof client.createTraining>[0]['body']) => client.createTraining({ body }),
    touches: ['trainings', 'jobs', 'tokenizations'],
    onDone: ({ id }) => navigate({ to: '/trainings/$id', params: { id } }),
  })

  const body = bodyOf(draft, tables)
  const plan = planOf(draft, body.sweep)
  const question = plan.saes === 0 ? null : adviceRequestOf(draft, body)
  const ready = question !== null
  const { advice, measuring, error } = useAdvice(question)
  const refused = problemOf(start.error)
  const doubted = problemOf(error)

  return {
    draft,
    change,
    plan,
    model: models.find(({ id }) => id === draft.modelId),
    topText: (field: string) => topTextOf(draft, tables, field),
    advice: ready ? advice : undefined,
    measuring,
    /** What the studio would refuse, before anything is submitted. */
    doubt: ready && doubted?.type !== 'unreachable' ? doubted : undefined,
    errorOf(field: string): string | undefined {
      const names = namesOf(field)
      const own = names.map(known => errors[known]).find(text => text !== undefined)
      return own ?? refusedAt(refused, names) ?? refusedAt(doubted, names)
    },
    sweepErrorOf: (field: string): string | undefined => errors[`sweep.${field}`],
    errorCount: Object.keys(errors).length,
    error: start.error,
    starting: start.isPending,
    submit(event: FormEvent) {
      event.preventDefault()
      const request = checked(trainingRequest, {
        ...(draft.name.trim() !== '' && { name: draft.name }),
        ...body,
      })
      start.reset()
      setErrors(request.ok ? {} : request.errors)
      if (request.ok) start.mutate(request.value)
    },
  }
}

/** Where a field may stand in a request. */
const namesOf = (field: string) => [
  field,
  `hyperparameters.${field}`,
  `hyperparameters.settings.${field}`,
  `hyperparameters.run.${field}`,
]

/** A refusal may name two fields that contradict each other, as `a and b`; both are marked. */
function refusedAt(problem: ReturnType<typeof problemOf>, names: string[]): string | undefined {
  if (problem?.field === undefined) return undefined
  return problem.field
    .split(' and ')
    .map(field => refusalOf({ ...problem, field }, names))
    .find(found => found !== undefined)
}
