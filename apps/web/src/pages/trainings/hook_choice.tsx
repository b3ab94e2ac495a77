// Where the SAEs are: layers and hook types, as the family uses them. Joint families take all layers together, those that
// predict have a second hook type.
import type { Family, HookType, Model } from '@mistudio/contract'
import { CheckField, Group, SelectField, toggledIn } from '../../forms/fields.tsx'
import { Button } from '../../parts/button.tsx'
import { hookNames } from '../../parts/format.ts'
import { joinsLayers, predicts } from './asked.ts'

export type Places = { layers: number[]; hooks: HookType[]; output: HookType | null }

export function HookChoice(props: {
  family: Family
  model: Model | undefined
  places: Places
  errorOf: (field: string) => string | undefined
  onChange: (places: Places) => void
}) {
  const { family, model, places, errorOf, onChange } = props
  const { layers, hooks, output } = places
  const all = Array.from({ length: model?.layers ?? 0 }, (_, i) => i)
  const setLayers = (next: number[]) => onChange({ ...places, layers: next })
  return (
    <section className="panel space-y-4 p-4" aria-label="Where the SAEs are">
      <Group
        legend="Layers"
        error={errorOf('layers')}
        about={joinsLayers(family) ? 'One SAE of all of them together.' : undefined}
        aside={
          <span className="flex gap-1">
            <Button small look="ghost" onClick={() => setLayers(all)}>
              All
            </Button>
            <Button small look="ghost" onClick={() => setLayers([])}>
              None
            </Button>
          </span>
        }
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
                checked={layers.includes(layer)}
                onChange={event => setLayers(toggledIn(layers, layer, event.target.checked))}
              />
              {layer}
            </label>
          ))}
        </div>
      </Group>
      <Group
        legend={predicts(family) ? 'Hook types that are read' : 'Hook types'}
        error={errorOf('hook_types')}
      >
        <div className="grid gap-2 sm:grid-cols-2">
          {(model?.hook_types ?? []).map(type => (
            <CheckField
              key={type}
              label={<span className="font-mono">{type}</span>}
              about={hookNames[type]}
              checked={hooks.includes(type)}
              onChange={on => onChange({ ...places, hooks: toggledIn(hooks, type, on) })}
            />
          ))}
        </div>
      </Group>
      {predicts(family) && (
        <SelectField
          label="Hook type that is predicted"
          className="sm:w-1/2"
          value={output ?? ''}
          error={errorOf('output_hook_type')}
          onChange={event =>
            onChange({
              ...places,
              output: event.target.value === '' ? null : (event.target.value as HookType),
            })
          }
        >
          <option value="">choose one</option>
          {(model?.hook_types ?? []).map(type => (
            <option key={type} value={type}>
              {type}: {hookNames[type]}
            </option>
          ))}
        </SelectField>
      )}
    </section>
  )
}
