// What can be done with an extraction in its state.
import type { Extraction } from '@mistudio/contract'
import { useNavigate } from '@tanstack/react-router'
import { Ban, Trash2 } from 'lucide-react'
import { client } from '../../api.ts'
import { ConfirmButton } from '../../parts/dialog.tsx'
import { refresh } from '../../parts/mutation.ts'
import { isActive } from './active.ts'

export function ExtractionActions({ extraction }: { extraction: Extraction }) {
  const { id, sae_name, status } = extraction
  const navigate = useNavigate()
  const params = { id }
  if (isActive(extraction)) {
    const analysis = status === 'completed'
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
          analysis
            ? 'The features stay. A batch goes on with its next SAE.'
            : `What was read with ${sae_name} is dropped. A batch goes on with its next SAE.`
        }
        confirm={analysis ? 'Cancel the analysis' : 'Cancel the extraction'}
        onConfirm={async () => {
          await client.cancelExtraction({ params })
          refresh(['extractions', 'jobs'])
        }}
      />
    )
  }
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
      question={`The features found with ${sae_name} and their examples are removed.`}
      confirm="Delete"
      onConfirm={async () => {
        await client.deleteExtraction({ params })
        refresh(['extractions', 'features'])
        await navigate({ to: '/extractions' })
      }}
    />
  )
}
