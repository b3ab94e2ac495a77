// "Save as Template": saves the configuration under a name, generated unless one is given. What belongs to the chosen
// SAEs goes into extra_metadata.
import { type ExtractionConfig, extractionTemplateName } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { BookmarkPlus } from 'lucide-react'
import { useState } from 'react'
import { client, queries } from '../../api.ts'
import { TextField } from '../../forms/fields.tsx'
import { Button } from '../../parts/button.tsx'
import { useAction } from '../../parts/mutation.ts'
import { ProblemBox } from '../../parts/problem.tsx'
import { saeSettings } from './sae_settings.ts'

/** @param props.config undefined while a value is invalid */
export function SaveTemplate({ config, saeIds }: { config: ExtractionConfig | undefined; saeIds: string[] }) {
  const saes = useQuery(queries.saes())
  const [name, setName] = useState('')
  const chosen = (saes.data?.data ?? []).filter(({ id }) => saeIds.includes(id))
  const save = useAction({
    act: (valid: ExtractionConfig) =>
      client.createTemplate({
        params: { kind: 'extraction' },
        body: {
          ...(name.trim() !== '' && { name: name.trim() }),
          config: valid,
          extra_metadata: saeSettings(chosen),
        },
      }),
    touches: ['templates'],
  })
  return (
    <div className="space-y-2">
      <div className="flex flex-wrap items-start gap-2">
        <TextField
          label="Template name"
          about="Optional. If empty, the name shown is used."
          className="flex-1 basis-64"
          placeholder={config === undefined ? 'some values are invalid' : extractionTemplateName(config)}
          value={name}
          onChange={event => setName(event.target.value)}
        />
        <Button
          className="sm:mt-6"
          disabled={config === undefined || save.isPending}
          onClick={() => config !== undefined && save.mutate(config)}
        >
          <BookmarkPlus aria-hidden />
          Save as Template
        </Button>
      </div>
      {save.data !== undefined && (
        <p role="status" className="text-accent" data-testid="template-saved">
          Saved as “{save.data.name}”.
        </p>
      )}
      <ProblemBox error={save.error} />
    </div>
  )
}
