// Names and values, in two columns where there is room.
import type { ReactNode } from 'react'
import { Section } from './page.tsx'

export function Facts({ title, rows }: { title: string; rows: (readonly [string, ReactNode])[] }) {
  return (
    <Section title={title}>
      <dl className="panel grid grid-cols-[auto_1fr] gap-x-6 gap-y-1 p-3 sm:grid-cols-[auto_1fr_auto_1fr]">
        {rows.map(([name, value]) => (
          <div key={name} className="col-span-2 grid grid-cols-subgrid">
            <dt className="text-mute">{name}</dt>
            <dd className="break-words">{value}</dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}
