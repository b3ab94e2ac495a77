// What can be done with a training in its state: the moves of its state machine, no others.
import { canMove, isTerminal, type Training, trainingMachine } from '@mistudio/contract'
import { useNavigate } from '@tanstack/react-router'
import { Pause, Play, Square, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { client } from '../../api.ts'
import { CheckField } from '../../forms/fields.tsx'
import { Button } from '../../parts/button.tsx'
import { ConfirmButton } from '../../parts/dialog.tsx'
import { refresh, useAction } from '../../parts/mutation.ts'
import { ProblemBox } from '../../parts/problem.tsx'

export function TrainingActions({ training }: { training: Training }) {
  const { id, name, status } = training
  const navigate = useNavigate()
  const [keep, setKeep] = useState(true)
  const params = { id }
  const move = useAction({
    act: (what: 'pause' | 'resume') =>
      what === 'pause' ? client.pauseTraining({ params }) : client.resumeTraining({ params }),
    touches: ['trainings', 'jobs'],
  })
  const ended = isTerminal(trainingMachine, status)
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
          {move.isPending ? 'Pausing …' : 'Pause'}
        </Button>
      )}
      {!ended && (
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
              <p>{name} ends here and cannot go on.</p>
              <CheckField
                label="Finalise: keep the SAEs as they are now"
                about="They can be imported. Otherwise what was trained is dropped."
                checked={keep}
                onChange={setKeep}
              />
            </div>
          }
          confirm={keep ? 'Stop and finalise' : 'Stop and drop'}
          danger={!keep}
          onConfirm={async () => {
            await client.stopTraining({ params, body: { keep } })
            refresh(['trainings', 'jobs'])
          }}
        />
      )}
      {ended && (
        <ConfirmButton
          look="ghost"
          label={
            <>
              <Trash2 aria-hidden />
              Delete
            </>
          }
          title="Delete this training?"
          question={`${name} and its files are removed.`}
          confirm="Delete"
          onConfirm={async () => {
            await client.deleteTraining({ params })
            refresh(['trainings'])
            await navigate({ to: '/trainings' })
          }}
        />
      )}
    </>
  )
}
