// The examples of a feature: the strongest, and some of every strength.
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
  { kind: 'quantile', name: 'Every strength', about: definitions.quantile_examples },
] as const

export function Examples({ feature }: { feature: FeatureDetail }) {
  const [shown, setShown] = useState<FeatureExample['kind']>('top')
  const of = (wanted: string) => feature.examples.filter(({ kind }) => kind === wanted)
  return (
    <Section title="Examples" aside={<Legend />}>
      <Tabs.Root value={shown} onValueChange={kind => setShown(kind as FeatureExample['kind'])}>
        <div className="mb-2 flex flex-wrap items-center justify-between gap-2">
          <Tabs.List
            aria-label="Examples"
            className="inline-flex rounded-md border border-line bg-surface p-0.5"
          >
            {kinds.map(({ kind, name }) => (
              <Tabs.Trigger
                key={kind}
                value={kind}
                className="rounded-sm px-2.5 py-1 text-soft hover:text-ink data-[state=active]:bg-hover data-[state=active]:font-medium data-[state=active]:text-ink"
              >
                {name} <span className="text-xs text-mute">{of(kind).length}</span>
              </Tabs.Trigger>
            ))}
          </Tabs.List>
          <CopyButton feature={feature} examples={of(shown)} />
        </div>
        {kinds.map(({ kind, about }) => (
          <Tabs.Content key={kind} value={kind}>
            <p className="mb-2 text-xs text-mute">{about}</p>
            <ExampleList examples={of(kind)} />
          </Tabs.Content>
        ))}
      </Tabs.Root>
    </Section>
  )
}

const ExampleList = ({ examples }: { examples: FeatureExample[] }) => (
  <ol className="panel divide-y divide-line">
    {examples.map(example => (
      <li key={example.rank} className="px-3 py-2" data-testid="example">
        <HeatText example={example} />
        <p className="mt-1 flex flex-wrap gap-x-3 text-xs text-mute">
          <span>
            peak <span className="font-semibold text-ink">{formatFigure(example.peak_activation)}</span>
          </span>
          <span>{example.dataset}</span>
          <span>document {formatCount(example.document)}</span>
          <span>
            context {formatCount(example.context)}, token {formatCount(example.position)}
          </span>
        </p>
      </li>
    ))}
    {examples.length === 0 && <li className="p-4 text-center text-mute">No examples.</li>}
  </ol>
)

const Legend = () => (
  <span className="inline-flex items-center gap-1.5">
    weak
    <span aria-hidden className="inline-block h-2.5 w-16 rounded-sm bg-linear-to-r from-heat/10 to-heat/60" />
    strongest in the example
    <Definition
      of="the colour"
      text="The activation on a token, relative to the largest in its example. Hover over a token, or move with the arrow keys, to see the value. The peak is underlined."
    />
  </span>
)

function CopyButton({ feature, examples }: { feature: FeatureDetail; examples: FeatureExample[] }) {
  const [state, setState] = useState<'ready' | 'copied' | 'failed'>('ready')
  async function copy() {
    try {
      await navigator.clipboard.writeText(examplesAsText({ feature, examples }))
      setState('copied')
    } catch {
      setState('failed')
    }
    setTimeout(() => setState('ready'), 2500)
  }
  return (
    <Button small disabled={examples.length === 0} onClick={copy}>
      {state === 'copied' ? <Check aria-hidden /> : <Copy aria-hidden />}
      <span aria-live="polite">{copyLabels[state]}</span>
    </Button>
  )
}

const copyLabels = { ready: 'Copy as text', copied: 'Copied', failed: 'Copying failed' }
