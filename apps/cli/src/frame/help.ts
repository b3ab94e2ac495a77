// The help texts, all from the option tables.
import { range } from './arguments.ts'
import { type Command, optionsOf } from './command.ts'
import type { Option } from './option_table.ts'

/** `mistudio --help`, or a group's: `mistudio sae --help`. */
export function helpOfAll({ commands, group }: { commands: readonly Command[]; group?: string }): string {
  const shown = commands.filter(({ name }) => group === undefined || name.startsWith(`${group} `))
  const width = Math.max(...shown.map(({ name }) => name.length))
  return [
    `mistudio: ${group === undefined ? 'train sparse autoencoders on a language model and read their features' : `the ${group} commands`}`,
    '',
    `Usage: mistudio ${group ?? 'COMMAND'}${group === undefined ? '' : ' COMMAND'} [OPTIONS]`,
    '',
    ...shown.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    '`mistudio COMMAND --help` lists the options of a command.',
    'Exit codes: 0 done, 1 failed, 2 bad usage, 130 stopped by Ctrl-C.',
    'MISTUDIO_DATA_DIR names the data folder where --data-dir does not; otherwise it is ./data.',
  ].join('\n')
}

/** `mistudio sae train --help` */
export function helpOfCommand({ command }: { command: Command }): string {
  const rows = Object.entries<Option>(optionsOf(command)).map(([name, option]) => [
    formOf(name, option),
    describe(option),
  ])
  const width = Math.max(...rows.map(([form]) => form.length))
  return [
    `mistudio ${command.name}: ${command.summary}`,
    '',
    `Usage: ${usageOf({ command })}`,
    '',
    ...rows.map(([form, help]) => `  ${form.padEnd(width)}  ${help}`),
    ...(command.details === undefined ? [] : ['', command.details]),
  ].join('\n')
}

/** The one-line form: required options plain, the others in brackets. */
function usageOf({ command }: { command: Command }): string {
  const words = Object.entries<Option>(optionsOf(command))
    .filter(([name]) => name !== 'help')
    .map(([name, option]) => (option.required ? formOf(name, option) : `[${formOf(name, option)}]`))
  return ['mistudio', command.name, ...words].join(' ')
}

function formOf(name: string, option: Option): string {
  return option.kind === 'flag' ? `--${name}` : `--${name} ${option.value ?? 'VALUE'}`
}

function describe(option: Option): string {
  const parts = [option.help]
  if (option.choices !== undefined) parts.push(`one of ${option.choices.join(', ')}`)
  if (option.min !== undefined && option.max === undefined) parts.push(range(option))
  if (option.required) parts.push('required')
  if (option.default !== undefined) parts.push(`default ${option.default}`)
  return parts.join('; ')
}
