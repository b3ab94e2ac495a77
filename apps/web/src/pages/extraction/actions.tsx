// What can be done with an extraction in its present state: cancel it or its analysis, or delete it once it has ended.
import type { Extraction } from '@mistudio/contract'
import { useNavigate } from '@tanstack/react-router'
import { Ban, Trash2 } from 'lucide-react'
import { client } from '../../api.ts'
import { isActive } from '../../live/active.ts'
import { ConfirmButton } from '../../parts/dialog.tsx'
import { refresh } from '../../parts/mutation.ts'

type Props = { extraction: Extraction }

export const ExtractionActions = ({ extraction }: Props) =>
  isActive(extraction) ? <Cancel extraction={extraction} /> : <Delete extraction={extraction} />

function Cancel({ extraction: { id, sae_name, status } }: Props) {
  const analysis = status === 'completed'
  const next = 'If it is part of a batch, the next SAE starts.'
  return (
    <ConfirmButton
      label={
        <>
          <Ban aria-hidden />
          {analysis ? 'Cancel NLP' : 'Cancel'}
        </>
      }
      title={analysis ? 'Cancel the analysis?' : 'Cancel this extraction?'}
      question={
        analysis ? `The features are kept. ${next}` : `What was read with ${sae_name} is discarded. ${next}`
      }
      confirm={analysis ? 'Cancel the analysis' : 'Cancel the extraction'}
      onConfirm={async () => {
        await client.cancelExtraction({ params: { id } })
        refresh(['extractions', 'jobs'])
      }}
    />
  )
}

function Delete({ extraction: { id, sae_name } }: Props) {
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
      title="Delete this extraction?"
      question={`The features found with ${sae_name} and their examples will be deleted.`}
      confirm="Delete"
      onConfirm={async () => {
        await client.deleteExtraction({ params: { id } })
        refresh(['extractions', 'features'])
        await navigate({ to: '/extractions' })
      }}
    />
  )
}
