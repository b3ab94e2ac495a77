// Examples of a feature: the strongest, and some of every strength.
import type { FeatureDetail, FeatureExample } from '@mistudio/contract'
import { Check, Copy } from 'lucide-react'
import { Tabs } from 'radix-ui'
import { useState } from 'react'
import { Button } from '../../parts/button.tsx'
import { definitions } from '../../parts/definitions.tsx'
import { formatCount, formatFigure } from '../../parts/format.ts'
import { Definition } from '../../parts/hint.tsx'
import { Section } from '../../parts/page.tsx'
import { examplesAsText } from '../../tokens/heat.ts'
import { HeatText } from '../../tokens/heat_text.tsx'

const kinds = [
  { kind: 'top', name: 'Top', about: definitions.top_examples },
  { kind: 'quantile', name: 'Of every strength', about: definitions.quantile_examples },
] as const

export function Examples({ feature }: { feature: FeatureDetail }) {
  const [kind, setKind] = useState<FeatureExample['kind']>('top')
  const of = (wanted: string) => feature.examples.filter(example => example.kind === wanted)
  return (
    <Section title="Examples" aside={<Legend />}>
      <Tabs.Root value={kind} onValueChange={value => setKind(value as FeatureExample['kind'])}>
        <div className="mb-2 flex flex-wrap items-center justify-between gap-2">
          <Tabs.List
            aria-label="Examples"
            className="inline-flex rounded-md border border-line bg-surface p-0.5"
          >
            {kinds.map(({ kind: value, name }) => (
              <Tabs.Trigger
                key={value}
                value={value}
                className="rounded-sm px-2.5 py-1 text-soft hover:text-ink data-[state=active]:bg-hover data-[state=active]:font-medium data-[state=active]:text-ink"
              >
                {name} <span className="text-xs text-mute">{of(value).length}</span>
              </Tabs.Trigger>
            ))}
          </Tabs.List>
          <CopyButton feature={feature} examples={of(kind)} />
        </div>
        {kinds.map(({ kind: value, about }) => (
          <Tabs.Content key={value} value={value}>
            <p className="mb-2 text-xs text-mute">{about}</p>
            <ol className="panel divide-y divide-line">
              {of(value).map(example => (
                <li key={`${value} ${example.rank}`} className="px-3 py-2" data-testid="example">
                  <HeatText example={example} />
                  <p className="mt-1 flex flex-wrap gap-x-3 text-xs text-mute">
                    <span>
                      peak{' '}
                      <span className="font-semibold text-ink">{formatFigure(example.peak_activation)}</span>
                    </span>
                    <span>{example.dataset}</span>
                    <span>document {formatCount(example.document)}</span>
                    <span>
                      context {formatCount(example.context)}, token {formatCount(example.position)}
                    </span>
                  </p>
                </li>
              ))}
              {of(value).length === 0 && <li className="p-4 text-center text-mute">None.</li>}
            </ol>
          </Tabs.Content>
        ))}
      </Tabs.Root>
    </Section>
  )
}

const Legend = () => (
  <span className="inline-flex items-center gap-1.5">
    weak
    <span aria-hidden className="inline-block h-2.5 w-16 rounded-sm bg-linear-to-r from-heat/10 to-heat/60" />
    maximum of the example
    <Definition
      of="the colour"
      text="The activation at a token relative to the largest of its example. Point at a token, or walk with the arrow keys, for the value. The peak is underlined."
    />
  </span>
)

function CopyButton({ feature, examples }: { feature: FeatureDetail; examples: FeatureExample[] }) {
  const [state, setState] = useState<'ready' | 'copied' | 'refused'>('ready')
  async function copy() {
    try {
      await navigator.clipboard.writeText(examplesAsText({ feature, examples }))
      setState('copied')
    } catch {
      setState('refused')
    }
    setTimeout(() => setState('ready'), 2500)
  }
  return (
    <Button small disabled={examples.length === 0} onClick={copy}>
      {state === 'copied' ? <Check aria-hidden /> : <Copy aria-hidden />}
      <span aria-live="polite">
        {state === 'copied' ? 'Copied' : state === 'refused' ? 'The browser refused' : 'Copy as text'}
      </span>
    </Button>
  )
}
