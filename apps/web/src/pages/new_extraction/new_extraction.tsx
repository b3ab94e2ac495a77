// The dialog that starts extractions, and what it started.
import type { ResponseOf } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import { queries } from '../../api.ts'
import { Dialog } from '../../parts/dialog.tsx'
import { Loaded } from '../../parts/loaded.tsx'
import { Created } from './created.tsx'
import { ExtractionForm } from './extraction_form.tsx'

export default function NewExtraction() {
  const { sae, template } = useSearch({ from: '/extractions/new' })
  const navigate = useNavigate()
  const close = () => navigate({ to: '/extractions' })
  const [created, setCreated] = useState<ResponseOf<'createExtractions'>>()
  const templates = useQuery(queries.templates())
  return (
    <Dialog
      open
      onClose={close}
      wide
      title="Start an extraction"
      description="Several SAEs form a batch: they run one after another, each with its own analysis."
    >
      {created !== undefined ? (
        <Created result={created} onClose={close} />
      ) : (
        <Loaded query={templates} what="templates">
          {({ data }) => (
            <ExtractionForm
              templates={data}
              saeIds={sae?.split(',') ?? []}
              templateId={template}
              onCreated={setCreated}
              onClose={close}
            />
          )}
        </Loaded>
      )}
    </Dialog>
  )
}
