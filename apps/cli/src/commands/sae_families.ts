// `mistudio sae families`: the kinds of SAEs that can be trained, and every setting of one.
import { defineCommand } from '../frame/command.ts'
import { pairs } from '../frame/output.ts'

export const saeFamilies = defineCommand({
  name: 'sae families',
  summary: 'list the families of SAEs and their settings, with units, defaults and sources',
  options: {
    family: { kind: 'text', value: 'NAME', help: 'only this one, with all its settings' },
  },
  spec: ({ family }) => ({ family: family ?? null }),
  async job({ family: asked }) {
    const { families } = await import('@mistudio/training')
    const { familyOf, settingsOf, wireName } = await import('@mistudio/training')
    const shown = asked === null ? families : [familyOf(asked)]
    return shown.map(family => ({
      name: family.name,
      title: family.title,
      summary: family.summary,
      paper: family.paper,
      hooks: family.hooks,
      settings: Object.entries(settingsOf(family)).map(([key, field]) => ({
        name: wireName(key),
        own: key in family.fields,
        ...field,
      })),
    }))
  },
  present: families =>
    families.length === 1
      ? detail(families[0])
      : [
          pairs(families.map(({ name, summary }) => [name, summary] as const)),
          '',
          'mistudio sae families --family NAME shows all settings of one.',
        ].join('\n'),
})

type Shown = {
  name: string
  title: string
  summary: string
  paper: { title: string; where: string }
  settings: readonly {
    name: string
    own: boolean
    help: string
    unit?: string
    source?: string
    chosen?: string
    default: unknown
  }[]
}

function detail({ name, title, summary, paper, settings }: Shown): string {
  const lines = (own: boolean) =>
    settings
      .filter(setting => setting.own === own)
      .flatMap(({ name, default: value, unit, help, chosen, source }) => [
        `  ${name}=${value === null ? `(${chosen ?? 'none'})` : String(value)}${unit === undefined ? '' : ` ${unit}`}`,
        `      ${help}`,
        ...(source === undefined ? [] : [`      source: ${source}`]),
      ])
  return [
    `${name}: ${title}. ${summary}`,
    `${paper.title}, ${paper.where}`,
    '',
    'Settings of the family:',
    ...lines(true),
    '',
    'Settings of every SAE:',
    ...lines(false),
  ].join('\n')
}
