// Where the SAEs are: layers and hook types, as the family uses them. Joint families take all layers together; those that
// predict have a second hook type.
import { AllOrNone, CheckField, Group, SelectField, toggledIn } from '../../forms/fields.tsx'
import { hookNames } from '../../parts/format.ts'
import type { Places } from './draft.ts'
import { joinsLayers, predicts } from './request.ts'
import type { TrainingForm } from './use_training_form.ts'

export function HookChoice({ form }: { form: TrainingForm }) {
  const { draft, model, change, errorOf } = form
  const { family, places } = draft
  const { layers, hooks, output } = places
  const hookTypes = model?.hook_types ?? []
  const set = (part: Partial<Places>) => change({ kind: 'places', places: { ...places, ...part } })
  return (
    <section className="panel space-y-4 p-4" aria-label="Layers and hook types">
      <Layers
        count={model?.layers ?? 0}
        chosen={layers}
        onChoose={next => set({ layers: next })}
        error={errorOf('layers')}
        about={joinsLayers(family) ? 'One SAE of all chosen layers together.' : undefined}
      />
      <Group legend={predicts(family) ? 'Input hook types' : 'Hook types'} error={errorOf('hook_types')}>
        <div className="grid gap-2 sm:grid-cols-2">
          {hookTypes.map(type => (
            <CheckField
              key={type}
              label={<span className="font-mono">{type}</span>}
              about={hookNames[type]}
              checked={hooks.includes(type)}
              onChange={on => set({ hooks: toggledIn(hooks, type, on) })}
            />
          ))}
        </div>
      </Group>
      {predicts(family) && (
        <SelectField
          label="Output hook type"
          about="What the SAE predicts."
          className="sm:w-1/2"
          value={output ?? ''}
          error={errorOf('output_hook_type')}
          onChange={event => set({ output: hookTypes.find(type => type === event.target.value) ?? null })}
        >
          <option value="">Choose one</option>
          {hookTypes.map(type => (
            <option key={type} value={type}>
              {type}: {hookNames[type]}
            </option>
          ))}
        </SelectField>
      )}
    </section>
  )
}

function Layers(props: {
  count: number
  chosen: number[]
  onChoose: (layers: number[]) => void
  error: string | undefined
  about: string | undefined
}) {
  const { count, chosen, onChoose, error, about } = props
  const all = Array.from({ length: count }, (_, i) => i)
  return (
    <Group
      legend="Layers"
      error={error}
      about={about}
      aside={<AllOrNone onAll={() => onChoose(all)} onNone={() => onChoose([])} />}
    >
      <div className="grid grid-cols-[repeat(auto-fill,minmax(2.75rem,1fr))] gap-1.5">
        {all.map(layer => (
          <label
            key={layer}
            className="relative grid h-9 place-items-center rounded-md border border-edge bg-raised has-checked:border-accent has-checked:bg-accent-soft has-checked:font-semibold has-checked:text-accent has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent"
          >
            <input
              type="checkbox"
              className="absolute inset-0 size-full opacity-0"
              aria-label={`Layer ${layer}`}
              checked={chosen.includes(layer)}
              onChange={event => onChoose(toggledIn(chosen, layer, event.target.checked))}
            />
            {layer}
          </label>
        ))}
      </div>
    </Group>
  )
}
