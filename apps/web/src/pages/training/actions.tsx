// What can be done with a training in its present state: the moves of its state machine, and nothing else.
import { canMove, type Training, trainingMachine } from '@mistudio/contract'
import { useNavigate } from '@tanstack/react-router'
import { Pause, Play, Square, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { client } from '../../api.ts'
import { CheckField } from '../../forms/fields.tsx'
import { isEnded } from '../../live/active.ts'
import { Button } from '../../parts/button.tsx'
import { ConfirmButton } from '../../parts/dialog.tsx'
import { refresh, useAction } from '../../parts/mutation.ts'
import { ProblemBox } from '../../parts/problem.tsx'

type Props = { training: Training }

export function TrainingActions({ training }: Props) {
  return (
    <>
      <PauseOrResume training={training} />
      {isEnded(training) ? <Delete training={training} /> : <Stop training={training} />}
    </>
  )
}

function PauseOrResume({ training: { id, status } }: Props) {
  const params = { id }
  const move = useAction({
    act: (what: 'pause' | 'resume') =>
      what === 'pause' ? client.pauseTraining({ params }) : client.resumeTraining({ params }),
    touches: ['trainings', 'jobs'],
  })
  return (
    <>
      {move.error !== null && (
        <div className="w-full">
          <ProblemBox error={move.error} />
        </div>
      )}
      {status === 'paused' && (
        <Button disabled={move.isPending} onClick={() => move.mutate('resume')}>
          <Play aria-hidden />
          Resume
        </Button>
      )}
      {canMove(trainingMachine, status, 'paused') && (
        <Button disabled={move.isPending} onClick={() => move.mutate('pause')}>
          <Pause aria-hidden />
          {move.isPending ? 'Pausing…' : 'Pause'}
        </Button>
      )}
    </>
  )
}

function Stop({ training: { id, name } }: Props) {
  const [keep, setKeep] = useState(true)
  return (
    <ConfirmButton
      label={
        <>
          <Square aria-hidden />
          Stop
        </>
      }
      title="Stop this training?"
      question={
        <div className="space-y-3">
          <p>{name} ends here and cannot be resumed.</p>
          <CheckField
            label="Finalise: keep the SAEs as they are now"
            about="They can then be imported. Otherwise everything trained so far is discarded."
            checked={keep}
            onChange={setKeep}
          />
        </div>
      }
      confirm={keep ? 'Stop and finalise' : 'Stop and discard'}
      danger={!keep}
      onConfirm={async () => {
        await client.stopTraining({ params: { id }, body: { keep } })
        refresh(['trainings', 'jobs'])
      }}
    />
  )
}

function Delete({ training: { id, name } }: Props) {
  const navigate = useNavigate()
  return (
    <ConfirmButton
      look="ghost"
      label={
        <>
          <Trash2 aria-hidden />
          Delete
        </>
      }
      title="Delete this training?"
      question={`${name} and its files will be deleted.`}
      confirm="Delete"
      onConfirm={async () => {
        await client.deleteTraining({ params: { id } })
        refresh(['trainings'])
        await navigate({ to: '/trainings' })
      }}
    />
  )
}
